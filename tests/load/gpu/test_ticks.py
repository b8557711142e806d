"""Ticks: absolute deadlines, the end, and what is missed."""

import time
from threading import Event

from harness.load.gpu.ticks import Ticks


def test_a_duration_holds_so_many_ticks() -> None:
    ticks = Ticks(100, Event(), duration_s=0.095)
    numbers = list(ticks)
    assert numbers[0] == 0
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < 10
    assert ticks.count + ticks.missed >= 10


def test_missed_ticks_are_counted_and_not_made_up_for() -> None:
    stop, seen = Event(), []
    ticks = Ticks(100, stop)
    start_ns = time.monotonic_ns()
    for number in ticks:
        seen.append(number)
        if len(seen) == 1:
            Event().wait(0.055)
        else:
            stop.set()
    assert seen[1] >= 6
    assert ticks.missed >= 5
    assert time.monotonic_ns() - start_ns >= seen[1] * 10_000_000  # at its own time, not at once


def test_stopped_before_it_began() -> None:
    stop = Event()
    stop.set()
    assert list(Ticks(10, stop)) == []
