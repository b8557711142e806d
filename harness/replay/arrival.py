"""When the bytes came in that a transport is about to read.

A server that is busy reads a request late, and everything it answers would be as late: its deadlines
count from the request's arrival. The kernel knows that moment, but the transports of event loops read
without asking for it. So this takes a look at the same bytes just before (`MSG_PEEK`). Where there is
no stamp, or the transport reads other bytes than were looked at, the time of reading must do.
"""

import socket
import time

from harness.kernel_stamps import ANCILLARY_BYTES, arrival_of

READ_BYTES = 256 * 1024
PEEK = getattr(socket, "MSG_PEEK", 0) | getattr(socket, "MSG_DONTWAIT", 0)
PEEKED = bytearray(READ_BYTES)
"""What is looked at is not used: all connections share the room for it."""


class Arrival:
    """The arrivals on one socket, whose file belongs to a transport: `let_go` before that closes it."""

    __slots__ = ("at_ns", "size", "socket")

    def __init__(self, fd: int, family: int) -> None:
        self.socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=fd)
        self.size = 0
        self.at_ns = 0

    def look(self) -> None:
        """Look at what the next read will bring."""
        self.size = 0
        if not ANCILLARY_BYTES:
            return
        try:
            size, ancillary, _, _ = self.socket.recvmsg_into([PEEKED], ANCILLARY_BYTES, PEEK)
        except OSError:  # nothing there, or the client is gone: the transport finds out and says so
            return
        at_ns = arrival_of(ancillary)
        if at_ns is not None:
            self.size, self.at_ns = size, at_ns

    def of(self, size: int) -> int:
        """When the last of `size` bytes came in that were read now, in ns of `time.monotonic_ns`."""
        now_ns = time.monotonic_ns()
        return min(self.at_ns, now_ns) if 0 < size == self.size else now_ns

    def let_go(self) -> None:
        """Leave the file to its transport."""
        self.socket.detach()
