"""Spans of time: what falls into each, levels that change, and dots that keep the worst."""

import pytest

from harness.report.overtime import MOST_DOTS, Axis, Gathered, chosen, means, rates

AXIS = Axis(0, 10_000_000, 10)


def test_a_value_counts_in_the_span_of_its_time() -> None:
    gathered = Gathered(AXIS)
    for value in (1000, 2000, 3000):
        gathered.add(2_500_000, value)
    gathered.add(9_999_999, 7000)
    found = gathered.over_time("ttft_ms", "TTFT", "")
    assert found is not None
    assert found.count == (0, 0, 3, 0, 0, 0, 0, 0, 0, 1)
    assert (found.p50_ms[2], found.p99_ms[2], found.p50_ms[9], found.p50_ms[0]) == (2.0, 3.0, 7.0, None)
    assert found.at_s[2] == 2.5


def test_counts_are_all_in_the_quantiles_and_their_worst_is_a_dot() -> None:
    gathered = Gathered(AXIS)
    gathered.add_counts(0, [(1000, 98), (5000, 2)])
    gathered.add_counts(0, [])
    found = gathered.over_time("icl_ms", "ICL", "")
    assert found is not None
    assert (found.count[0], found.p50_ms[0], found.p99_ms[0]) == (100, 1.0, 5.0)
    assert (found.dots_ms, found.dots_of) == ((5.0,), 1)


def test_nothing_has_no_chart() -> None:
    assert Gathered(AXIS).over_time("a", "A", "") is None


def test_of_too_many_dots_the_worst_are_kept_and_the_others_evenly() -> None:
    values = [at % 97 for at in range(100_000)]
    values[31_415] = 10**6
    kept = chosen(range(100_000), values)
    assert len(kept) <= MOST_DOTS
    assert (31_415, 10**6) in kept
    assert kept == sorted(kept)
    halves = sum(at < 50_000 for at, _ in kept)
    assert halves == pytest.approx(len(kept) / 2, rel=0.1)


def test_a_level_is_a_mean_over_its_span() -> None:
    axis = Axis(0, 4_000_000, 4)
    changes = [(500_000, 1.0), (1_500_000, 1.0), (2_000_000, -1.0), (3_000_000, -1.0)]
    assert means(changes, axis) == (0.5, 1.5, 1.0, 0.0)


def test_rates_are_per_second() -> None:
    assert rates([0, 1, 2_600_000], Axis(0, 4_000_000, 2)) == (1.0, 0.5)
