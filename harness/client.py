"""An accurate client: many requests at once in one thread, and the kernel's own stamp for every read.

What listens to replays (`harness.verify`, `harness.probe`) shares it.

Where the kernel stamps (`harness.kernel_stamps`), a client that is late itself does not make the server
look late; elsewhere the stamp is taken right after the read. Bytes that came in apart and are read
together share the last one's stamp, so the client still reads as soon as it can, and says how late it
was. Times are `time.monotonic_ns`.
"""

import gc
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import httptools

from harness.kernel_stamps import ANCILLARY_BYTES, arrival_of, enable

READ_BYTES = 256 * 1024
POLL_MS = 100
NS_PER_MS = 1_000_000
CONNECT_S = 10.0
RESET = struct.pack("ii", 1, 0)
"""A linger time of zero: closing then sends RST (socket(7))."""
SWITCH_S = 1e-4
"""How long another thread (a progress bar) may keep the interpreter: Python's own 5 ms are too long."""


class Conversation:
    """One request and what came back; `key` is the caller's. Its `on_…` methods are the parser's.

    `pieces` are the body's bytes with the times at which they came in. `complete`: the framing's
    own end was there. `end_ns`: when it was over and its connection about to be closed. `failure` says
    why there is no answer to speak of. `lags_ns` is what the client itself may have added to errors: the
    duration of sending, and how late it made each read. `breaks`: close with a reset instead of politely.
    """

    def __init__(self, key: int, request: bytes, limit_ns: int) -> None:
        self.key = key
        self.request = request
        self.limit_ns = limit_ns
        self.sent_ns = 0
        self.arrived_ns = 0
        self.lags_ns: list[int] = []
        self.status = 0
        self.pieces: list[tuple[int, bytes]] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.until_close = True
        self.breaks = False
        self.end_ns = 0
        self.failure: str | None = None
        self.parser = httptools.HttpResponseParser(self)

    def take(self, data: bytes, arrived_ns: int) -> bool:
        """Parse bytes that came in at a time; True when the response is over."""
        self.arrived_ns = arrived_ns
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.failure = f"not an HTTP response: {error}"
            return True
        return self.complete

    def on_headers_complete(self) -> None:
        """The head is whole; the answer to HEAD ends here, whatever length it states."""
        self.status = self.parser.get_status_code()
        self.complete = self.request.startswith(b"HEAD ")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header: these two say where the body ends; without them, the connection's end does."""
        self.headers.append((name, value))
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self.until_close = False

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self.pieces.append((self.arrived_ns, data))

    def on_message_complete(self) -> None:
        """The framing's own end."""
        self.complete = True


def converse(
    host: str,
    port: int,
    conversations: Iterable[Conversation],
    concurrency: int,
    done: Callable[[Conversation], None],
) -> None:
    """Hold conversations, each on a connection of its own, at most `concurrency` at once."""
    waiting, table = deque(conversations), Table()
    with undisturbed():
        while waiting or table.seats:
            room = bool(waiting) and len(table.seats) < concurrency
            if room:  # one at a time, since those that are seated must be read meanwhile
                conversation = waiting.popleft()
                connection = begin(host, port, conversation)
                if connection is None:
                    done(conversation)
                else:
                    table.seat(connection, conversation)
            for conversation in table.listen(0 if room else POLL_MS):
                done(conversation)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep Python's own pauses away: no garbage collection, and other threads give way at once."""
    interval_s, collects = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(SWITCH_S)
    gc.disable()
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
        if collects:
            gc.enable()


class Table:
    """The conversations under way, each with its socket, by the socket's file."""

    def __init__(self) -> None:
        self.poll = select.poll()
        self.seats: dict[int, tuple[socket.socket, Conversation]] = {}
        self.looked_ns = 0

    def seat(self, connection: socket.socket, conversation: Conversation) -> None:
        """Take a conversation in."""
        self.seats[connection.fileno()] = connection, conversation
        self.poll.register(connection, select.POLLIN)

    def listen(self, wait_ms: int) -> Iterator[Conversation]:
        """Wait for bytes and read them; gives the conversations that are over, and closes them."""
        for fd, _ in self.poll.poll(wait_ms):
            if read(*self.seats[fd]):
                yield self.leave(fd)
        yield from self.give_up(time.monotonic_ns())

    def give_up(self, now_ns: int) -> Iterator[Conversation]:
        """The conversations that are over their time; looked for at times, since it goes through them all."""
        if now_ns - self.looked_ns < POLL_MS * NS_PER_MS:
            return
        self.looked_ns = now_ns
        for fd, (_, conversation) in list(self.seats.items()):
            if now_ns - conversation.sent_ns > conversation.limit_ns:
                conversation.failure = "it did not end in its time"
                yield self.leave(fd)

    def leave(self, fd: int) -> Conversation:
        """Close the connection of a conversation."""
        connection, conversation = self.seats.pop(fd)
        self.poll.unregister(fd)
        conversation.end_ns = time.monotonic_ns()
        if conversation.breaks:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.close()
        return conversation


def begin(host: str, port: int, conversation: Conversation) -> socket.socket | None:
    """Connect and send the request in one piece; the stamp is taken just before."""
    try:
        connection = socket.create_connection((host, port), timeout=CONNECT_S)
    except OSError as error:
        conversation.failure = f"no connection: {error}"
        return None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    enable(connection)
    conversation.sent_ns = time.monotonic_ns()
    try:
        connection.sendall(conversation.request)
    except OSError as error:
        conversation.failure = f"the request could not be sent: {error}"
        connection.close()
        return None
    conversation.lags_ns.append(time.monotonic_ns() - conversation.sent_ns)
    connection.setblocking(False)
    return connection


def read(connection: socket.socket, conversation: Conversation) -> bool:
    """Read once and stamp; True when the response is over, by its framing or by the connection's end."""
    try:
        data, ancillary, _, _ = connection.recvmsg(READ_BYTES, ANCILLARY_BYTES)
    except BlockingIOError:
        return False
    except OSError:  # a reset is an end as well: the recording may ask for one
        return True
    now_ns = time.monotonic_ns()
    if not data:
        conversation.complete = conversation.status > 0 and conversation.until_close
        return True
    arrived_ns = min(now_ns, arrival_of(ancillary) or now_ns)
    conversation.lags_ns.append(now_ns - arrived_ns)
    return conversation.take(data, arrived_ns)
