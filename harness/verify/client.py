"""An accurate client: many requests at once in one thread, a time stamp right after every read.

The stamp comes before anything else is done with the bytes. Times are `time.monotonic_ns`.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import httptools

READ_BYTES = 256 * 1024
POLL_MS = 100
CONNECT_S = 10.0


class Conversation:
    """One request and what came back; `key` is the caller's. Its `on_…` methods are the parser's.

    `pieces` are the body's bytes with the times at which they were read. `complete`: the framing's
    own end was there. `failure` says why there is no answer to speak of.
    """

    def __init__(self, key: int, request: bytes, limit_ns: int) -> None:
        self.key = key
        self.request = request
        self.limit_ns = limit_ns
        self.sent_ns = 0
        self.arrived_ns = 0
        self.status = 0
        self.pieces: list[tuple[int, bytes]] = []
        self.complete = False
        self.until_close = True
        self.failure: str | None = None
        self.parser = httptools.HttpResponseParser(self)

    def take(self, data: bytes, arrived_ns: int) -> bool:
        """Parse bytes that were read at a time; True when the response is over."""
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

    def on_header(self, name: bytes, _value: bytes) -> None:
        """One header: these two say where the body ends; without them, the connection's end does."""
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


class Table:
    """The conversations under way, each with its socket, by the socket's file."""

    def __init__(self) -> None:
        self.poll = select.poll()
        self.seats: dict[int, tuple[socket.socket, Conversation]] = {}

    def seat(self, connection: socket.socket, conversation: Conversation) -> None:
        """Take a conversation in."""
        self.seats[connection.fileno()] = connection, conversation
        self.poll.register(connection, select.POLLIN)

    def listen(self, wait_ms: int) -> Iterator[Conversation]:
        """Wait for bytes and read them; gives the conversations that are over, and closes them."""
        for fd, _ in self.poll.poll(wait_ms):
            if read(*self.seats[fd]):
                yield self.leave(fd)
        now_ns = time.monotonic_ns()
        for fd, (_, conversation) in list(self.seats.items()):
            if now_ns - conversation.sent_ns > conversation.limit_ns:
                conversation.failure = "it did not end in its time"
                yield self.leave(fd)

    def leave(self, fd: int) -> Conversation:
        """Close the connection of a conversation."""
        connection, conversation = self.seats.pop(fd)
        self.poll.unregister(fd)
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
    conversation.sent_ns = time.monotonic_ns()
    try:
        connection.sendall(conversation.request)
    except OSError as error:
        conversation.failure = f"the request could not be sent: {error}"
        connection.close()
        return None
    connection.setblocking(False)
    return connection


def read(connection: socket.socket, conversation: Conversation) -> bool:
    """Read once and stamp; True when the response is over, by its framing or by the connection's end."""
    try:
        data = connection.recv(READ_BYTES)
    except BlockingIOError:
        return False
    except OSError:  # a reset is an end as well: the recording may ask for one
        return True
    if not data:
        conversation.complete = conversation.status > 0 and conversation.until_close
        return True
    return conversation.take(data, time.monotonic_ns())
