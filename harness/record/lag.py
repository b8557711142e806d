"""How late the stamps of an event loop may be, measured by its selector: no heartbeat, no extra wake-up.

The law of this file: one pass of the loop is `select`, then the callbacks that it made ready. What a
`select` reports became readable after the one before it returned, or it would have been reported
then; if the `select` really slept, it became readable at the wake-up. mitmproxy reads through
`StreamReader`: the bytes are read in one pass, the task that stamps them runs in the next, and where
it waits for a hook, in the one after that. So what is stamped in a pass arrived after the return of
the fourth `select` before the end of that pass, or after the last wake-up, whichever is later; the
end of the pass minus that moment bounds the error of all its stamps. A `select` with a time-out that
nothing interrupted shows how late the machine wakes this process, which counts too.

What this cannot see: how long the kernel took to deliver bytes to a process that was asleep.
All times are `time.monotonic_ns`.
"""

import math
import selectors
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    type Ready = list[tuple[selectors.SelectorKey, int]]

BUCKET_NS = 50_000_000
"""Lateness is kept as the maximum over this long."""

SLEPT_NS = 20_000
"""A `select` shorter than this found something at once: it did not sleep."""

TICK_NS = 1_000_000
"""`epoll` and `poll` round a time-out up to this, which is no lateness of ours."""


class Lateness:
    """The worst lateness since any moment, for questions about times that reach until now.

    Kept are only buckets that are worse than all after them, which are few.
    """

    def __init__(self) -> None:
        self._buckets: list[tuple[int, int]] = []
        self._worst = 0
        self._ends = 0

    def note(self, now_ns: int, late_ns: int) -> None:
        """At this moment something was late by so much."""
        if now_ns >= self._ends:
            self._roll(now_ns)
        if late_ns > self._worst:  # noqa: PLR1730 - `max` would cost a call on the hot path
            self._worst = late_ns

    def _roll(self, now_ns: int) -> None:
        while self._buckets and self._buckets[-1][1] <= self._worst:
            self._buckets.pop()
        self._buckets.append((self._ends, self._worst))
        self._worst = 0
        self._ends = now_ns + BUCKET_NS

    def since(self, start_ns: int) -> int:
        """The worst lateness from `start_ns` until now, in ns; up to a bucket earlier counts as well."""
        return max([self._worst, *(worst for end_ns, worst in self._buckets if end_ns >= start_ns)])


class LagSelector(selectors.DefaultSelector):
    """The selector for `asyncio.SelectorEventLoop`, with the lateness of that loop."""

    def __init__(self, now: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__()
        self.lateness = Lateness()
        self._now = now
        start = now()
        self._first = self._second = self._third = self._fourth = start

    def select(self, timeout: float | None = None) -> "Ready":
        """As the base class, between two stamps."""
        entered = self._now()
        self.lateness.note(entered, entered - self._first)
        ready = super().select(timeout)
        returned = self._now()
        if timeout != 0 and returned - entered > SLEPT_NS:
            self._first = self._second = self._third = self._fourth = returned
            if timeout is not None and not ready:
                self.lateness.note(returned, returned - entered - ticks(timeout))
        else:
            self._first, self._second, self._third = self._second, self._third, self._fourth
            self._fourth = returned
        return ready

    def bound_since(self, start_ns: int) -> int:
        """How late a stamp taken between `start_ns` and now may be, in ns."""
        return max(self.lateness.since(start_ns), self._now() - self._first)


def ticks(timeout: float) -> int:
    """A time-out in ns, rounded up as the kernel's interface does.

    >>> ticks(0.0101)
    11000000
    """
    if sys.platform == "darwin":  # kqueue takes nanoseconds
        return int(timeout * 1e9)
    return math.ceil(timeout * 1e3) * TICK_NS
