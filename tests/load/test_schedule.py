"""Schedules: numbers and limits dealt out to workers that do not talk to one another."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.plan import Closed, Open, Plan
from harness.load.records import Phase
from harness.load.schedule import Schedule, share

S = 1_000_000_000


def plan(**changes: Any) -> Plan:
    return Plan.model_validate({"target": "http://x", "loop": Closed(concurrency=1), **changes})


def drained(schedule: Schedule, at_ns: int = 0, most: int = 1000) -> list[tuple[int, Phase]]:
    """All that a worker makes when it sends everything at one time."""
    made: list[tuple[int, Phase]] = []
    while len(made) < most and (turn := schedule.take(at_ns)) is not None:
        made.append((turn.number, turn.phase))
    return made


@given(st.integers(0, 1000), st.integers(1, 20))
def test_shares_add_up(total: int, count: int) -> None:
    shares = [share(total, index, count) for index in range(count)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


@given(st.integers(1, 50), st.integers(0, 20), st.integers(1, 7))
def test_together_workers_make_each_number_once(requests: int, warmup: int, count: int) -> None:
    run = plan(request_count=requests, warmup_requests=warmup)
    made = [pair for index in range(count) for pair in drained(Schedule(run, (), index, count))]
    expected = [(n, Phase.WARMUP if n < warmup else Phase.MEASURED) for n in range(warmup + requests)]
    assert sorted(made) == expected


@given(st.integers(1, 30), st.integers(1, 5))
def test_max_requests_is_never_passed(most: int, count: int) -> None:
    run = plan(max_requests=most, warmup_requests=2)
    schedules = [Schedule(run, (), index, count) for index in range(count)]
    numbers = [number for schedule in schedules for number, _ in drained(schedule)]
    assert sorted(numbers) == list(range(most))
    assert {schedule.why for schedule in schedules} == {"limit"}


def test_tokens_are_counted_before_each_call() -> None:
    schedule = Schedule(plan(max_tokens=101), (), 0, 2)
    assert [schedule.has_tokens_for(requests, 10) for requests in (5, 6)] == [True, False]
    assert schedule.take(0) == (0, Phase.MEASURED, None)
    schedule.tokens = 50
    assert schedule.take(0) == (2, Phase.MEASURED, None)
    schedule.tokens = 51
    assert schedule.take(0) is None
    assert schedule.why == "limit"


def test_the_duration_counts_from_the_first_measured_request() -> None:
    schedule = Schedule(plan(duration_s=2.0, warmup_s=1.0), start_ns=10 * S)
    assert schedule.phase(0, 10 * S) is Phase.WARMUP
    assert schedule.end_ns > 100 * S
    assert schedule.phase(1, 12 * S) is Phase.MEASURED
    assert schedule.end_ns == 14 * S
    assert (schedule.is_past(14 * S - 1), schedule.is_past(14 * S)) == (False, True)
    assert schedule.take(14 * S) is None
    assert schedule.why == "done"


def test_warmup_lasts_until_both_have_passed() -> None:
    schedule = Schedule(plan(warmup_requests=2, warmup_s=1.0))
    phases = [schedule.phase(number, at) for number, at in ((0, 0), (1, 2 * S), (2, S - 1), (3, S))]
    assert phases == [Phase.WARMUP, Phase.WARMUP, Phase.WARMUP, Phase.MEASURED]


@given(st.lists(st.integers(0, 100 * S), min_size=1, max_size=40).map(sorted), st.integers(1, 6))
def test_arrivals_are_dealt_out_with_their_times(arrivals: Sequence[int], count: int) -> None:
    run = plan(loop=Open())
    due = {}
    for index in range(count):
        schedule = Schedule(run, arrivals, index, count, start_ns=7)
        while (turn := schedule.take(0)) is not None:
            due[turn.number] = turn.due_ns
        assert schedule.why == "done"
    assert due == {number: 7 + at for number, at in enumerate(arrivals)}


def test_an_open_loop_ends_with_its_duration_by_due_time() -> None:
    schedule = Schedule(plan(loop=Open(), duration_s=2.0), [0, S, 2 * S - 1, 2 * S, 3 * S])
    made = []
    while (turn := schedule.take(0)) is not None:
        made.append(turn.number)
    assert made == [0, 1, 2]


def test_what_was_due_and_not_sent_is_counted() -> None:
    schedule = Schedule(plan(loop=Open()), [0, S, 2 * S, 3 * S])
    schedule.stop("stopped", 2 * S + 1)
    assert schedule.unsent(sent=1) == 2
    assert Schedule(plan()).unsent(sent=0) == 0


def test_an_open_loop_stops_sending_after_its_drain() -> None:
    schedule = Schedule(plan(loop=Open(), drain_s=5.0), [0, S])
    assert (schedule.is_past(6 * S - 1), schedule.is_past(6 * S)) == (False, True)


@pytest.mark.parametrize(("most", "count", "bounds"), [(5, 2, [3, 2]), (1, 2, [1, 1]), (None, 1, None)])
def test_most_open_is_shared(most: int | None, count: int, bounds: list[int] | None) -> None:
    found = [Schedule(plan(loop=Open(most_open=most)), (), i, count).most_open for i in range(count)]
    assert found == bounds if bounds else found[0] > 10**9


def test_the_first_reason_counts() -> None:
    schedule = Schedule(plan())
    schedule.stop("stopped", 5)
    schedule.stop("done", 6)
    assert (schedule.why, schedule.stopped_ns) == ("stopped", 5)
