"""The histogram against exact quantiles of the same values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.histogram import BITS, FINE_BITS, Histogram, bucket_of

VALUES = st.lists(st.integers(-(10**7), 10**11), min_size=1, max_size=200)


SHARPNESS = st.sampled_from([4, BITS, FINE_BITS])


def filled(values: list[int], bits: int = BITS) -> Histogram:
    histogram = Histogram(bits=bits)
    histogram.add(values)
    return histogram


@given(VALUES, st.floats(0, 1), SHARPNESS)
def test_quantile_is_at_most_a_bucket_above_the_exact_one(values: list[int], q: float, bits: int) -> None:
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    found = filled(values, bits).quantile(q)
    assert found is not None
    assert exact <= found <= exact + abs(exact) / (2 ** (bits - 1) - 1) + 1


@given(VALUES, VALUES, SHARPNESS)
def test_merging_is_adding_all_values_to_one(one: list[int], other: list[int], bits: int) -> None:
    merged = filled(one, bits)
    merged.merge(filled(other, bits))
    assert merged == filled(one + other, bits)


@given(VALUES, VALUES, SHARPNESS, SHARPNESS)
def test_merging_another_sharpness_keeps_its_own(
    one: list[int], other: list[int], bits: int, its: int
) -> None:
    merged = filled(one, bits)
    merged.merge(filled(other, its))
    assert merged.count == len(one) + len(other)
    assert merged.worst == max(one + other)
    assert all(bucket_of(bound, bits) == bound for bound in merged.counts)


@given(VALUES, SHARPNESS, SHARPNESS)
def test_pairs_bring_a_histogram_back(values: list[int], bits: int, its: int) -> None:
    pairs = filled(values, bits).pairs()
    assert list(pairs) == sorted(pairs)
    assert Histogram.of_pairs(pairs, bits).counts == filled(values, bits).counts
    known = Histogram(bits=its)
    known.add_pairs(pairs, bits)
    other = Histogram.of_pairs(pairs, its)
    assert known == other
    assert (other.count, other.bits, other.worst) == (len(values), its, pairs[-1][0])
    if its > bits:
        assert other.pairs() == pairs


@given(st.integers(-(10**12), 10**12), SHARPNESS)
def test_a_bucket_is_named_by_its_largest_value(value: int, bits: int) -> None:
    bound = bucket_of(value, bits)
    assert bound >= value
    assert bucket_of(bound, bits) == bound == bucket_of(bound, bits + 3)


def test_fine_buckets_tell_a_thousandth_apart() -> None:
    assert bucket_of(20_000, FINE_BITS) != bucket_of(20_020, FINE_BITS)
    assert bucket_of(2_000, FINE_BITS) == 2_000


def test_empty_histogram_has_no_figures() -> None:
    histogram = filled([])
    histogram.add_pairs(())
    histogram.merge(Histogram())
    assert (histogram.count, histogram.quantile(0.5), histogram.worst) == (0, None, None)


@pytest.mark.parametrize("values", [[5], [5, -7], list(range(1000))])
def test_worst_is_exact(values: list[int]) -> None:
    histogram = filled(values)
    assert histogram.worst == max(values) == histogram.quantile(1)
