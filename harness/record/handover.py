"""The way from the proxy to the writer: a socket that never makes the proxy wait.

The law of this file: what was given to `send` reaches the writer or the recorder stops visibly. The
bytes that wait for the writer are bounded; there is no dropping.
"""

import asyncio
import socket
from collections.abc import Callable

LIMIT = 256 * 1024 * 1024
"""Bytes that may wait for the writer."""

BUFFER = 4 * 1024 * 1024
"""What we ask of the kernel's own buffer; it gives what it allows."""


WRITER_GONE = "the writer is gone"
"""What `fail` is told when the other end is closed."""


class Handover(asyncio.Protocol):
    """The sender's end. `fail` is called once, with the reason, when something cannot be handed over.

    `peak` is the most that ever waited here for the writer, in bytes; the kernel holds some more.
    """

    def __init__(self, fail: Callable[[str], None], limit: int) -> None:
        self.fail = fail
        self.limit = limit
        self.peak = 0
        self.closed = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    @classmethod
    async def over(cls, end: socket.socket, fail: Callable[[str], None], limit: int = LIMIT) -> "Handover":
        """A handover through one end of a socket pair."""
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        _, protocol = await asyncio.get_running_loop().create_connection(lambda: cls(fail, limit), sock=end)
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=self.limit)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """All was sent after `close`, or the writer is gone."""
        self.transport = None
        if not self.closed.done():
            self.closed.set_result(exc)
        if exc is not None:
            self.fail(WRITER_GONE)

    def eof_received(self) -> bool:
        """The writer never closes its end before we do, unless it died."""
        self.fail(WRITER_GONE)
        return False

    def send(self, message: bytes) -> None:
        """Queue a message; nothing waits and nothing raises."""
        if self.transport is None:
            self.fail(WRITER_GONE)
            return
        self.transport.write(message)
        self.peak = max(self.peak, self.transport.get_write_buffer_size())
        if self.transport.get_write_buffer_size() > self.limit:
            self.fail(f"more than {self.limit // 2**20} MiB wait for the writer, which is too slow")

    async def close(self) -> None:
        """Wait until the writer's end has taken all, or is gone."""
        if self.transport is not None:
            self.transport.close()
        await self.closed
