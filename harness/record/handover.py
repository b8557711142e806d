"""The way from the proxy to the writer: a socket that never makes the proxy wait.

The law of this file: what was given to `send` reaches the writer, or `fail` is told. The bytes that wait
for the writer are bounded. What is over the bound is dropped only where traffic passes on unrecorded
(`Policy.PASS`); where it does not, nothing is dropped, since nothing more will come. From half of the
bound on, `behind` is told, so that who sends much can be made to wait.

The writer says back on the same socket, as a line of text, what it could not store.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable

from harness.core.sizes import size_text
from harness.record.policy import Policy

LIMIT = 256 * 1024 * 1024
"""Bytes that may wait for the writer, unless the user says how many."""

BUFFER = 4 * 1024 * 1024
"""What we ask of the kernel's own buffer; it gives what it allows."""


WATER = 256 * 1024
"""Bytes that the transport holds; the rest waits in a queue of our own, whose length costs nothing."""

WRITER_GONE = "the writer is gone"
"""What `fail` is told when the other end is closed."""


class Handover(asyncio.Protocol):
    """The sender's end. `fail` is told why something cannot be handed over, or be stored; again each time.

    `behind` is told True when more than half of what may wait does, False when it no longer does.

    `peak` is the most that ever waited here for the writer, in bytes; the kernel holds some more.
    """

    def __init__(
        self,
        fail: Callable[[str], None],
        limit: int,
        policy: Policy = Policy.STOP,
        behind: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.fail = fail
        self.limit = limit
        self.policy = policy
        self.behind = behind
        self.peak = 0
        self.queue: deque[bytes] = deque()
        self.queued = 0
        self.is_full = self.is_behind = self.is_closing = False
        self.closed = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self.heard = b""

    @classmethod
    async def over(
        cls,
        end: socket.socket,
        fail: Callable[[str], None],
        limit: int = LIMIT,
        policy: Policy = Policy.STOP,
        behind: Callable[[bool], None] = lambda _: None,
    ) -> "Handover":
        """A handover through one end of a socket pair."""
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(lambda: cls(fail, limit, policy, behind), sock=end)
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=min(WATER, self.limit // 2))
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """All was sent after `close`, or the writer is gone."""
        self.transport = None
        self.queue.clear()
        self.queued = 0
        self._judge()
        if not self.closed.done():
            self.closed.set_result(exc)
        if exc is not None:
            self.fail(WRITER_GONE)

    def pause_writing(self) -> None:
        """The transport has enough."""
        self.is_full = True

    def resume_writing(self) -> None:
        """It takes more."""
        self.is_full = False
        self._hand_on()

    def data_received(self, data: bytes) -> None:
        """The writer could not store something."""
        *lines, self.heard = (self.heard + data).split(b"\n")
        for line in lines:
            self.fail(line.decode("utf-8", "replace"))

    def eof_received(self) -> bool:
        """The writer never closes its end before we do, unless it died."""
        self.fail(WRITER_GONE)
        return False

    def send(self, message: bytes) -> None:
        """Queue a message; nothing waits and nothing raises."""
        if self.transport is None:
            self.fail(WRITER_GONE)
            return
        if self.policy is Policy.PASS and self._is_over(len(message)):
            self._fail_for_size()
            return
        self.queue.append(message)
        self.queued += len(message)
        self._hand_on()
        self.peak = max(self.peak, self.waiting)
        if self.policy is Policy.STOP and self.waiting > self.limit:
            self._fail_for_size()

    @property
    def waiting(self) -> int:
        """Bytes that wait here for the writer."""
        return self.queued + (self.transport.get_write_buffer_size() if self.transport else 0)

    def _hand_on(self) -> None:
        """Give the transport what it takes. It walks through all that it holds at each write."""
        while self.queue and self.transport and not self.is_full:
            message = self.queue.popleft()
            self.queued -= len(message)
            self.transport.write(message)
        if self.is_closing and self.transport and not self.queue:
            self.transport.close()
        self._judge()

    def _judge(self) -> None:
        """Tell whether more than half of what may wait does, where that is news."""
        if self.is_behind != (self.waiting > self.limit // 2):
            self.is_behind = not self.is_behind
            self.behind(self.is_behind)

    def _is_over(self, size: int) -> bool:
        """Whether so much more is too much; a message that nothing stands before always fits."""
        return self.waiting > 0 and self.waiting + size > self.limit

    def _fail_for_size(self) -> None:
        self.fail(f"more than {size_text(self.limit)} wait for the writer, which is too slow")

    async def close(self) -> None:
        """Wait until the writer's end has taken all, or is gone."""
        self.is_closing = True
        self._hand_on()
        await self.closed
