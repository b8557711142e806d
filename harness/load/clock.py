"""The run's own clock: nanoseconds since it began, whichever machine a stamp was made on.

The law of this file: on the machine that started the run a stamp of the monotonic clock is carried
exactly; one of another machine goes over both wall clocks, and the error of both anchors is stated.
What two machines' wall clocks differ by is not in it: no program can see that from one side.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from socket import gethostname
from typing import Any, Self

from harness.core.dates import date_of
from harness.load.records import Record, Result, Tick, WorkerRecord

SAME_HOST_NS = 1_000_000_000
"""Two anchors of one machine agree within this, unless its wall clock was set meanwhile."""
STAMPS: Mapping[type[Any], tuple[str, ...]] = {
    Result: (
        "scheduled_ns",
        "sent_ns",
        "first_byte_ns",
        "first_token_ns",
        "second_token_ns",
        "last_token_ns",
        "end_ns",
    ),
    Tick: ("at_ns",),
    WorkerRecord: ("start_ns",),
}
"""The fields that are stamps; other times in records are durations, or an anchor's."""


@dataclass(frozen=True, slots=True)
class RunClock:
    """The zero of a run: the same moment on the wall clock and on `host`'s monotonic clock, in ns."""

    host: str
    wall_ns: int
    monotonic_ns: int
    error_ns: int

    @classmethod
    def now(cls) -> Self:
        """A run that begins now: the wall clock is read between two readings of the monotonic one."""
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        return cls(gethostname(), wall, (before + after) // 2, after - before)

    def elapsed_ns(self) -> int:
        """How old the run is, on the machine that started it."""
        return time.monotonic_ns() - self.monotonic_ns

    def date(self, at_ns: int = 0) -> str:
        """The date of a time of the run, in RFC 3339 with microseconds and a `Z`.

        >>> RunClock("a", 1_700_000_000_000_000_000, 7, 0).date(2_000_500)
        '2023-11-14T22:13:20.002000Z'
        """
        return date_of(self.wall_ns + at_ns)

    def is_here(self, worker: WorkerRecord) -> bool:
        """Whether a worker shares this clock's machine: its name and its anchor are the same."""
        apart = (worker.wall_ns - worker.monotonic_ns) - (self.wall_ns - self.monotonic_ns)
        return worker.host == self.host and abs(apart) < SAME_HOST_NS

    def zero_of(self, worker: WorkerRecord) -> int:
        """The stamp of a worker's monotonic clock at the zero of the run."""
        if self.is_here(worker):
            return self.monotonic_ns
        return self.wall_ns - worker.wall_ns + worker.monotonic_ns

    def carry_error_ns(self, worker: WorkerRecord) -> int:
        """How far off a worker's times may be on this clock, as far as the anchors tell."""
        return 0 if self.is_here(worker) else self.error_ns + worker.anchor_error_ns


def carried(record: Record, zero_ns: int) -> Record:
    """A record with its stamps on the run's clock, of a worker whose clock stood so at the run's zero."""
    names = STAMPS.get(type(record), ())
    stamps = {name: getattr(record, name) for name in names}
    return record.model_copy(
        update={name: stamp - zero_ns for name, stamp in stamps.items() if stamp is not None}
    )
