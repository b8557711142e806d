"""Ticks with absolute deadlines: what comes late does not push the next one, what was missed is counted."""

import time
from collections.abc import Iterator
from threading import Event


class Ticks:
    """`rate_hz` ticks a second until `stop` is set or `duration_s` is over. `count` and `missed` go on."""

    def __init__(self, rate_hz: float, stop: Event, duration_s: float | None = None) -> None:
        self.period_ns = round(1e9 / rate_hz)
        self.stop, self.duration_s = stop, duration_s
        self.count = self.missed = 0

    def __iter__(self) -> Iterator[int]:
        """The numbers of the ticks, each at its time; numbers of missed ones are left out."""
        start_ns = time.monotonic_ns()
        end_ns = None if self.duration_s is None else start_ns + round(self.duration_s * 1e9)
        number = 0
        while self.wait_until(start_ns + number * self.period_ns, end_ns):
            self.count += 1
            yield number
            passed = (time.monotonic_ns() - start_ns) // self.period_ns
            self.missed += max(0, passed - number)
            number = max(number, passed) + 1

    def wait_until(self, due_ns: int, end_ns: int | None) -> bool:
        """Wait for a tick; False if the end came before it."""
        until_ns = due_ns if end_ns is None else min(due_ns, end_ns)
        stopped = self.stop.wait(max(0, until_ns - time.monotonic_ns()) / 1e9)
        return not stopped and (end_ns is None or due_ns < end_ns)
