"""Stamps of several machines on one clock, computed by hand."""

import time

import pytest

from harness.load.clock import RunClock, carried
from harness.load.records import Result, Tick, WorkerRecord
from tests.plugins.results import made_end, made_result, made_tick, made_worker

CLOCK = RunClock("here", wall_ns=1_000_000, monotonic_ns=400, error_ns=30)


def test_on_the_same_machine_the_monotonic_clock_counts() -> None:
    worker = made_worker(wall_ns=1_000_750, monotonic_ns=900)  # the wall clock gained 250 ns on it
    assert CLOCK.zero_of(worker) == 400
    assert CLOCK.carry_error_ns(worker) == 0


@pytest.mark.parametrize(
    "worker",
    [
        made_worker(host="there", wall_ns=1_000_500, monotonic_ns=9_000, anchor_error_ns=70),
        made_worker(host="here", wall_ns=1_000_500 + 10**10, monotonic_ns=9_000 + 5, anchor_error_ns=70),
    ],
)
def test_another_machine_goes_over_the_wall_clocks(worker: WorkerRecord) -> None:
    zero = CLOCK.zero_of(worker)
    wall_at_zero = worker.wall_ns + zero - worker.monotonic_ns
    assert wall_at_zero == CLOCK.wall_ns
    assert CLOCK.carry_error_ns(worker) == 100


def test_stamps_are_carried_and_durations_are_not() -> None:
    result = carried(made_result(sent=5, connect=2, second_token=None, scheduled=4), 1_000_000)
    assert isinstance(result, Result)
    assert (result.sent_ns, result.connect_ns, result.scheduled_ns) == (4_000_000, 2_000_000, 3_000_000)
    assert (result.first_byte_ns, result.second_token_ns, result.end_ns) == (89_000_000, None, 149_000_000)
    tick = carried(made_tick(2, 0.5), 1_000_000_000)
    assert isinstance(tick, Tick)
    assert tick.at_ns == 1_000_000_000
    worker = carried(made_worker(start_ns=70), 50)
    assert isinstance(worker, WorkerRecord)
    assert (worker.start_ns, worker.monotonic_ns) == (20, 0)
    assert carried(made_end(), 50) == made_end()


def test_now_is_an_anchor_of_both_clocks() -> None:
    before, wall = time.monotonic_ns(), time.time_ns()
    clock = RunClock.now()
    assert before <= clock.monotonic_ns <= time.monotonic_ns()
    assert abs(clock.wall_ns - wall) < 10**9
    assert 0 <= clock.elapsed_ns() < 10**10
    assert clock.date(1_000).endswith("Z")
