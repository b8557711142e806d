# mypy: allow-untyped-calls
"""What mitmproxy's HTTP/1 lacks: interim responses from upstreams, trailers, ends told from cuts.

The law of this file: a message that is correct HTTP/1.1 passes and is recorded whole. mitmproxy 12.2
takes a `103 Early Hints` for the answer itself, and ends in an exception at trailers
(`proxy/layers/http/_http1.py`). Interim responses and trailers are dropped here: neither client
libraries nor LLM APIs give them a meaning, and a recording has no place for them.

How an upstream breaks off is how the client sees it break off: what mitmproxy answers with a 502 is here
a connection that is closed, as the upstream did, or reset. It gives a 502 where there is no connection.
"""

import logging
import re

import h11
from h11._readers import ChunkedReader, ContentLengthReader, Http10Reader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.http import Response
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, HttpEvent, ResponseProtocolError

from harness.core.exchange import RESET
from harness.record.wires import Wires

INTERIM = re.compile(rb"HTTP/\d(?:\.\d)? 1(?!01)\d\d[ \r\n]")
"""The beginning of a response that is followed by another (RFC 9110, 15.2); 101 is the last of its own."""


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
        """Send a part of an answer, or its end."""
        if isinstance(event, ResponseProtocolError) and event.code in BROKEN:
            return self.break_off(event.message)
        return super().send(event)  # no generator around it, which would cost every chunk

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
        """Read on in the head of a response."""
        if self.request:
            skip_interim(self.buf)
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


def body_reader(expected_size: int | None) -> ChunkedReader | Http10Reader | ContentLengthReader:
    """The reader of a body of this size as mitmproxy counts it (None: chunked)."""
    return WithoutTrailers() if expected_size is None else USUAL_READER(expected_size)


def skip_interim(received: ReceiveBuffer) -> None:
    """Drop the interim heads that stand whole at the beginning of what came."""
    while INTERIM.match(bytes(received)) and received.maybe_extract_lines():
        pass


def install(wires: Wires) -> None:
    """Have mitmproxy use these from now on, in this process, on the connections of this server."""
    Server.wires = Client.wires = wires
    http.Http1Server = Server  # type: ignore[attr-defined]
    http.Http1Client = Client  # type: ignore[attr-defined]
    _http1.make_body_reader = body_reader
