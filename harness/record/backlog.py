# mypy: allow-untyped-calls
"""A client is read no faster than its HTTP/2 upstream takes what it sends.

The law of this file: mitmproxy keeps what an upstream's HTTP/2 window does not let through, without a
bound (`_http_h2.py`), and lets clients send two gigabytes ahead. So who sends an upload is not read on
while more than `MOST_BYTES` of it wait. Under HTTP/1.1 the socket alone does that.
"""

import asyncio

from mitmproxy import connection
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import http

from harness.record import http2

MOST_BYTES = 1024 * 1024
"""Of a client's requests that may wait in its upstreams' connections."""

type Ends = tuple[object, object]
"""The addresses of a client's connection: its own, which two connections may share, and ours."""


class Sluice:
    """What mitmproxy reads a client through. `waiting` is what waits in which of its upstreams, in bytes.

    `held`: it is closed whatever waits there (`harness.record.uploads`).
    """

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader = reader
        self.waiting: dict[str, int] = {}
        self.held = False
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def read(self, size: int) -> bytes:
        """As the reader does, once the sluice is open."""
        await self.is_open.wait()
        return await self.reader.read(size)

    def note(self, upstream: str, waiting: int) -> None:
        """So much waits in a connection now."""
        if waiting:
            self.waiting[upstream] = waiting
        else:
            self.waiting.pop(upstream, None)
        self._adjust()

    def hold(self) -> None:
        """Close it."""
        self.held = True
        self._adjust()

    def release(self) -> None:
        """Open it again, unless too much waits in the upstreams."""
        self.held = False
        self._adjust()

    def _adjust(self) -> None:
        if self.held or sum(self.waiting.values()) > MOST_BYTES:
            self.is_open.clear()
        else:
            self.is_open.set()


SLUICES: dict[Ends, Sluice] = {}
"""Those of the clients that are connected."""


def ends_of(client: connection.Client) -> Ends:
    """The key of a client's sluice."""
    return client.peername, client.sockname


class Client(http2.Client):
    """The side of an upstream that speaks HTTP/2, with what is mended there (`harness.record.http2`)."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.noted = 0

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Tell the client's sluice what waits after each event."""
        yield from super()._handle_event(event)
        buffers = self.h2_conn.stream_buffers
        closed = isinstance(event, events.ConnectionClosed)
        waiting = 0 if closed else sum(len(part.data) for parts in buffers.values() for part in parts)
        sluice = SLUICES.get(ends_of(self.context.client))
        if sluice and waiting != self.noted:
            self.noted = waiting
            sluice.note(self.conn.id, waiting)


def install() -> None:
    """Have mitmproxy use it from now on, in this process."""
    http.Http2Client = Client  # type: ignore[attr-defined]
