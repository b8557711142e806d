"""`--on-miss record`: a request goes to a recorder, and what comes back to the client as it comes.

The recorder is a `harness record` of its own, which keeps the exchange. The connection to it is closed
after the answer, and so is the client's: where the answer ends is told by its end as well as by its
framing, so that a cut reaches the client as a cut.
"""

import asyncio
import sys
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from harness.core.api_forms import Api, api_of, own_error
from harness.core.exchange import Request
from harness.core.headers import OF_CONNECTION, is_named
from harness.core.miss import Miss, Why
from harness.replay.answers import Recorded, instant
from harness.replay.connection import UNSENT_LIMIT, Answer
from harness.replay.instead import MARK, Given, Instead
from harness.replay.match import Library
from harness.replay.pacer import Pacer, Wire
from harness.replay.playback import Client, Ending, Playback
from harness.replay.reader import Incoming

HEAD_END = b"\r\n\r\n"
DROPPED = (*OF_CONNECTION, "x-harness-*")
"""Headers that speak of this connection, or to us."""
CLOSING = f"connection: close\r\n{MARK}: recorded\r\n".encode()
NOTHING = Playback(b"", array("q"), array("Q"), Ending.CLOSE)


@dataclass(frozen=True, slots=True)
class Target:
    """A recorder: where it listens, and the name of the upstream that it records."""

    host: str
    port: int
    name: str


def forwarding(library: Library[Recorded], targets: Mapping[str, Target]) -> Instead:
    """Forwards what missed to the recorder of its upstream: the named one, or the only one."""

    def give(miss: Miss, incoming: Incoming, _session: str) -> Given | None:
        name, bare = library.without_name(incoming.request)
        target = targets.get(name) if name else next(iter(targets.values())) if len(targets) == 1 else None
        if target is None or miss.why not in (Why.UNMATCHED, Why.EXHAUSTED):
            return None
        request, api = bytes_of(bare, target), api_of(bare)

        def begin(client: Wire, ended: Callable[[], None]) -> Relay:
            return Relay(target, request, api, client.transport, ended)

        return Given("recorded", f"forwarded to the upstream {target.name}", Answer(NOTHING, begin=begin))

    return give


def bytes_of(request: Request, target: Target) -> bytes:
    """A request as it goes to a recorder, without what speaks of this connection, or to us."""
    kept = [f"{name}: {value}" for name, value in request.headers if not is_named(name.lower(), DROPPED)]
    length = [f"content-length: {len(request.body)}"] if request.body or request.method != "GET" else []
    own = [f"host: {target.host}:{target.port}", "connection: close", *length]
    lines = [f"{request.method} {request.path} HTTP/1.1", *own, *kept, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + request.body


class Relay(asyncio.Protocol):
    """One request on its way; for its client's connection it is what is being played."""

    def __init__(
        self,
        target: Target,
        request: bytes,
        api: Api,
        client: asyncio.Transport,
        ended: Callable[[], None],
    ) -> None:
        self.target = target
        self.request = request
        self.api = api
        self.client = client
        self.ended = ended
        self.transport: asyncio.Transport | None = None
        self.head: bytearray | None = bytearray()
        self.halted = False
        self.connecting = asyncio.ensure_future(self.connect())

    async def connect(self) -> None:
        """Open the connection to the recorder; without one, the client gets a 502."""
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: self, self.target.host, self.target.port)
        except OSError as error:
            self.fail(str(error))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request, unless the client is gone by now."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=UNSENT_LIMIT)
        if self.client.is_closing():
            self.transport.abort()
        else:
            self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Pass it on; the head of the answer says that this connection closes, and what the answer is."""
        if self.head is None:
            self.client.write(data)
            return
        self.head += data
        while self.head is not None and HEAD_END in self.head:
            at = self.head.index(HEAD_END) + 2
            interim = self.head.split(b" ", 2)[1][:1] == b"1"
            self.client.write(bytes(self.head[:at]) + (b"" if interim else CLOSING))
            rest = self.head[at:]
            if interim:
                self.client.write(bytes(rest[:2]))
                self.head = rest[2:]
            else:
                self.client.write(bytes(rest))
                self.head = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The answer is whole, or cut: the client's connection ends as this one did."""
        if self.client.is_closing():
            return
        if self.head is not None:
            self.fail("it closed the connection without an answer")
        elif exc is not None:
            self.client.abort()
        else:
            self.ended()

    def fail(self, why: str) -> None:
        """Tell the client that there is no answer."""
        if not self.client.is_closing():
            said = f"the recorder for {self.target.name} does not answer: {why}"
            print(f"harness replay: {said}", file=sys.stderr, flush=True)
            body = own_error(self.api, 502, said, "harness_upstream")
            self.client.write(instant(502, body, Client(http10=True)).blob)
            self.ended()

    @property
    def blocked(self) -> bool:
        """Whether the client reads slowly, so that nothing more is read for it."""
        return self.halted

    @blocked.setter
    def blocked(self, halted: bool) -> None:
        self.halted = halted
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading() if halted else self.transport.resume_reading()

    def caught_up(self, _pacer: Pacer) -> None:
        """The client reads again."""
        self.blocked = False

    def client_left(self) -> None:
        """Leave as the client did: the recorder notes it."""
        if self.transport is not None:
            self.transport.abort()
