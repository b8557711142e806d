"""Distributions: figures that were measured, every value in a bin, a curve that never falls."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.metrics import quantile
from harness.report.spread import About, distribution_of, histogram_of, quantiles_of, spread_of

VALUES = st.lists(st.integers(-1000, 10**9), min_size=1, max_size=200)


@given(VALUES)
def test_quantiles_are_those_of_the_values_one_by_one(values: list[int]) -> None:
    shares = (0.0, 0.07, 0.5, 0.9, 0.99, 1.0)
    assert quantiles_of(Counter(values), shares) == [quantile(sorted(values), share) for share in shares]


@given(VALUES)
def test_every_value_is_in_a_bin_and_edges_ascend(values: list[int]) -> None:
    edges, counts = histogram_of(Counter(values))
    assert sum(counts) == len(values)
    assert len(edges) == len(counts) + 1
    assert all(low < high for low, high in pairwise(edges))


@given(VALUES)
def test_a_curve_never_falls_and_ends_at_all_values(values: list[int]) -> None:
    found = distribution_of(About("ttft_ms", "TTFT", ""), Counter(values))
    assert found is not None
    assert list(found.curve_ms) == sorted(found.curve_ms)
    assert (found.curve_ms[-1], found.curve_share[-1]) == (found.spread.max, 1.0)


def test_bins_have_equal_ratios() -> None:
    edges, counts = histogram_of({1000: 3, 9999: 1, 100_000: 2}, bins=2)
    assert edges == pytest.approx([1000, 10_000, 100_000])
    assert counts == [4, 2]


def test_equal_values_are_one_bin_around_them() -> None:
    edges, counts = histogram_of({5000: 7})
    assert counts == [7]
    assert edges[0] < 5000 < edges[1]


def test_an_exact_sum_gives_the_mean_of_buckets() -> None:
    spread = spread_of({1000: 2}, total=1500)
    assert spread is not None
    assert (spread.mean, spread.p50, spread.count) == (0.75, 1.0, 2)


def test_nothing_has_no_distribution() -> None:
    assert spread_of({}) is None
    assert distribution_of(About("a", "A", ""), {}) is None
