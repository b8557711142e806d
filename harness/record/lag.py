"""The clock of the stamps and how late they may be, both read off the event loop's own selector.

The law of this file: one pass of the loop is `select`, then the callbacks that it made ready.

*Stamps.* What is handled in a pass is stamped with the moment at which the pass began, when its
`select` returned. mitmproxy reads through `StreamReader`: bytes are read from the socket in one pass,
and the task that handles them runs in a later one. So the stamp is never before the arrival, and the
work of a pass, some 0.1 ms for each chunk before, does not count as waiting: chunks that came in one
piece have one stamp.

*Lateness.* What a `select` reports became readable after the `select` before it had returned, or that
one would have reported it; if there was nothing, and only a second `select` that slept reports it, it
became readable at the wake-up. It is
handled in the next pass, or, where mitmproxy waits for one of its hooks, in the one after that. So the
stamp of a pass minus the earliest moment at which its bytes may have come bounds the error.

What the loop cannot see is how long the kernel takes to wake it. A `select` whose time-out nothing
interrupted shows that, and a few such sleeps are made at the start. Linux also counts how long a process
was ready to run and had no CPU: what is more than its wake-ups usually take was one long wait, for all
we know. There is no heartbeat and no extra wake-up.

All times are `time.monotonic_ns`.
"""

import math
import os
import select
import selectors
import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    type Ready = list[tuple[selectors.SelectorKey, int]]

BUCKET_NS = 50_000_000
"""Lateness is kept as the maximum over this long."""

TICK_NS = 1_000_000
"""`epoll` and `poll` round a time-out up to this, which is no lateness of ours."""

STEP_BITS, STEPS = 13, 2048
"""Lateness is counted in steps of 2 to this many ns (8 µs), and so many of them: up to 17 ms."""
LEVELS = STEPS + 65
"""The steps, and the powers of 2 by which it is counted above."""

EPOLL = getattr(select, "epoll", ())
"""What `selectors.EpollSelector` holds as `_selector`; nothing on other systems."""

SLEEPS = 5
"""Sleeps of a tick at the start, whose lateness shows how this machine wakes an idle process."""


class Waiting:
    """How long this process's main thread has waited for a CPU; 0 where the system does not say.

    Linux: the second number of `/proc/PID/schedstat` (Documentation/scheduler/sched-stats.rst).
    """

    def __init__(self, path: str = "/proc/self/schedstat") -> None:
        try:
            self._file: int | None = os.open(path, os.O_RDONLY)
        except OSError:
            self._file = None

    def read_ns(self) -> int:
        """All of it since the process began, in ns; some 2 µs."""
        return 0 if self._file is None else int(os.pread(self._file, 100, 0).split()[1])

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Lateness:
    """The worst lateness since any moment, for questions about times that reach until now.

    `more` is asked for lateness that shows only afterwards, since it was asked last. Kept are only
    buckets that are worse than all after them, which are few. `quantile` and `worst` are of all that was
    noted since `restart`.
    """

    def __init__(self, more: Callable[[], int] = lambda: 0) -> None:
        self._highest = 0
        self._counts = [0] * LEVELS
        self._buckets: list[tuple[int, int]] = []
        self._worst = 0
        self._ends = 0
        self._more = more

    def note(self, now_ns: int, late_ns: int) -> None:
        """At this moment something was late by so much."""
        if now_ns >= self._ends:
            self._roll(now_ns)
        if late_ns > self._worst:  # noqa: PLR1730 - `max` would cost a call on the hot path
            self._worst = late_ns
        step = late_ns >> STEP_BITS  # a Histogram would cost five times as much
        self._counts[step if step < STEPS else STEPS + late_ns.bit_length()] += 1

    def _roll(self, now_ns: int) -> None:
        worst = max(self._worst, self._more())
        while self._buckets and self._buckets[-1][1] <= worst:
            self._buckets.pop()
        self._buckets.append((self._ends, worst))
        self._highest = max(self._highest, worst)
        self._worst = 0
        self._ends = now_ns + BUCKET_NS

    def since(self, start_ns: int) -> int:
        """The worst lateness from `start_ns` until now, in ns; up to a bucket earlier counts as well."""
        self._worst = max(self._worst, self._more())
        return max([self._worst, *(worst for end_ns, worst in self._buckets if end_ns >= start_ns)])

    def restart(self, now_ns: int) -> None:
        """Count anew from this moment; what `since` tells stays as it was."""
        self._roll(now_ns)
        self._highest = 0
        self._counts = [0] * LEVELS

    @property
    def worst(self) -> int:
        """The worst of all, in ns."""
        self._worst = max(self._worst, self._more())
        return max(self._highest, self._worst)

    def quantile(self, q: float) -> int | None:
        """Nearest-rank quantile of all that was noted, in ns, at most a step too high; None: nothing was.

        Above 17 ms it may be twice too high, but never above the worst.
        """
        rank, seen = max(1, math.ceil(q * sum(self._counts))), 0
        for step, count in enumerate(self._counts):
            seen += count
            if seen >= rank:
                bound = (step + 1) << STEP_BITS if step < STEPS else 1 << (step - STEPS)
                return min(self.worst, bound)
        return None


class LagSelector(selectors.DefaultSelector):
    """The selector for `asyncio.SelectorEventLoop`.

    `returned` is the stamp for everything that is handled in the current pass. `wake_ns` is how late
    an idle process wakes here.
    """

    def __init__(self, now: Callable[[], int] = time.monotonic_ns, waiting: Waiting | None = None) -> None:
        super().__init__()
        self.lateness = Lateness(self._waited)
        self._now = now
        self.returned = self._begins = self._earliest = now()
        self.wake_ns = self._sleepiness()
        self._sleeps = 0
        self._waiting = waiting or Waiting()
        self._waiting_ns = self._waiting.read_ns()

    def close(self) -> None:
        """As the base class."""
        self._waiting.close()
        super().close()

    def select(self, timeout: float | None = None) -> "Ready":
        """As the base class: what is there at once, else what comes until the time-out.

        `_begins` is the earliest moment at which what this `select` reports may have become readable,
        `_earliest` that of what the coming pass may handle.
        """
        if timeout != 0 and not self._is_ready():
            return self._sleep(timeout)
        ready = super().select(0)
        returned = self._now()
        self.lateness.note(returned, returned - self._earliest)
        self._earliest, self._begins, self.returned = self._begins, self.returned, returned
        return ready

    def _is_ready(self) -> bool:
        """Whether there is anything, asked in a third of the time of a `select` where that is epoll's."""
        epoll = getattr(self, "_selector", None)
        return bool(epoll.poll(0, 1) if isinstance(epoll, EPOLL) else super().select(0))

    def _sleep(self, timeout: float | None) -> "Ready":
        entered = self._now()
        ready = super().select(timeout)
        returned = self._earliest = self._begins = self.returned = self._now()
        self._sleeps += 1
        if timeout is not None and not ready:
            self.lateness.note(returned, returned - entered - ticks(timeout))
        return ready

    def bound_since(self, start_ns: int) -> int:
        """How late a stamp taken between `start_ns` and now may be, in ns."""
        return self.wake_ns + self.lateness.since(start_ns)

    def _waited(self) -> int:
        """For how long more than its wake-ups usually take this process had no CPU, since the last call."""
        before, usual = self._waiting_ns, self._sleeps * self.wake_ns
        self._waiting_ns, self._sleeps = self._waiting.read_ns(), 0
        return max(0, self._waiting_ns - before - usual)

    def _sleepiness(self) -> int:
        late = []
        for _ in range(SLEEPS):
            entered = self._now()
            super().select(TICK_NS / 1e9)
            late.append(self._now() - entered - TICK_NS)
        return max(0, int(statistics.median(late)))


def ticks(timeout: float) -> int:
    """A time-out in ns, rounded up as the kernel's interface does.

    >>> ticks(0.0101)
    11000000
    """
    if sys.platform == "darwin":  # kqueue takes nanoseconds
        return int(timeout * 1e9)
    return math.ceil(timeout * 1e3) * TICK_NS
