"""The histogram against exact quantiles of the same values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.histogram import Histogram, bucket_of

VALUES = st.lists(st.integers(-(10**7), 10**11), min_size=1, max_size=200)


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.add(values)
    return histogram


@given(VALUES, st.floats(0, 1))
def test_quantile_is_at_most_a_bucket_above_the_exact_one(values: list[int], q: float) -> None:
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    found = filled(values).quantile(q)
    assert found is not None
    assert exact <= found <= exact + abs(exact) / 31 + 1


@given(VALUES, VALUES)
def test_merging_is_adding_all_values_to_one(one: list[int], other: list[int]) -> None:
    merged = filled(one)
    merged.merge(filled(other))
    assert merged == filled(one + other)


@given(st.integers(-(10**12), 10**12))
def test_a_bucket_is_named_by_its_largest_value(value: int) -> None:
    bound = bucket_of(value)
    assert bound >= value
    assert bucket_of(bound) == bound


def test_empty_histogram_has_no_figures() -> None:
    histogram = filled([])
    histogram.merge(Histogram())
    assert (histogram.count, histogram.quantile(0.5), histogram.worst) == (0, None, None)


@pytest.mark.parametrize("values", [[5], [5, -7], list(range(1000))])
def test_worst_is_exact(values: list[int]) -> None:
    histogram = filled(values)
    assert histogram.worst == max(values) == histogram.quantile(1)
