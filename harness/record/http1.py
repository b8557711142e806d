# mypy: allow-untyped-calls
"""What mitmproxy's HTTP lacks: interim responses, trailers, large requests, ends told from cuts.

The law of this file: a message that is correct HTTP/1.1 passes and is recorded whole. mitmproxy 12.2
takes a `103 Early Hints` for the answer itself, and ends in an exception at trailers
(`proxy/layers/http/_http1.py`). Interim responses pass, but for `100 Continue`, with which mitmproxy
answers by itself; trailers, which a proxy may leave out (RFC 9110, 6.5.1), do not. A recording has no
place for either. Of a request body mitmproxy holds all or, told so before it has seen any of it, nothing:
here it holds the beginning, so that a small request still waits for its end before anything is asked.

How an upstream breaks off is how the client sees it break off: what mitmproxy answers with a 502 is here
a connection that is closed, as the upstream did, or reset. It gives a 502 where there is no connection.
"""

import logging
import re

import h11
from h11._readers import ChunkedReader, ContentLengthReader, Http10Reader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.http import Response
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import _events, _http1
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, ResponseProtocolError

from harness.core.exchange import RESET
from harness.record.wires import Wires

INTERIM = re.compile(rb"HTTP/\d(?:\.\d)? 1(?!01)\d\d[ \r\n]")
"""The beginning of a response that is followed by another (RFC 9110, 15.2); 101 is the last of its own."""


HELD = 1024 * 1024
"""Bytes of a request body that wait for its end; a longer one is passed on as it comes."""

UPLOAD = "harness.upload"
"""Key of a flow's metadata: what is called with each part of such a body, and returns it."""

TUNNEL = "harness.tunnel"
"""Key of the metadata of a CONNECT whose tunnel nobody looks into."""

CONTINUE = 100


USUAL_READER = _http1.make_body_reader

MALFORMED = "a client sent what is no HTTP request; answered with 400, not recorded"
"""What mitmproxy then logs, as a warning."""


class WithoutTrailers(ChunkedReader):
    """h11's reader of chunked bodies, which ends without the trailers."""

    def __call__(self, data: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        """The next part of the body, None if it is not here yet."""
        part = super().__call__(data)
        return h11.EndOfMessage() if isinstance(part, h11.EndOfMessage) else part


BROKEN = (ErrorCode.GENERIC_SERVER_ERROR, ErrorCode.RESPONSE_VALIDATION_FAILED)
"""What mitmproxy calls it when an upstream breaks off, or what it says is no HTTP."""


class Server(_http1.Http1Server):
    """The side of the client."""

    wires: Wires

    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        """Send a part of an answer, or its end; what is interim is not the answer yet."""
        if isinstance(event, ResponseProtocolError) and event.code in BROKEN:
            return self.break_off(event.message)
        if isinstance(event, _events.ResponseHeaders) and is_interim(event.response.status_code):
            return self.send_interim(event.response)
        return super().send(event)  # no generator around it, which would cost every chunk

    def send_interim(self, response: Response) -> layer.CommandGenerator[None]:
        """Send the head of an interim response."""
        yield commands.SendData(self.conn, http1.assemble_response_head(response))

    def break_off(self, message: str) -> layer.CommandGenerator[None]:
        """End an answer as its upstream did: with the connection."""
        if message == RESET or (self.response and not ends_by_itself(self.response)):
            self.wires.reset(self.conn)
        yield commands.CloseConnection(self.conn)

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        """Read on in the head of a request; one that is none is told of, without its bytes."""
        for command in super().read_headers(event):
            if isinstance(command, commands.Log) and isinstance(event, events.DataReceived):
                yield commands.Log(MALFORMED, logging.WARNING)
            else:
                yield command


class Client(_http1.Http1Client):
    """The side of the upstream."""

    wires: Wires

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        """Read on in the head of a response, once the interim ones are passed on."""
        while self.request and self.stream_id and INTERIM.match(bytes(self.buf)):
            lines = self.buf.maybe_extract_lines()
            if not lines:
                break
            response = http1.read_response_head([bytes(line) for line in lines])
            yield ReceiveHttp(_events.ResponseHeaders(self.stream_id, response, end_stream=False))
        if self.was_reset(event):
            yield from self.tell_reset()
        else:
            yield from super().read_headers(event)

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Read on in the body of a response."""
        return self.tell_reset() if self.was_reset(event) else super().read_body(event)

    def was_reset(self, event: events.Event) -> bool:
        """Whether the upstream has broken the connection amid an answer, which mitmproxy cannot tell."""
        closed = isinstance(event, events.ConnectionClosed) and self.stream_id is not None
        return closed and self.wires.was_reset(self.conn)

    def tell_reset(self) -> layer.CommandGenerator[None]:
        """Say so."""
        assert self.stream_id is not None
        yield commands.CloseConnection(self.conn)
        yield ReceiveHttp(ResponseProtocolError(self.stream_id, RESET, ErrorCode.GENERIC_SERVER_ERROR))


def ends_by_itself(response: Response) -> bool:
    """Whether a body without its end can be told from a whole one; else closing would be that end."""
    chunked = "chunked" in response.headers.get("transfer-encoding", "").lower()
    return chunked or "content-length" in response.headers


class Stream(http.HttpStream):
    """An exchange of one request and its response."""

    def state_wait_for_response_headers(self, event: _events.ResponseHeaders) -> layer.CommandGenerator[None]:
        """Pass an interim response on, and go on waiting; clients of HTTP/1.0 do not know it."""
        if not is_interim(event.response.status_code):
            yield from super().state_wait_for_response_headers(event)
        elif event.response.status_code != CONTINUE and self.flow.request.http_version != "HTTP/1.0":
            yield http.SendHttp(event, self.context.client)

    def handle_connect_regular(self) -> layer.CommandGenerator[None]:
        """Answer a CONNECT; one whose tunnel leads past us only once the far end is there."""
        if self.flow.metadata.get(TUNNEL):
            error = yield commands.OpenConnection(self.context.server)
            if error:
                self.flow.response = Response.make(502, str(error), {"content-type": "text/plain"})
        yield from super().handle_connect_regular()

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """Begin to pass a request on that gets long; nothing is too long for us."""
        if request and not self.flow.response and len(self.request_body_buf) > HELD:
            begun = bytes(self.request_body_buf)
            self.request_body_buf.clear()
            self.flow.request.stream = self.flow.metadata.get(UPLOAD, True)
            yield from self.start_request_stream()
            yield from self.handle_event(_events.RequestData(self.stream_id, begun))
        return False


def body_reader(expected_size: int | None) -> ChunkedReader | Http10Reader | ContentLengthReader:
    """The reader of a body of this size as mitmproxy counts it (None: chunked)."""
    return WithoutTrailers() if expected_size is None else USUAL_READER(expected_size)


def is_interim(status: int) -> bool:
    """Whether another response follows (RFC 9110, 15.2)."""
    return CONTINUE <= status < 200 and status != 101


def install(wires: Wires) -> None:
    """Have mitmproxy use these from now on, in this process, on the connections of this server."""
    Server.wires = Client.wires = wires
    http.Http1Server = Server  # type: ignore[attr-defined]
    http.Http1Client = Client  # type: ignore[attr-defined]
    http.HttpStream = Stream  # type: ignore[misc]
    _http1.make_body_reader = body_reader
