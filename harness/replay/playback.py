"""A playback: the bytes of a response as they go onto an HTTP/1.1 connection, and when each is due.

Pure: nothing here knows a socket or a clock. Offsets are nanoseconds from the arrival of the
request's last byte. A playback is a blob, cut into parts; part `i` ends at `ends[i]` and is due at
`due[i]`. Bytes due at the same instant are one part, with their chunk framing kept.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from http.client import responses as reasons
from itertools import accumulate

from harness.core.encoding import decode_chunks, encoding_of
from harness.core.exchange import BODILESS, RESET, Exchange, Response, State, header

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that speak of the recorded connection, not of this one (RFC 9110, section 7.6.1)."""

LATEST_NS = 1 << 61
"""No deadline is later than this, 73 years: a sum with the clock must fit into 64 bits."""
LAST_CHUNK = b"0\r\n\r\n"


class Ending(Enum):
    """What happens to the connection after the last part."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


class Framing(Enum):
    """How the client is told where the body ends (RFC 9112, section 6.3)."""

    CHUNKED = "chunked"
    LENGTH = "length"
    UNTIL_CLOSE = "until close"
    NO_BODY = "no body"


@dataclass(frozen=True, slots=True)
class Client:
    """What decides how a response is put on the wire: the version and wishes of the client."""

    http10: bool = False
    head: bool = False
    accepts: str | None = None

    def takes(self, encoding: str) -> bool:
        """Whether the client's Accept-Encoding allows a recorded content-encoding (RFC 9110, 12.5.3)."""
        if self.accepts is None:
            return False
        qualities = dict(parse_quality(item) for item in self.accepts.lower().split(","))
        wanted = [item.strip() for item in encoding.lower().split(",")]
        return all(qualities.get(name, qualities.get("*", 0.0)) > 0 for name in wanted)


def parse_quality(item: str) -> tuple[str, float]:
    """One item of an Accept-Encoding header and its weight; a weight that cannot be read counts as 1."""
    name, _, parameter = item.partition(";")
    try:
        return name.strip(), float(parameter.strip().removeprefix("q=") or 1)
    except ValueError:
        return name.strip(), 1.0


@dataclass(frozen=True, slots=True)
class Playback:
    """Parts of a response with their deadlines, and what follows them."""

    blob: bytes
    due: array[int]
    ends: array[int]
    ending: Ending


def playback(exchange: Exchange, client: Client, *, keep_connect: bool = False) -> Playback:
    """How an exchange is played to a client: its headers, chunks and end at their recorded offsets.

    Unless `keep_connect`, the connection set-up of the recorder is taken off every offset, since a
    client with a warm connection would not have waited for it.
    """
    shift = 0 if keep_connect else exchange.connect_ns
    if exchange.response is None:
        ending = Ending.RESET if exchange.error == RESET else Ending.CLOSE
        return assemble([(exchange.end_ns, b"")], ending, shift)
    response = decoded_for(with_true_length(exchange, exchange.response), client)
    framing = framing_of(response, exchange.state, client)
    ending = ending_of(exchange, framing, client)
    pieces = [(response.headers_ns, head_of(response, framing, ending)), *body_of(response, framing)]
    if framing is Framing.CHUNKED and ending is Ending.KEEP:
        pieces.append((response.end_ns, LAST_CHUNK))
    elif ending is not Ending.KEEP:
        pieces.append((response.end_ns, b""))
    return assemble(pieces, ending, shift)


def with_true_length(exchange: Exchange, response: Response) -> Response:
    """The response without a content-length that contradicts a whole body, as other tools' files have."""
    length = header(response.headers, "content-length")
    whole = exchange.state in (State.COMPLETE, State.UNTERMINATED)
    bodiless = exchange.request.method.upper() == "HEAD" or response.status == 304
    if length is None or not whole or bodiless or length.strip() == str(len(response.body)):
        return response
    return without_headers(response, {"content-length"}, response.chunks)


def without_headers(response: Response, dropped: set[str], chunks: tuple[tuple[int, bytes], ...]) -> Response:
    """A copy of a response with other chunks and without some headers (names in lower case)."""
    headers = tuple(pair for pair in response.headers if pair[0].lower() not in dropped)
    return replace(response, headers=headers, chunks=chunks)


def decoded_for(response: Response, client: Client) -> Response:
    """The response as recorded where the client takes its content-encoding, else decoded, times kept."""
    encoding = encoding_of(response.headers)
    if not encoding or client.takes(encoding):
        return response
    try:
        chunks = decode_chunks(encoding, response.chunks)
    except ValueError:
        return response
    return without_headers(response, {"content-encoding", "content-length"}, chunks)


def framing_of(response: Response, state: State, client: Client) -> Framing:
    """The framing for this client; a complete body of unknown length is chunked, to keep connections."""
    if client.head or response.status in BODILESS or response.status < 200:
        return Framing.NO_BODY
    if header(response.headers, "content-length") is not None:
        return Framing.LENGTH
    if state is State.UNTERMINATED or client.http10:
        return Framing.UNTIL_CLOSE
    return Framing.CHUNKED


def ending_of(exchange: Exchange, framing: Framing, client: Client) -> Ending:
    """Whether the connection is kept, closed, or broken after the last recorded byte.

    A cut is told by the missing end of the framing; where the framing has none, only a reset tells.
    What the upstream broke is broken.
    """
    if exchange.response is not None and exchange.response.status < 200:
        return Ending.CLOSE
    broken = exchange.state in (State.UPSTREAM_CUT, State.UPSTREAM_ERROR)
    if broken and (framing is Framing.UNTIL_CLOSE or exchange.error == RESET):
        return Ending.RESET
    if broken or framing is Framing.UNTIL_CLOSE or client.http10:
        return Ending.CLOSE
    return Ending.CLOSE if exchange.state in (State.CLIENT_ABORT, State.UNTERMINATED) else Ending.KEEP


def head_of(response: Response, framing: Framing, ending: Ending) -> bytes:
    """Status line and headers, with the framing of this connection instead of the recorded one."""
    lines = [f"HTTP/1.1 {response.status} {reasons.get(response.status, '')}"]
    unfit = HOP_BY_HOP | ({"content-length"} if response.status == 204 else set())
    lines += [f"{name}: {value}" for name, value in response.headers if name.lower() not in unfit]
    if framing is Framing.CHUNKED:
        lines.append("transfer-encoding: chunked")
    if ending is not Ending.KEEP:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def body_of(response: Response, framing: Framing) -> Iterator[tuple[int, bytes]]:
    """The chunks as they go onto the wire, without empty ones, which would end the body there."""
    if framing is Framing.NO_BODY:
        return
    for offset_ns, data in response.chunks:
        if data:
            yield offset_ns, b"%x\r\n%b\r\n" % (len(data), data) if framing is Framing.CHUNKED else data


def assemble(pieces: Iterable[tuple[int, bytes]], ending: Ending, shift_ns: int) -> Playback:
    """Pieces as parts: offsets shifted, never below zero, and equal ones joined."""
    due: array[int] = array("q")
    sizes: array[int] = array("Q")
    blob = bytearray()
    for offset_ns, data in pieces:
        at = min(max(0, offset_ns - shift_ns), LATEST_NS)
        if due and due[-1] >= at:
            sizes[-1] += len(data)
        else:
            due.append(at)
            sizes.append(len(data))
        blob += data
    return Playback(bytes(blob), due, array("Q", accumulate(sizes)), ending)
