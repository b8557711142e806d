"""HTTP/1.1 as a load client speaks it: requests out in one piece, answers in with a stamp for each read.

The law of this file: between the moment at which bytes come and the moment at which their stamp is
kept nothing is done that could wait. While an answer comes, the parser is asked one thing: whether the
message is over; what it says is read afterwards, by somebody else. Times are ns on the monotonic clock.
How reading waits is left to a `Reader`, since Locust's event loop has a faster way than any other
program; everything else here is plain `socket`.
"""

import errno
import os
import socket
import ssl
import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import httptools

from harness.kernel_stamps import ANCILLARY_BYTES, Carry, enable, stamp_of
from harness.load.journal import Answered, Ending, blob_of
from harness.load.records import Stamps
from harness.load.route import Route

READ_BYTES = 65_536
NS_PER_S = 1_000_000_000
NO_DEADLINE = 2**63 - 1
CONNECT_S = 30.0
CLOSED_WITHIN_NS = NS_PER_S
"""A close that crossed a request comes within a round trip; what comes later is the server's own affair."""
BROKEN = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)

type Receive = Callable[[], tuple[bytes, int | None]]
"""One read of a socket: the bytes, and the moment at which they came; None: the reader is to stamp."""


class Stamping:
    """The step from the kernel's clock to the monotonic one, for one process; to be renewed each second.

    A socket of its own keeps the kernel stamping from the start: it stamps nothing while nobody asks.
    `error_ns` is how far off a stamp may be, a step of the kernel's clock since the last renewal included.
    """

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.works = enable(self.socket)
        self.carry = Carry.measure()
        self.offset_ns = self.carry.offset_ns
        self.error_ns = self.carry.error_ns

    def renew(self) -> None:
        """Measure the step anew; what it moved by was in the stamps of the last second."""
        before_ns = self.offset_ns
        self.carry = Carry.measure()
        self.offset_ns = self.carry.offset_ns
        self.error_ns = self.carry.error_ns + abs(self.offset_ns - before_ns)

    def error_now_ns(self) -> int:
        """The error as of now: where the kernel's clock was set a moment ago, this is what shows it."""
        once = Carry.measure_once()
        return max(self.error_ns, abs(once.offset_ns - self.offset_ns) - once.error_ns)

    def receiver(self, sock: socket.socket) -> Receive:
        """How to read a plain TCP socket with the kernel's stamps."""
        recvmsg = sock.recvmsg

        def receive() -> tuple[bytes, int | None]:
            data, ancillary, _, _ = recvmsg(READ_BYTES, ANCILLARY_BYTES)
            stamp_ns = stamp_of(ancillary)
            return data, None if stamp_ns is None else stamp_ns - self.offset_ns

        return receive

    def close(self) -> None:
        """Let go of the socket."""
        self.socket.close()


def plain_receiver(sock: socket.socket) -> Receive:
    """How to read a socket without the kernel's stamps."""
    return lambda: (sock.recv(READ_BYTES), None)


class Answer:
    """What comes back for one request. Its `on_…` methods are the parser's.

    `over`: nothing more is to be read; `ending` says why. `first_ns` and `last_ns` are the arrivals of
    the first and the last bytes so far.
    """

    __slots__ = (
        "body",
        "connect_ns",
        "deadline_ns",
        "end_ns",
        "ending",
        "error",
        "first_ns",
        "headers",
        "is_head",
        "keeps",
        "kernel",
        "last_ns",
        "now_ns",
        "over",
        "parser",
        "received",
        "request_bytes",
        "retried",
        "sent_ns",
        "sizes",
        "stall_ns",
        "stamp_error_ns",
        "stamps",
        "status",
        "until_close",
    )

    def __init__(self, *, is_head: bool = False) -> None:
        self.is_head = is_head
        self.retried = False
        self.connect_ns = 0
        self.request_bytes = 0
        self.begin(0, NO_DEADLINE, NO_DEADLINE)

    def begin(self, sent_ns: int, deadline_ns: int, stall_ns: int) -> None:
        """As new, for a request sent at a time. `stall_ns`: the longest silence."""
        self.sent_ns = self.now_ns = sent_ns
        self.deadline_ns, self.stall_ns = deadline_ns, stall_ns
        self.stamps: array[int] = array("q")
        self.sizes: array[int] = array("I")
        self.body: list[bytes] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.status: int | None = None
        self.ending: Ending | None = None
        self.error: str | None = None
        self.first_ns: int | None = None
        self.last_ns = self.end_ns = sent_ns
        self.received = 0
        self.over = self.keeps = False
        self.kernel = True
        self.until_close = True
        self.stamp_error_ns = 0
        self.parser = httptools.HttpResponseParser(self)

    def take(self, data: bytes, stamp_ns: int | None) -> None:
        """One read: its bytes and their arrival. No bytes: the connection is at its end. The hot path."""
        if stamp_ns is None:
            stamp_ns = time.monotonic_ns()
            self.kernel = self.kernel and not data
        if not data:
            self.close(stamp_ns)
            return
        self.now_ns = stamp_ns = max(stamp_ns, self.last_ns)
        if self.first_ns is None:
            self.first_ns = stamp_ns
        self.last_ns = stamp_ns
        self.received += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            if not self.over:
                self.finish(Ending.PROTOCOL, stamp_ns, "no HTTP/1.1 answer")
            self.keeps = False

    def close(self, now_ns: int) -> None:
        """The connection is at its end: that may be the body's end too, or come too early."""
        if self.status is not None and self.until_close:
            self.finish(Ending.CLOSED, self.last_ns)
        else:
            self.finish(Ending.CUT, now_ns, "connection closed")

    def finish(self, ending: Ending, end_ns: int, error: str | None = None) -> None:
        """It is over; the first word counts."""
        if not self.over:
            self.over, self.ending, self.end_ns, self.error = True, ending, end_ns, error

    def broke(self, error: OSError) -> None:
        """Reading failed."""
        self.finish(Ending.RESET, time.monotonic_ns(), reason(error))

    def wake_ns(self) -> int:
        """When to give up, if nothing comes until then."""
        return min(self.deadline_ns, self.now_ns + self.stall_ns)

    def give_up_if_late(self, now_ns: int) -> bool:
        """Give up if a deadline has passed; whether it has."""
        if now_ns >= self.deadline_ns:
            self.finish(Ending.TIMEOUT, now_ns, "timeout")
        elif now_ns - self.now_ns >= self.stall_ns:
            self.finish(Ending.STALL, now_ns, "silence")
        return self.over

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line."""
        self.headers.append((name, value))
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self.until_close = False

    def on_headers_complete(self) -> None:
        """The head is whole; what is not yet the answer (1xx) is forgotten."""
        status = self.parser.get_status_code()
        if status < 200:
            self.headers, self.until_close = [], True
            return
        self.status = status
        if self.is_head:
            self.on_message_complete()

    def on_body(self, data: bytes) -> None:
        """A part of the body; all of one read's are one piece."""
        if self.stamps and self.stamps[-1] == self.now_ns:
            self.sizes[-1] += len(data)
        else:
            self.stamps.append(self.now_ns)
            self.sizes.append(len(data))
        self.body.append(data)

    def on_message_complete(self) -> None:
        """The framing's own end."""
        if self.status is not None and not self.over:
            self.keeps = self.parser.should_keep_alive() and not self.is_head
            self.finish(Ending.DONE, self.now_ns)

    @property
    def is_untouched(self) -> bool:
        """Whether the connection ended before a byte of an answer came, as a kept one may at any time.

        Not if it held the request for long: a server that gives up what it had begun has failed.
        """
        is_broken = self.first_ns is None and self.ending in (Ending.CUT, Ending.RESET)
        return is_broken and self.end_ns - self.sent_ns < CLOSED_WITHIN_NS

    def frame(self, number: int) -> tuple[Answered, bytes]:
        """What the journal keeps of it: head and blob."""
        headers = ((name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
                   for name, value in self.headers)  # fmt: skip
        head = Answered(
            number=number,
            sent_ns=self.sent_ns,
            connect_ns=self.connect_ns,
            first_byte_ns=self.first_ns,
            end_ns=self.end_ns,
            ending=self.ending or Ending.CANCELLED,
            error=self.error,
            status=self.status,
            headers=tuple(headers),
            stamps=Stamps.KERNEL if self.kernel and self.first_ns is not None else Stamps.READER,
            stamp_error_ns=self.stamp_error_ns,
            request_bytes=self.request_bytes,
            response_bytes=self.received,
            pieces=len(self.stamps),
            retried=self.retried,
        )
        return head, blob_of(self.stamps, self.sizes, self.body)


class Connection:
    """A connection to the target, and how it is read."""

    __slots__ = ("receive", "sock", "stamping")

    def __init__(self, sock: socket.socket, stamping: Stamping | None) -> None:
        usable = stamping is not None and not isinstance(sock, ssl.SSLSocket) and enable(sock)
        self.sock = sock
        self.stamping = stamping if usable else None
        self.receive = self.stamping.receiver(sock) if self.stamping else plain_receiver(sock)

    def is_alive(self) -> bool:
        """Whether the server has neither closed it nor said something that nobody asked for."""
        self.sock.settimeout(0)
        try:
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock.recv(1)
            else:
                self.sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close it."""
        with suppress(OSError):
            self.sock.close()


class Kept:
    """Connections that wait for their next request, the last one used on top."""

    def __init__(self) -> None:
        self.idle: list[Connection] = []

    def take(self) -> Connection | None:
        """One that is still good; None: there is none."""
        while self.idle:
            connection = self.idle.pop()
            if connection.is_alive():
                return connection
            connection.close()
        return None

    def give(self, connection: Connection) -> None:
        """Keep one."""
        self.idle.append(connection)

    def close(self) -> None:
        """Close all of them."""
        while self.idle:
            self.idle.pop().close()


class Reader(Protocol):
    """How an answer is read."""

    def read(self, connection: Connection, answer: Answer) -> None:
        """Read until the answer is over, at its deadlines at the latest."""


class LoopReader:
    """Reads in a loop that waits on the socket: for TLS, and where nothing faster is at hand."""

    def read(self, connection: Connection, answer: Answer) -> None:
        """Read until the answer is over. What has come is read before a silence is called one."""
        while not answer.over:
            now_ns = time.monotonic_ns()
            connection.sock.settimeout(max(0, answer.wake_ns() - now_ns) / NS_PER_S)
            read_once(connection.receive, answer)
            answer.give_up_if_late(now_ns)


def read_once(receive: Receive, answer: Answer) -> None:
    """One read into the answer; nothing where there is nothing to read yet."""
    try:
        data, stamp_ns = receive()
    except (TimeoutError, BlockingIOError, InterruptedError, ssl.SSLWantReadError):
        return
    except OSError as error:
        answer.broke(error)
    else:
        answer.take(data, stamp_ns)


class Client:
    """Asks a target. `timeout_s` counts from the sending, `stall_s` is the longest silence within."""

    def __init__(
        self,
        route: Route,
        reader: Reader,
        stamping: Stamping | None,
        timeout_s: float,
        stall_s: float | None,
    ) -> None:
        self.route = route
        self.reader = reader
        self.stamping = stamping
        self.timeout_s = timeout_s
        self.timeout_ns = int(timeout_s * NS_PER_S)
        self.stall_ns = NO_DEADLINE // 2 if stall_s is None else int(stall_s * NS_PER_S)

    def ask(self, answer: Answer, request: bytes, kept: Kept, sending: Callable[[], None]) -> None:
        """Send a request and read its answer. `sending` is called once, right before its bytes leave.

        A kept connection that turns out to be closed before a byte of the answer came is replaced by
        a fresh one, once: servers close idle connections whenever they like.
        """
        answer.request_bytes = len(request)
        connection = kept.take()
        if connection is None:
            connection = self.connect(answer)
        elif self.is_answered(connection, answer, request, kept, sending):
            return
        else:
            answer.retried, sending = True, nothing
            connection = self.connect(answer)
        if connection is None:
            sending()
        else:
            self.converse(connection, answer, request, kept, sending)

    def is_answered(
        self, connection: Connection, answer: Answer, request: bytes, kept: Kept, sending: Callable[[], None]
    ) -> bool:
        """Ask on a kept connection; False where that was closed and another should be tried."""
        self.converse(connection, answer, request, kept, sending)
        return not answer.is_untouched

    def connect(self, answer: Answer) -> Connection | None:
        """A fresh connection; None: there is none, and the answer says why."""
        start_ns = time.monotonic_ns()
        answer.begin(start_ns, NO_DEADLINE, NO_DEADLINE)
        try:
            sock = self.route.connect(min(self.timeout_s, CONNECT_S))
        except TimeoutError:
            answer.finish(Ending.TIMEOUT, time.monotonic_ns(), "connect timeout")
        except OSError as error:
            answer.finish(Ending.REFUSED, time.monotonic_ns(), reason(error))
        else:
            answer.connect_ns = time.monotonic_ns() - start_ns
            return Connection(sock, self.stamping)
        return None

    def converse(
        self, connection: Connection, answer: Answer, request: bytes, kept: Kept, sending: Callable[[], None]
    ) -> None:
        """One request and its answer on a connection, which is kept or closed afterwards."""
        try:
            connection.sock.settimeout(self.timeout_s)
            sending()
            self.send(connection.sock, answer, request)
            self.reader.read(connection, answer)
        finally:
            if connection.stamping is None:
                answer.kernel = False
            else:
                answer.stamp_error_ns = connection.stamping.error_now_ns()
            if answer.keeps:
                kept.give(connection)
            else:
                connection.close()

    def send(self, sock: socket.socket, answer: Answer, request: bytes) -> None:
        """Send a request; the stamp is taken right before the call that hands over the last byte."""
        sent_ns = time.monotonic_ns()
        answer.begin(sent_ns, sent_ns + self.timeout_ns, self.stall_ns)
        try:
            sent = sock.send(request)
            while sent < len(request):
                answer.sent_ns = answer.now_ns = time.monotonic_ns()
                sent += sock.send(memoryview(request)[sent:])
        except TimeoutError:
            answer.finish(Ending.TIMEOUT, time.monotonic_ns(), "timeout")
        except OSError as error:
            if error.errno not in BROKEN:  # else an answer may have come before the connection broke
                answer.broke(error)
        answer.deadline_ns = answer.sent_ns + self.timeout_ns


def nothing() -> None:
    """Do nothing."""


def reason(error: OSError) -> str:
    """What went wrong with a connection, in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'failed'}".lower().replace("tls", "TLS", 1)
    if isinstance(error, socket.gaierror):
        return "host not found"
    if error.errno is None:
        return str(error) or "connection failed"
    return os.strerror(error.errno).lower().removesuffix(" by peer")
