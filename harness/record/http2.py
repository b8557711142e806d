# mypy: allow-untyped-calls
"""What mitmproxy's HTTP/2 says wrongly: who reset a stream, and how a connection ended.

mitmproxy 12.2 (`proxy/layers/http/_http2.py`, `handle_h2_event`) calls every reset one by the client.
"""

from collections.abc import Generator

from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event
from mitmproxy.proxy import commands
from mitmproxy.proxy.layers import http
from mitmproxy.proxy.layers.http import _http2
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import ResponseProtocolError

from harness.record.ends import CLIENT_RESET, GOAWAY, STREAM_RESET

type Commands = Generator[commands.Command, object, bool]


class Client(_http2.Http2Client):
    """The side of the upstream."""

    def handle_h2_event(self, event: Event) -> Commands:
        """What follows from an event; True: nothing more does."""
        if isinstance(event, ConnectionTerminated):
            yield from self.close_connection(f"{GOAWAY} ({name_of(event.error_code)})")
            return True
        return (yield from attributed(super().handle_h2_event(event)))


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
    """Have mitmproxy use this from now on, in this process."""
    http.Http2Client = Client  # type: ignore[attr-defined]
