"""The selector's arithmetic on a clock that the test sets, and the real one on a real loop."""

import asyncio
import selectors
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from harness.record.lag import BUCKET_NS, STEP_BITS, LagSelector, Lateness, Waiting

MS = 1_000_000


class Clock:
    """Each reading goes on by the next step; without steps it stands."""

    def __init__(self) -> None:
        self.now = 1_000 * MS
        self.steps: Iterator[int] = iter(())

    def __call__(self) -> int:
        self.now += next(self.steps, 0)
        return self.now

    def busy(self, selector: LagSelector, *passes_ns: int) -> None:
        """Passes of a loop with callbacks that take so long, each before a `select` that does not sleep."""
        for pass_ns in passes_ns:
            self.steps = iter((pass_ns,))
            selector.select(0)

    def idle(self, selector: LagSelector, pass_ns: int, slept_ns: int, timeout: float = 0.000_001) -> None:
        """A pass, and a `select` that sleeps."""
        self.steps = iter((pass_ns, slept_ns))
        selector.select(timeout)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def selector(clock: Clock) -> Iterator[LagSelector]:
    with LagSelector(clock, Waiting("/no/such/file")) as made:
        yield made


def test_lateness_is_the_worst_since_a_moment() -> None:
    lateness = Lateness()
    for number, late in enumerate((5, 9, 3, 7, 1)):
        lateness.note(number * 2 * BUCKET_NS, late)
    since = [lateness.since(number * 2 * BUCKET_NS) for number in range(5)]
    assert since == [9, 9, 7, 7, 1]


def test_quantiles_are_of_all_since_a_restart() -> None:
    waited = [0]
    lateness = Lateness(lambda: waited[-1])
    lateness.note(0, 900 * MS)
    assert lateness.quantile(0.5) == lateness.worst == 900 * MS
    lateness.restart(BUCKET_NS)
    assert lateness.quantile(0.5) is None
    for number in range(100):
        lateness.note(2 * BUCKET_NS, number * 100_000)
    assert 4_900_000 <= (lateness.quantile(0.5) or 0) <= 4_910_000
    assert lateness.quantile(0) == 1 << STEP_BITS
    assert lateness.quantile(1) == 9_900_000
    for _ in range(900):
        lateness.note(2 * BUCKET_NS, 20 * MS)
    assert 20 * MS <= (lateness.quantile(0.9) or 0) < 40 * MS
    waited.append(70 * MS)
    assert lateness.worst == 70 * MS  # without a CPU, which shows afterwards
    assert lateness.since(0) == 900 * MS


def test_lateness_forgets_what_no_question_can_reach() -> None:
    lateness = Lateness()
    for number in range(10_000):
        lateness.note(number * BUCKET_NS, number)
    assert lateness.since(0) == 9_999
    assert len(lateness._buckets) < 3


def test_stamps_are_those_of_the_pass(clock: Clock, selector: LagSelector) -> None:
    clock.idle(selector, 3 * MS, 1 * MS)
    began = clock.now
    clock.steps = iter((7 * MS,))
    clock()
    assert selector.returned == began


def test_lateness_that_shows_only_afterwards_belongs_to_the_bucket_before() -> None:
    afterwards = iter((0, 70, 0, 0, 0, 0))
    lateness = Lateness(lambda: next(afterwards))
    for number in range(3):
        lateness.note(number * 2 * BUCKET_NS, 5)
    assert lateness.since(0) == 70
    assert lateness.since(4 * BUCKET_NS) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts it")
def test_waiting_for_a_cpu_is_counted() -> None:
    waiting = Waiting()
    first = waiting.read_ns()
    assert 0 <= first <= waiting.read_ns()
    waiting.close()
    assert waiting.read_ns() == 0


def test_a_busy_loop_is_late_by_the_passes_that_an_event_may_wait(
    clock: Clock, selector: LagSelector
) -> None:
    """Bytes may come at the start of a pass of 2 ms; they are stamped after one of 3, or one of 4 more."""
    start = clock.now
    clock.idle(selector, 0, 1 * MS)
    clock.busy(selector, 2 * MS, 3 * MS, 4 * MS)
    assert selector.bound_since(start) == (2 + 3 + 4) * MS


def test_only_the_last_three_passes_count(clock: Clock, selector: LagSelector) -> None:
    clock.idle(selector, 0, 1 * MS)
    clock.busy(selector, *[1 * MS] * 20)
    assert selector.bound_since(clock.now) == 3 * MS


def test_sleeping_is_no_lateness(clock: Clock, selector: LagSelector) -> None:
    start = clock.now
    for _ in range(10):
        clock.busy(selector, 20_000)
        clock.idle(selector, 30_000, 1 * MS)
    assert selector.bound_since(start) == 20_000


def test_what_is_there_at_once_may_have_waited(clock: Clock, selector: LagSelector) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        selector.register(ours, selectors.EVENT_READ)
        theirs.send(b"x")
        clock.idle(selector, 0, 1 * MS)
        clock.steps = iter((3 * MS,))
        assert selector.select(None)
        clock.busy(selector, 1 * MS)
    assert selector.bound_since(clock.now) == 4 * MS


def test_a_time_out_that_wakes_late_counts(clock: Clock, selector: LagSelector) -> None:
    clock.idle(selector, 0, 15 * MS, timeout=0.000_1)  # the kernel's interface makes a millisecond of it
    assert selector.bound_since(clock.now) == 14 * MS


def test_a_real_loop_that_was_blocked_knows() -> None:
    async def blocked(selector: LagSelector) -> tuple[int, int]:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        before = time.monotonic_ns()
        reading = asyncio.ensure_future(reader.read(1))
        await asyncio.sleep(0)
        theirs.send(b"x")
        while time.monotonic_ns() - before < 30 * MS:
            pass
        await reading
        bound, stamp = selector.bound_since(before), selector.returned
        writer.close()
        theirs.close()
        await writer.wait_closed()
        return bound, stamp - before

    selector = LagSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        bound, late = runner.run(blocked(selector))
    assert late >= 30 * MS
    assert bound >= late - 1 * MS
    assert selector.wake_ns < 1_000 * MS
