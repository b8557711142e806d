"""The selector's arithmetic on a clock that the test sets, and the real one on a real loop."""

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from harness.record.lag import BUCKET_NS, SLEPT_NS, LagSelector, Lateness

MS = 1_000_000


class Clock:
    """Each reading goes on by the next step; without steps it stands."""

    def __init__(self) -> None:
        self.now = 1_000 * MS
        self.steps: Iterator[int] = iter(())

    def __call__(self) -> int:
        self.now += next(self.steps, 0)
        return self.now

    def passes(self, selector: LagSelector, *passes: tuple[int, int, float | None]) -> None:
        """Passes of a loop: ns of callbacks before the `select`, ns within it, its time-out."""
        for before, within, timeout in passes:
            self.steps = iter((before, within))
            selector.select(timeout if timeout == 0 else 0.000_001)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def selector(clock: Clock) -> Iterator[LagSelector]:
    with LagSelector(clock) as made:
        yield made


def test_lateness_is_the_worst_since_a_moment() -> None:
    lateness = Lateness()
    for number, late in enumerate((5, 9, 3, 7, 1)):
        lateness.note(number * 2 * BUCKET_NS, late)
    since = [lateness.since(number * 2 * BUCKET_NS) for number in range(5)]
    assert since == [9, 9, 7, 7, 1]


def test_lateness_forgets_what_no_question_can_reach() -> None:
    lateness = Lateness()
    for number in range(10_000):
        lateness.note(number * BUCKET_NS, number)
    assert lateness.since(0) == 9_999
    assert len(lateness._buckets) < 3


def test_a_busy_loop_is_late_by_the_passes_that_an_event_may_wait(
    clock: Clock, selector: LagSelector
) -> None:
    """Bytes come while the first pass runs; they are read in the second and stamped in the third."""
    start = clock.now
    clock.passes(selector, (0, 5 * MS, 1), (2 * MS, 0, 0), (3 * MS, 0, 0), (4 * MS, 0, 0))
    assert selector.bound_since(start) == (2 + 3 + 4) * MS


def test_only_the_last_four_selects_count(clock: Clock, selector: LagSelector) -> None:
    clock.passes(selector, (0, 5 * MS, 1), *[(1 * MS, 0, 0)] * 20)
    assert selector.bound_since(clock.now) == 4 * MS


def test_sleeping_is_no_lateness(clock: Clock, selector: LagSelector) -> None:
    start = clock.now
    for _ in range(10):
        clock.passes(selector, (20_000, 0, 0), (30_000, 1 * MS, 1))
    assert selector.bound_since(start) < 200_000


def test_a_select_that_found_something_at_once_did_not_sleep(clock: Clock, selector: LagSelector) -> None:
    clock.passes(selector, (0, 5 * MS, 1), (3 * MS, SLEPT_NS // 2, 1), (1 * MS, 0, 0))
    assert selector.bound_since(clock.now) >= 4 * MS


def test_a_time_out_that_wakes_late_counts(clock: Clock, selector: LagSelector) -> None:
    clock.steps = iter((0, 15 * MS))
    selector.select(0.000_1)  # the kernel's interface makes a millisecond of it
    assert selector.bound_since(clock.now) == 14 * MS


def test_a_real_loop_that_is_blocked_knows() -> None:
    async def blocked(selector: LagSelector) -> tuple[int, int]:
        await asyncio.sleep(0.01)
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        before = time.monotonic_ns()
        reading = asyncio.ensure_future(reader.read(1))
        await asyncio.sleep(0)
        theirs.send(b"x")
        while time.monotonic_ns() - before < 30 * MS:
            pass
        await reading
        bound = selector.bound_since(before)
        writer.close()
        theirs.close()
        await writer.wait_closed()
        return bound, time.monotonic_ns() - before

    selector = LagSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        bound, elapsed = runner.run(blocked(selector))
    assert 29 * MS < bound <= elapsed + 5 * MS
