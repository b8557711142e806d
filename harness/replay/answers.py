"""What an entry is answered with: its playbacks, one for each kind of client, made when first needed.

A recording is held as it is played: one blob and arrays of numbers an exchange, since millions of
small objects would make the garbage collector stop the clock (50 ms at 400,000 events).
"""

from array import array
from dataclasses import replace
from itertools import accumulate, pairwise

from harness.core.encoding import encoding_of
from harness.core.exchange import Exchange, Headers, Request, Response
from harness.replay.playback import Client, Playback, playback

HARNESS = Request("GET", "http://harness/")


class Recorded:
    """An exchange packed for playing. `at_once`: the playback for an ordinary client is made already."""

    __slots__ = ("blob", "ends", "exchange", "keep_connect", "made", "offsets")

    def __init__(self, exchange: Exchange, *, keep_connect: bool, at_once: bool = True) -> None:
        chunks = exchange.response.chunks if exchange.response else ()
        datas = [data for _, data in chunks]
        self.blob = b"".join(datas)
        self.offsets = array("q", [offset_ns for offset_ns, _ in chunks])
        self.ends = array("Q", accumulate(map(len, datas)))
        self.exchange = without_chunks(exchange)
        self.keep_connect = keep_connect
        self.made: dict[tuple[bool, bool, bool], Playback] = {}
        if at_once:
            client = Client(accepts=self.encoding())
            self.made[self.kind(client)] = playback(exchange, client, keep_connect=keep_connect)

    def encoding(self) -> str | None:
        """The recorded content-encoding."""
        response = self.exchange.response
        return encoding_of(response.headers) if response else None

    def playback(self, client: Client) -> Playback:
        """The playback for a client; the same for all clients that need the same bytes."""
        kind = self.kind(client)
        if kind not in self.made:
            self.made[kind] = playback(self.whole(), client, keep_connect=self.keep_connect)
        return self.made[kind]

    def kind(self, client: Client) -> tuple[bool, bool, bool]:
        """What of a client decides which bytes it needs."""
        encoding = self.encoding()
        return client.http10, client.head, bool(encoding) and client.takes(encoding or "")

    def marked(self, mark: tuple[str, str], client: Client) -> Playback:
        """The playback for a client with one more header."""
        return playback(marked(self.whole(), mark), client, keep_connect=self.keep_connect)

    def whole(self) -> Exchange:
        """The exchange with its chunks again."""
        if self.exchange.response is None:
            return self.exchange
        bounds = pairwise((0, *self.ends))
        chunks = tuple(
            (at, self.blob[start:end]) for at, (start, end) in zip(self.offsets, bounds, strict=True)
        )
        return replace(self.exchange, response=replace(self.exchange.response, chunks=chunks))


def without_chunks(exchange: Exchange) -> Exchange:
    """An exchange whose chunks are kept elsewhere."""
    if exchange.response is None:
        return exchange
    whole = exchange.response
    bare = Response(whole.status, whole.headers, whole.headers_ns, (), whole.end_ns, whole.http_version)
    return replace(exchange, response=bare)


def marked(exchange: Exchange, mark: tuple[str, str]) -> Exchange:
    """An exchange whose response has one more header; one without a response stays as it is."""
    if exchange.response is None:
        return exchange
    response = replace(exchange.response, headers=(*exchange.response.headers, mark))
    return replace(exchange, response=response)


def instant(
    status: int, body: bytes, client: Client, headers: Headers = (("content-type", "application/json"),)
) -> Playback:
    """A playback of harness's own words, with nothing to wait for."""
    sized = (*headers, ("content-length", str(len(body))))
    response = Response(status, sized, 0, ((0, body),) if body else (), 0)
    return playback(Exchange(HARNESS, response), client)
