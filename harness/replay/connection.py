"""One HTTP/1.1 connection of a client: parses requests (httptools), answers them one after another.

A request is answered when its last byte is here; the moment at which that byte was read is t0.
Requests that come while an answer is played (pipelining) wait in a short queue. The socket is read
on all the while, so that a client that leaves is noticed at once; only a full queue stops reading.
"""

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools

from harness.core.exchange import Request
from harness.replay.pacer import Pacer, Play
from harness.replay.playback import Client, Ending, Playback

HEAD_LIMIT = 64 * 1024
"""Bytes of request line and headers; more is answered with 431."""
BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of a request's body; more is answered with 413."""
UNSENT_LIMIT = 64 * 1024
"""Bytes that may wait in a transport before its play is stopped until the reader has caught up."""
QUEUE_LIMIT = 16
"""Pipelined requests that may wait; then the socket is not read until one is answered."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it came in, at `t0_ns` of the monotonic clock, and what its client can take."""

    request: Request
    client: Client
    t0_ns: int
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets: a playback at a speed, or, `instant`, all of its bytes now."""

    playback: Playback
    speed: float = 1.0
    instant: bool = False


class Refused(Exception):
    """A request that is not read to its end; `status` says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Connection(asyncio.Protocol):
    """A client's connection. `answer` decides what a request gets; `refuse` words a refusal."""

    def __init__(
        self,
        pacer: Pacer,
        answer: Callable[[Incoming], Answer],
        refuse: Callable[[int], Answer],
        open_connections: "set[Connection]",
    ) -> None:
        self.pacer = pacer
        self.answer = answer
        self.refuse = refuse
        self.open_connections = open_connections
        self.parser = httptools.HttpRequestParser(self)
        self.waiting: deque[Incoming] = deque()
        self.play: Play | None = None
        self.busy = False
        self.closing = False
        self.fd = -1
        self.arrived_ns = 0
        self.start_request()

    # ---- asyncio's side ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket over: small writes leave at once, and little waits in memory."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=UNSENT_LIMIT)
        self.socket = self.transport.get_extra_info("socket")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fd = self.socket.fileno()
        self.open_connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client left, or we closed; a play that is under way finds the connection gone."""
        self.closing = True
        self.waiting.clear()
        self.open_connections.discard(self)

    def pause_writing(self) -> None:
        """The client reads slowly: its play waits."""
        if self.play is not None:
            self.play.blocked = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self.play is not None and self.play.blocked:
            self.pacer.resume(self.play)

    def data_received(self, data: bytes) -> None:
        """Parse what came; the time of its arrival is t0 of a request that it completes."""
        self.arrived_ns = time.monotonic_ns()
        if self.closing:
            return
        try:
            self.feed(data)
        except httptools.HttpParserCallbackError as error:
            reason = error.__context__
            self.turn_away(reason.status if isinstance(reason, Refused) else 400)
        except (httptools.HttpParserError, Refused) as error:
            self.turn_away(error.status if isinstance(error, Refused) else 400)

    def feed(self, data: bytes) -> None:
        """Give the parser bytes. An offer to upgrade is not taken up, as RFC 9110, 7.8 allows."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            head = self.head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self.feed(head + data[offer.args[0] :])
        else:
            self.count_head(len(data) if self.in_head else 0)

    # ---- the parser's side ----

    def head_without_upgrade(self) -> bytes:
        """The head just parsed, for a parser that is to read its body as well."""
        lines = [
            f"{text(self.parser.get_method())} {text(self.target)} HTTP/{self.parser.get_http_version()}"
        ]
        lines += [f"{name}: {value}" for name, value in self.headers if name.lower() != "upgrade"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")

    def start_request(self) -> None:
        """Forget the last request."""
        self.target = b""
        self.headers: list[tuple[str, str]] = []
        self.body: list[bytes] = []
        self.body_size = 0
        self.head_size = 0
        self.in_head = True

    def count_head(self, size: int) -> None:
        """Count bytes of a head, parsed or not."""
        self.head_size += size
        if self.head_size > HEAD_LIMIT:
            raise Refused(431)

    def on_message_begin(self) -> None:
        """A request begins."""
        self.start_request()

    def on_url(self, data: bytes) -> None:
        """A piece of the target."""
        self.target += data
        if len(self.target) > HEAD_LIMIT:
            raise Refused(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self.count_head(len(name) + len(value))
        self.headers.append((text(name), text(value)))

    def on_headers_complete(self) -> None:
        """The head is whole: refuse a body that is too long, ask for one that waits to be asked for."""
        self.in_head = False
        named = {name.lower(): value for name, value in self.headers}
        length = named.get("content-length", "0")
        if length.isdigit() and int(length) > BODY_LIMIT:
            raise Refused(413)
        if named.get("expect", "").lower() == "100-continue" and not self.busy:
            self.transport.write(CONTINUE)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self.body_size += len(data)
        if self.body_size > BODY_LIMIT:
            raise Refused(413)
        self.body.append(data)

    def on_message_complete(self) -> None:
        """The request is whole: answer it, or let it wait for the answers before it."""
        if self.parser.should_upgrade():
            return
        incoming = self.incoming()
        self.in_head = True
        self.head_size = 0
        if self.busy:
            self.waiting.append(incoming)
            if len(self.waiting) >= QUEUE_LIMIT:
                self.transport.pause_reading()
        else:
            self.serve(incoming)

    def incoming(self) -> Incoming:
        """The parsed request."""
        headers = tuple(self.headers)
        target = text(self.target)
        named = {name.lower(): value for name, value in headers}
        http10 = self.parser.get_http_version() == "1.0"
        method = text(self.parser.get_method())
        request = Request(
            method=method,
            url=f"http://{named.get('host', '')}{target}",
            path=target,
            headers=headers,
            body=b"".join(self.body),
        )
        client = Client(http10, method == "HEAD", named.get("accept-encoding"))
        return Incoming(request, client, self.arrived_ns, self.parser.should_keep_alive())

    # ---- answering ----

    def serve(self, incoming: Incoming) -> None:
        """Answer one request."""
        self.busy = True
        answer = self.answer(incoming)
        if answer.instant:
            self.transport.write(answer.playback.blob)
            self.finish(answer.playback.ending, keep_alive=incoming.keep_alive)
            return

        def ended() -> None:
            self.finish(answer.playback.ending, keep_alive=incoming.keep_alive)

        self.play = Play(answer.playback, self, incoming.t0_ns, answer.speed, ended)
        self.pacer.add(self.play)

    def finish(self, ending: Ending, *, keep_alive: bool) -> None:
        """After an answer: break, close, or go on with the next request."""
        self.play = None
        self.busy = False
        if ending is Ending.RESET:
            self.reset()
        elif ending is Ending.CLOSE or not keep_alive:
            self.close()
        elif self.waiting:
            self.transport.resume_reading()
            self.serve(self.waiting.popleft())

    def turn_away(self, status: int) -> None:
        """Answer a request that cannot be read, and close."""
        if not self.busy:
            self.transport.write(self.refuse(status).playback.blob)
        self.close()

    def close(self) -> None:
        """Close once everything is sent."""
        self.closing = True
        self.transport.close()

    def reset(self) -> None:
        """Break the connection: with a linger time of zero, closing sends RST (socket(7))."""
        self.closing = True
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def text(data: bytes) -> str:
    """Bytes of a head as text, reversibly."""
    return data.decode("utf-8", "surrogateescape")
