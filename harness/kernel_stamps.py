"""When the kernel received bytes, whenever it is that a program gets round to reading them.

With SO_TIMESTAMPNS Linux keeps, for every segment, the moment at which it came in, and `recvmsg` tells
it beside the bytes (socket(7), and Documentation/networking/timestamping.rst). So the reader's own
lag does not count as the sender's.

Of a stream socket, one `recvmsg` tells one stamp: that of the *last* segment that it read from. What
waited before it is given a stamp that is too late, by as much as the segments lay apart. Read as soon
as there is something, and segments that came in apart are read apart.

The stamps are CLOCK_REALTIME, in ns; `Carry` brings them to CLOCK_MONOTONIC, the clock of everything
else here (`time.monotonic_ns`), with a known error. NTP makes both clocks run faster or slower alike,
but the first can also be set, which shifts it: measure a carry anew at times.
"""

import socket
import struct
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

SO_TIMESTAMPNS = 35
"""Both the option and the type of its message (asm-generic/socket.h); Python has no name for it."""
TIMESPEC = struct.Struct("@ll")
"""Seconds and nanoseconds of a C `struct timespec`."""
ANCILLARY_BYTES = socket.CMSG_SPACE(TIMESPEC.size) if sys.platform == "linux" else 0
"""Room for one stamp: the `ancbufsize` of `recvmsg`; 0 where no kernel gives one."""
NS_PER_S = 1_000_000_000
TRIES = 20
TRIES_EACH_READ = 3
"""Some 3 µs, and of no other age than the stamp."""

type Ancillary = Iterable[tuple[int, int, bytes]]
"""What `recvmsg` tells beside the bytes: (level, type, data)."""


def enable(sock: socket.socket) -> bool:
    """Ask the kernel to stamp what comes in on a socket from now on; False where it cannot."""
    if sys.platform != "linux":
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


def stamp_of(ancdata: Ancillary) -> int | None:
    """The stamp in what `recvmsg` told beside the bytes, in ns of CLOCK_REALTIME; None: there is none.

    The first segments of a connection may have none: the kernel stamps nothing until some socket asks
    for it, and starts a moment after that.
    """
    for level, kind, data in ancdata:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= TIMESPEC.size:
            seconds, ns = TIMESPEC.unpack_from(data)
            return int(seconds) * NS_PER_S + int(ns)
    return None


@dataclass(frozen=True, slots=True)
class Carry:
    """The step from CLOCK_REALTIME to CLOCK_MONOTONIC: `offset_ns` is what the first is ahead.

    It is known to within `error_ns` either way, at the moment of measuring.
    """

    offset_ns: int
    error_ns: int

    @classmethod
    def measure(cls, tries: int = TRIES) -> Self:
        """Read CLOCK_REALTIME between two reads of the other, some times; the narrowest pair counts."""
        return min((cls.measure_once() for _ in range(tries)), key=lambda one: one.error_ns)

    @classmethod
    def measure_once(cls) -> Self:
        """One bracket: CLOCK_REALTIME was read between its ends, so the middle is off by half at most."""
        before_ns = time.monotonic_ns()
        realtime_ns = time.time_ns()
        after_ns = time.monotonic_ns()
        return cls(realtime_ns - (before_ns + after_ns) // 2, (after_ns - before_ns + 1) // 2)

    def to_monotonic(self, realtime_ns: int) -> int:
        """A moment of CLOCK_REALTIME on CLOCK_MONOTONIC; both in ns."""
        return realtime_ns - self.offset_ns


def arrival_of(ancdata: Ancillary) -> int | None:
    """When the bytes came in, in ns of `time.monotonic_ns`, by a carry measured now; None: not told."""
    stamp_ns = stamp_of(ancdata)
    return None if stamp_ns is None else Carry.measure(TRIES_EACH_READ).to_monotonic(stamp_ns)
