# mypy: allow-untyped-calls
"""What mitmproxy's HTTP/1 lacks: interim responses from upstreams, trailers, a word on broken requests.

The law of this file: a message that is correct HTTP/1.1 passes and is recorded whole. mitmproxy 12.2
takes a `103 Early Hints` for the answer itself, and ends in an exception at trailers
(`proxy/layers/http/_http1.py`). Interim responses and trailers are dropped here: neither client
libraries nor LLM APIs give them a meaning, and a recording has no place for them.
"""

import logging
import re

import h11
from h11._readers import ChunkedReader, ContentLengthReader, Http10Reader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import _http1

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


class Server(_http1.Http1Server):
    """The side of the client."""

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        """Read on in the head of a request; one that is none is told of, without its bytes."""
        for command in super().read_headers(event):
            if isinstance(command, commands.Log) and isinstance(event, events.DataReceived):
                yield commands.Log(MALFORMED, logging.WARNING)
            else:
                yield command


class Client(_http1.Http1Client):
    """The side of the upstream."""

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        """Read on in the head of a response."""
        if self.request:
            skip_interim(self.buf)
        yield from super().read_headers(event)


def body_reader(expected_size: int | None) -> ChunkedReader | Http10Reader | ContentLengthReader:
    """The reader of a body of this size as mitmproxy counts it (None: chunked)."""
    return WithoutTrailers() if expected_size is None else USUAL_READER(expected_size)


def skip_interim(received: ReceiveBuffer) -> None:
    """Drop the interim heads that stand whole at the beginning of what came."""
    while INTERIM.match(bytes(received)) and received.maybe_extract_lines():
        pass


def install() -> None:
    """Have mitmproxy use these from now on, in this process."""
    http.Http1Server = Server  # type: ignore[attr-defined]
    http.Http1Client = Client  # type: ignore[attr-defined]
    _http1.make_body_reader = body_reader
