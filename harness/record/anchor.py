"""One reading of the wall clock beside the monotonic clock, which turns stamps into dates.

The law of this file: the wall clock is read once a capture; a step of it while the recorder runs
changes nothing. `CLOCK_MONOTONIC` is the same in all processes of a machine.
"""

import time
from dataclasses import dataclass
from typing import Self

from harness.core.dates import date_of


@dataclass(frozen=True, slots=True)
class Anchor:
    """The same moment on both clocks, in ns, and how far apart the two readings may be."""

    wall_ns: int
    monotonic_ns: int
    error_ns: int

    @classmethod
    def now(cls) -> Self:
        """Read the clocks: the wall clock between two readings of the monotonic one."""
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        return cls(wall, (before + after) // 2, after - before)

    def date(self, stamp_ns: int) -> str:
        """The date of a stamp of the monotonic clock, in RFC 3339 with microseconds and a `Z`.

        >>> Anchor(1_700_000_000_000_000_000, 500, 0).date(2_000_500)
        '2023-11-14T22:13:20.002000Z'
        """
        return date_of(self.wall_ns + stamp_ns - self.monotonic_ns)
