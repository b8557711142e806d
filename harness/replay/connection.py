"""One HTTP/1.1 connection of a client: requests are answered one after another.

A request is answered when its last byte is here; the moment at which that byte came in is t0.
Requests that come while an answer is played (pipelining), or while the client does not take what it
was sent, wait in a queue. The socket is read on all the while, so that a client that leaves is noticed
at once; only a full queue stops reading. A client that closes its sending side counts as gone.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from harness.core.admin import Result
from harness.replay.arrival import READ_BYTES, Arrival
from harness.replay.pacer import Pacer, Play, Wire
from harness.replay.playback import Ending, Playback
from harness.replay.reader import Incoming, RequestReader

UNSENT_LIMIT = 64 * 1024
"""Bytes that may wait in a transport before everything stops until the reader has caught up."""
QUEUE_LIMIT = 16
"""Requests that may wait; then the socket is not read until one is answered."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BREAK = struct.pack("ii", 1, 0)
"""A linger time of zero: closing then sends RST (socket(7))."""
READ = memoryview(bytearray(READ_BYTES))
"""What was read is taken over at once: all connections share the room for it."""


class Playing(Protocol):
    """An answer under way, as its connection sees it. `blocked`: the client reads slowly."""

    blocked: bool

    def caught_up(self, pacer: Pacer) -> None:
        """The client has caught up."""

    def client_left(self) -> None:
        """The client is gone before the end."""


type Begin = Callable[[Wire, Callable[[], None]], Playing]
"""Begins to answer on a client's connection; calls what it is given after the end."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets: a playback at a speed, or, `instant`, all of its bytes now; whose, by `label`.

    With `begin`, it comes from elsewhere, and the playback only says how the connection ends. `result` and
    `fault` are for the journal.
    """

    playback: Playback
    speed: float = 1.0
    instant: bool = False
    label: str = ""
    begin: Begin | None = None
    result: Result = Result.MATCHED
    fault: str = ""


type Seal = Callable[[bytes | memoryview], bytes]
"""Bytes as they go onto a connection that is encrypted."""

type MakePlay = Callable[[Incoming, Answer, Wire, Callable[[], None]], Play]


def make_play(incoming: Incoming, answer: Answer, wire: Wire, ended: Callable[[], None]) -> Play:
    """The play of an answer; `ended` is called after its last part."""
    return Play(answer.playback, wire, incoming.t0_ns, answer.speed, ended)


class Connection(asyncio.BufferedProtocol):
    """A client's connection. `answer` decides what a request gets; `refuse` words a refusal."""

    def __init__(
        self,
        pacer: Pacer,
        answer: Callable[[Incoming], Answer],
        refuse: Callable[[int], Answer],
        open_connections: "set[Connection]",
        new_play: MakePlay = make_play,
    ) -> None:
        self.new_play = new_play
        self.pacer = pacer
        self.answer = answer
        self.refuse = refuse
        self.open_connections = open_connections
        self.reader = RequestReader()
        self.waiting: deque[Incoming] = deque()
        self.play: Playing | None = None
        self.full = False
        self.fd = -1
        self.seal: Seal | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket over: small writes leave at once, and little waits in memory."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=UNSENT_LIMIT)
        self.socket = self.transport.get_extra_info("socket")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fd = self.socket.fileno()
        self.arrival = Arrival(self.fd, self.socket.family)
        self.open_connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client left, or we closed; a play that is under way finds the connection gone."""
        self.arrival.let_go()
        self.waiting.clear()
        self.open_connections.discard(self)
        if self.play is not None:
            self.play.client_left()

    def pause_writing(self) -> None:
        """The client reads slowly: its play waits, and no other begins."""
        self.full = True
        if self.play is not None:
            self.play.blocked = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.full = False
        if self.play is not None and self.play.blocked:
            self.play.caught_up(self.pacer)
        self.go_on()

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Where to read to, asked just before."""
        self.arrival.look()
        return READ

    def buffer_updated(self, size: int) -> None:
        """Take what was read."""
        self.received(bytes(READ[:size]), self.arrival.of(size))

    def received(self, data: bytes, arrived_ns: int) -> None:
        """Take what came in at this time, and answer what can be answered."""
        self.waiting += self.reader.feed(data, arrived_ns)
        if self.reader.waits and self.play is None and not self.waiting:
            self.write(CONTINUE)
        self.go_on()
        if len(self.waiting) >= QUEUE_LIMIT or self.reader.refused:
            self.transport.pause_reading()

    def go_on(self) -> None:
        """Answer what waits, unless something is played, or the client does not keep up."""
        while self.waiting and self.play is None and not self.full and not self.transport.is_closing():
            self.serve(self.waiting.popleft())
        if self.reader.refused and not self.waiting and self.play is None and not self.transport.is_closing():
            self.write(self.refuse(self.reader.refused).playback.blob)
            self.hang_up()

    def write(self, data: bytes) -> None:
        """Write all of it now."""
        self.transport.write(self.seal(data) if self.seal else data)

    def hang_up(self) -> None:
        """Close once all was sent."""
        self.transport.close()

    def serve(self, incoming: Incoming) -> None:
        """Answer one request."""
        answer = self.answer(incoming)
        ending = answer.playback.ending
        if answer.instant:
            self.write(answer.playback.blob)
            self.finish(ending, keep_alive=incoming.keep_alive)
            return

        def ended() -> None:
            self.play = None
            self.finish(ending, keep_alive=incoming.keep_alive)
            self.go_on()

        if answer.begin is not None:
            self.play = answer.begin(self, ended)
            return
        self.play = play = self.new_play(incoming, answer, self, ended)
        self.pacer.add(play)

    def finish(self, ending: Ending, *, keep_alive: bool) -> None:
        """After an answer: break the connection, close it, or keep it."""
        if ending is Ending.RESET:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, BREAK)
            self.transport.abort()
        elif ending is Ending.CLOSE or not keep_alive:
            self.hang_up()
        elif len(self.waiting) < QUEUE_LIMIT and not self.reader.refused:
            self.transport.resume_reading()
