# mypy: allow-untyped-calls
"""What mitmproxy's HTTP/2 takes wrongly: who reset a stream, and what a GOAWAY means.

mitmproxy 12.2 (`proxy/layers/http/_http2.py`, `handle_h2_event`) calls every reset one by the client. It and
h2 4.3 end all streams at a GOAWAY; but a server that only wants no more requests, as proxies do after so
many, says how far it has come, and answers those (RFC 9113, 6.8). And where an upstream breaks off before
its answer, mitmproxy gives one of its own, a 502; here the client's stream is reset.
"""

from collections.abc import Generator

from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event
from hyperframe.frame import Frame, GoAwayFrame
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import _http2
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, ResponseProtocolError

from harness.record.ends import CLIENT_RESET, GOAWAY, STREAM_RESET
from harness.record.http1 import BROKEN

type Commands = Generator[commands.Command, object, bool]


class Server(_http2.Http2Server):
    """The side of the client."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Send a part of an answer, or its end; read on."""
        if isinstance(event, ResponseProtocolError) and event.code in BROKEN:
            return self.break_off(event.stream_id)
        return super()._handle_event(event)  # no generator around it, which would cost every chunk

    def break_off(self, stream: int) -> layer.CommandGenerator[None]:
        """End an answer as its upstream did, without a word."""
        if not self.is_closed(stream):
            self.h2_conn.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
            yield commands.SendData(self.conn, self.h2_conn.data_to_send())


class Client(_http2.Http2Client):
    """The side of the upstream."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        table = self.h2_conn._frame_dispatch_table
        table[GoAwayFrame] = self.take_goaway

    def take_goaway(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        """Take a GOAWAY without an error as a word, not as an end."""
        if frame.error_code != ErrorCodes.NO_ERROR:
            return self.h2_conn._receive_goaway_frame(frame)
        event = ConnectionTerminated()
        event.error_code, event.last_stream_id = ErrorCodes.NO_ERROR, frame.last_stream_id
        return [], [event]

    def handle_h2_event(self, event: Event) -> Commands:
        """What follows from an event; True: nothing more does."""
        if not isinstance(event, ConnectionTerminated):
            return (yield from attributed(super().handle_h2_event(event)))
        message = f"{GOAWAY} ({name_of(event.error_code)})"
        last = event.last_stream_id or 0
        if event.error_code == ErrorCodes.NO_ERROR and any(stream <= last for stream in self.streams):
            yield from self.drain(last, message)
            return False
        yield from self.close_connection(message)
        return True

    def drain(self, last: int, message: str) -> Generator[commands.Command, object]:
        """Give up the streams that the upstream will not answer, and open no more on this connection."""
        self.conn.state &= ~ConnectionState.CAN_WRITE  # so that the next request gets another connection
        for stream in [stream for stream in self.streams if stream > last]:
            del self.streams[stream]
            yield ReceiveHttp(ResponseProtocolError(stream, message, ErrorCode.GENERIC_SERVER_ERROR))


def attributed(handling: Commands) -> Commands:
    """The commands, in which an upstream's reset is called so."""
    while True:
        try:
            command = next(handling)
        except StopIteration as end:
            return bool(end.value)
        if isinstance(command, ReceiveHttp) and isinstance(command.event, ResponseProtocolError):
            command.event.message = command.event.message.replace(CLIENT_RESET, STREAM_RESET, 1)
        yield command


def name_of(code: ErrorCodes | int | None) -> str:
    """The name of an error code (RFC 9113, 7)."""
    return code.name if isinstance(code, ErrorCodes) else str(code)


def install() -> None:
    """Have mitmproxy use the client's side, in this process; `harness.record.backlog` does the other."""
    http.Http2Server = Server  # type: ignore[attr-defined]
