"""Figures against values computed by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.figures import OTHERS, Figures, Spread, Tally, Times, most_at_once, times_of
from harness.load.records import Outcome, Phase, Result, Stamps
from tests.plugins.results import MS, made_failure, made_result, made_tick


def figures_of(*results: Result, **options: Any) -> Figures:
    tally = Tally(**options)
    for result in results:
        tally.take(result)
    return tally.figures()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (100, 20, 20, 25, 150, None, None, None)),
        ({"scheduled": -30, "connect": 10}, (100, 20, 20, 25, 150, 180, 30, 20)),
        ({"tokens_out": 1}, (100, 20, 20, None, 150, None, None, None)),
        ({"tokens_out": 6}, (100, 20, 20, 10, 150, None, None, None)),  # several tokens in an event
        ({"tokens_out": None}, (100, 20, 20, None, 150, None, None, None)),
        ({"content_events": 1, "second_token": None, "last_token": 100},
         (100, None, None, 25, 150, None, None, None)),
        ({"first_token": None, "second_token": None, "last_token": None, "content_events": 0},
         (None, None, None, None, 150, None, None, None)),
    ],
)  # fmt: skip
def test_times_of_a_request(changes: dict[str, Any], expected: tuple[int | None, ...]) -> None:
    scaled = [None if value is None else value * MS for value in expected]
    assert times_of(made_result(**changes)) == Times(*scaled)  # type: ignore[arg-type]


def test_all_figures_of_a_small_run() -> None:
    figures = figures_of(
        made_result(0, sent=0, end=150, scheduled=-10, connect=4),
        made_result(1, sent=100, first_token=150, second_token=160, last_token=200, end=300, scheduled=100,
                    icl=((10_000, 1), (40_000, 1)), tokens_out=6, tokens_cached=2, shared_reads=1),
        made_failure(2, Outcome.TRUNCATED, sent=200, end=990, scheduled=180, error="reset",
                     stamp_error_ns=2000),
        made_failure(3, Outcome.HTTP, sent=300, end=310, scheduled=300, error="429"),
    )  # fmt: skip
    assert (figures.requests, figures.successes, figures.failures) == (4, 2, 2)
    assert (figures.success_rate, figures.error_rate) == (0.5, 0.5)
    assert figures.outcomes == {"complete": 2, "truncated": 1, "http": 1}
    assert figures.errors == {"truncated: reset": 1, "http: 429": 1}
    assert figures.window_s == 1.0  # from -10 ms, the first due time, to 990 ms, the last end
    assert figures.ttft_ms == spread(2, 75, 50, 100)
    assert figures.ttst_ms == spread(2, 15, 10, 20)
    assert figures.tpot_ms == spread(2, 27.5, 25, 30)
    assert figures.e2el_ms == spread(2, 175, 150, 200)
    assert figures.e2el_scheduled_ms == spread(2, 180, 160, 200)
    assert figures.schedule_delay_ms == Spread(count=4, mean=7.5, p50=0, p90=20, p95=20, p99=20, max=20)
    assert figures.queue_ms == Spread(count=4, mean=6.5, p50=0, p90=20, p95=20, p99=20, max=20)
    assert figures.connect_ms == spread(1, 4, 4, 4)
    assert figures.connects == 1
    assert (figures.streams, figures.itl_requests) == (2, 1)
    assert figures.request_throughput == 2
    assert figures.output_token_throughput == 9
    assert figures.total_token_throughput == 19
    assert figures.content_event_throughput == 6
    assert (figures.tokens_in, figures.tokens_out, figures.tokens_cached, figures.usage_known) == (
        10,
        9,
        2,
        2,
    )
    assert figures.concurrency_mean == pytest.approx(0.150 + 0.200 + 0.790 + 0.010)
    assert figures.concurrency_max == 2
    assert (figures.events, figures.content_events, figures.shared_reads) == (10, 6, 1)
    assert figures.stamps == {"kernel": 2}
    assert figures.stamp_error_us == 2.0
    assert figures.good_requests is figures.request_goodput is figures.slo_attainment is None


def spread(count: int, mean: float, low: float, high: float) -> Spread:
    """Of one or two values."""
    return Spread(count=count, mean=mean, p50=low, p90=high, p95=high, p99=high, max=high)


def test_gaps_near_zero_are_gaps() -> None:
    figures = figures_of(made_result(icl=((0, 98), (20_000, 2)), content_events=101, tokens_out=101))
    assert figures.icl_ms is not None
    assert (figures.icl_ms.count, figures.icl_ms.p50, figures.icl_ms.p90) == (100, 0, 0)
    assert figures.icl_ms.p99 == pytest.approx(20, rel=0.001)
    assert figures.icl_ms.mean == 0.4  # of the exact sum, 40 ms
    assert figures.itl_ms == figures.icl_ms


def test_itl_is_absent_where_events_are_no_tokens() -> None:
    figures = figures_of(made_result(tokens_out=9), made_result(tokens_out=None))
    assert figures.itl_ms is None
    assert (figures.itl_requests, figures.streams) == (0, 2)
    assert figures.icl_ms is not None
    assert figures.icl_ms.count == 4


def test_failures_give_no_latency() -> None:
    truncated = made_result(outcome=Outcome.TRUNCATED)
    figures = figures_of(truncated, *(made_failure(outcome=kind) for kind in Outcome if kind.is_failure))
    assert figures.ttft_ms is figures.icl_ms is figures.e2el_ms is None
    assert figures.failures == figures.requests == 6
    assert figures.request_throughput == 0
    assert figures.output_token_throughput is None
    assert figures_of(made_result(outcome=Outcome.LENGTH)).successes == 1


def test_warm_up_is_apart() -> None:
    warm = made_result(phase=Phase.WARMUP, sent=-5000, end=9000, first_token=8000)
    figures = figures_of(warm, made_failure(phase=Phase.WARMUP), made_result(), made_result())
    assert (figures.warmup_requests, figures.warmup_failures, figures.requests) == (2, 1, 2)
    assert figures.window_s == 0.15
    assert figures.ttft_ms == spread(2, 100, 100, 100)


def test_the_window_and_its_tokens() -> None:
    tally = Tally()
    assert tally.window() == (0, 0)
    tally.take(made_result(0, sent=100, end=150, tokens_out=3))
    tally.take(made_result(1, sent=50, end=120, tokens_out=4))
    assert tally.window() == (50 * MS, 150 * MS)
    assert tally.figures().tokens_known == 7
    tally.take(made_result(2, sent=60, end=120, tokens_out=None))
    assert (tally.figures().tokens_out, tally.figures().tokens_known) == (7, None)


def test_nothing_measured_has_no_figures() -> None:
    tally = Tally()
    tally.take(made_tick(1, 0.5))
    figures = tally.figures()
    assert (figures.requests, figures.window_s, figures.concurrency_max) == (0, 0, 0)
    assert (figures.error_rate, figures.request_throughput) == (None, None)
    assert (figures.ttft_ms, figures.violations) == (None, None)


def test_goodput_counts_good_requests_among_all() -> None:
    results = [made_result(sent=0, first_token=ttft, end=1000) for ttft in (100, 200, 300)]
    figures = figures_of(*results, made_failure(), is_good=lambda _, times: (times.ttft or 0) <= 200 * MS)
    assert (figures.good_requests, figures.request_goodput, figures.slo_attainment) == (2, 2, 0.5)


def test_tokens_are_held_against_events_and_limits() -> None:
    results = [
        made_result(call=0, tokens_out=2),
        made_result(call=1, tokens_out=8),
        made_result(call=2, tokens_out=99),
    ]
    figures = figures_of(*results, most_tokens=[8, 7, None])
    assert (figures.tokens_misfit, figures.tokens_over) == (1, 1)


def test_violations_are_counted_by_request() -> None:
    figures = figures_of(
        made_result(violations=("a", "a", "b")), made_failure(violations=("a",)), made_result()
    )
    assert figures.violations == {"a": 2, "b": 1}
    assert figures_of(made_result(violations=())).violations == {}


def test_kinds_of_errors_are_bounded() -> None:
    figures = figures_of(*(made_failure(error=f"e{number}") for number in range(150)))
    assert len(figures.errors) == 101
    assert figures.errors[OTHERS] == 50
    assert figures.failures == 150


def test_reader_stamps_are_counted_by_who_stamped() -> None:
    assert figures_of(made_result(stamps=Stamps.READER), made_result()).stamps == {"reader": 1, "kernel": 1}


INTERVALS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=30)


@given(INTERVALS)
def test_most_at_once_is_the_most_that_any_moment_sees(intervals: list[tuple[int, int]]) -> None:
    starts, ends = [start for start, _ in intervals], [start + length for start, length in intervals]
    seen = [sum(start <= at < end for start, end in zip(starts, ends, strict=True)) for at in range(71)]
    assert most_at_once(starts, ends) == max(seen)


@given(st.lists(st.integers(1, 10**5), min_size=1, max_size=40))
def test_figures_survive_json(ends: list[int]) -> None:
    figures = figures_of(*(made_result(end=200 + end) for end in ends))
    assert Figures.model_validate_json(figures.model_dump_json()) == figures
