from itertools import pairwise
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.derive import Derived, Usage
from harness.core.metrics import Summary, Timing, quantile, timing_of

MS = 1_000_000


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        ([7], 0.0, 7),
        ([7], 1.0, 7),
        ([10, 20, 30, 40], 0.25, 10),
        ([10, 20, 30, 40], 0.5, 20),
        ([10, 20, 30, 40], 0.51, 30),
        ([10, 20, 30, 40], 1.0, 40),
        (list(range(1, 101)), 0.07, 7),  # 0.07 * 100 is 7.000000000000001 in floats
        (list(range(1, 101)), 0.99, 99),
        (list(range(1, 1001)), 0.999, 999),
    ],
)
def test_quantile(values: list[int], q: float, expected: int) -> None:
    assert quantile(values, q) == expected


@pytest.mark.parametrize(("values", "q"), [([], 0.5), ([1], -0.1), ([1], 1.1), ([1], float("nan"))])
def test_no_such_quantile(values: list[int], q: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        quantile(values, q)


@given(values=st.lists(st.integers(), min_size=1).map(sorted), q=st.floats(0, 1))
def test_a_quantile_is_a_value_with_its_share_below(values: list[int], q: float) -> None:
    found = quantile(values, q)
    assert found in values
    assert sum(value <= found for value in values) >= q * len(values) - 1e-6
    assert sum(value < found for value in values) < max(q * len(values), 1)


def test_summary() -> None:
    assert Summary.of([]) is None
    assert Summary.of([5]) == Summary(1, 5, 5, 5, 5, 5)
    assert Summary.of(range(100, 0, -1)) == Summary(100, round(fmean(range(1, 101))), 50, 90, 99, 100)


def stream(output: int | None, *content_ns: int) -> Derived:
    gaps = tuple(after - before for before, after in pairwise(content_ns))
    return Derived(
        "openai.chat",
        stream=True,
        usage=Usage(output=output),
        content_ns=content_ns,
        ttft_ns=content_ns[0] if content_ns else None,
        icl_ns=gaps,
    )


def test_timing_of_a_stream() -> None:
    derived = stream(5, 100 * MS, 110 * MS, 110 * MS, 140 * MS)
    icl = Summary(3, round(40 * MS / 3), 10 * MS, 30 * MS, 30 * MS, 30 * MS)
    assert timing_of(derived, 180 * MS) == Timing(100 * MS, icl, 20 * MS, 5 / 0.18)


@pytest.mark.parametrize(
    ("derived", "e2e_ns", "expected"),
    [
        (stream(None, 10, 20), 30, Timing(10, Summary.of([10]), None, None)),
        (stream(1, 10), 20, Timing(10, None, None, 1e9 / 20)),
        (stream(0), 20, Timing(None, None, None, 0.0)),
        (stream(-3, 10), 20, Timing(10, None, None, None)),
        (stream(4, 10, 20), None, Timing(10, Summary.of([10]), None, None)),
        (stream(4, 10), 5, Timing(10, None, None, 4e9 / 5)),
        (stream(4, 10), 0, Timing(10, None, None, None)),
        (Derived("openai.chat", usage=Usage(output=10)), 10**9, Timing(None, None, None, 10.0)),
        (Derived("bytes"), 10, Timing(None, None, None, None)),
    ],
)
def test_what_cannot_be_known_is_none(derived: Derived, e2e_ns: int | None, expected: Timing) -> None:
    assert timing_of(derived, e2e_ns) == expected
