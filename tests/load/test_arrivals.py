import math
from itertools import islice, pairwise
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.arrivals import Extent, Process, S, cut, from_start
from harness.load.words import Pattern

PATTERNS = st.sampled_from(list(Pattern))
RATES = st.floats(0.01, 1e5)


def first(process: Process, number: int) -> list[int]:
    return list(islice(process.times_ns(), number))


@given(RATES, PATTERNS, st.floats(0.05, 50), st.floats(0, 100), st.integers(0, 2**31))
def test_times_are_integers_that_never_decrease(
    rate: float, pattern: Pattern, burstiness: float, ramp_s: float, seed: int
) -> None:
    times = first(Process(rate, pattern, burstiness, ramp_s, seed), 200)
    assert all(type(at) is int and at >= 0 for at in times)
    assert all(before <= after for before, after in pairwise(times))
    assert times == first(Process(rate, pattern, burstiness, ramp_s, seed), 200)


def test_constant_gaps_do_not_drift() -> None:
    times = first(Process(3.0, Pattern.CONSTANT), 3_000_001)
    assert times[:3] == [0, 333_333_333, 666_666_667]
    assert times[-1] == 1_000_000 * S


@pytest.mark.parametrize(
    ("pattern", "burstiness", "variation"),
    [
        (Pattern.CONSTANT, 1.0, 0.0),
        (Pattern.POISSON, 1.0, 1.0),
        (Pattern.GAMMA, 1.0, 1.0),
        (Pattern.GAMMA, 0.25, 2.0),
        (Pattern.GAMMA, 4.0, 0.5),
    ],
)
def test_gaps_have_the_mean_and_the_variation_of_their_distribution(
    pattern: Pattern, burstiness: float, variation: float
) -> None:
    times = first(Process(20.0, pattern, burstiness, seed=5), 20_000)
    gaps = [after - before for before, after in pairwise(times)]
    assert fmean(gaps) == pytest.approx(S / 20, rel=0.05)
    assert stdev(gaps) / fmean(gaps) == pytest.approx(variation, abs=0.1)


def test_other_seeds_give_other_times() -> None:
    assert first(Process(5.0, seed=1), 5) != first(Process(5.0, seed=2), 5)


def test_a_ramp_grows_from_nothing_to_the_rate() -> None:
    times = first(Process(100.0, Pattern.CONSTANT, ramp_s=10), 2000)
    per_second = [sum(1 for at in times if second * S <= at < (second + 1) * S) for second in range(15)]
    assert per_second[:10] == [pytest.approx(100 * (second + 0.5) / 10, abs=1.5) for second in range(10)]
    assert per_second[10:] == [pytest.approx(100, abs=1)] * 5


def test_the_ramp_joins_the_steady_part_without_a_gap() -> None:
    times = first(Process(1000.0, Pattern.CONSTANT, ramp_s=2), 1100)
    around = [at for at in times if 1.9 * S < at < 2.1 * S]
    assert max(after - before for before, after in pairwise(around)) < 1.2e-3 * S


@pytest.mark.parametrize(
    ("extent", "taken"),
    [
        (Extent(), 100),
        (Extent(requests=7), 7),
        (Extent(duration_s=5), 5),
        (Extent(requests=7, duration_s=5), 5),
        (Extent(warmup_requests=3, requests=7), 10),
        (Extent(warmup_requests=3, duration_s=5), 2 + 5),
        (Extent(warmup_s=4, duration_s=5), 9),
        (Extent(warmup_s=4, requests=2), 6),
        (Extent(warmup_requests=2, warmup_s=4, requests=2), 4),
        (Extent(warmup_requests=6, warmup_s=4, requests=2), 6),
        (Extent(duration_s=0.5), 1),
        (Extent(warmup_requests=200), 100),
    ],
)
def test_a_run_takes_its_warm_up_and_its_part(extent: Extent, taken: int) -> None:
    """Of 100 arrivals, one a second from 0 on; the warm-up ends with its last request."""
    assert cut((second * S for second in range(100)), extent).tolist() == [s * S for s in range(taken)]


@given(st.lists(st.integers(0, 2**61), min_size=1), st.floats(0.01, 100))
def test_recorded_times_start_at_0_and_ascend(times: list[int], speed: float) -> None:
    due = from_start(times, speed).tolist() if math.isfinite(speed) and max(times) / speed < 2**62 else [0]
    assert due[0] == 0
    assert due == sorted(due)


def test_twice_the_speed_halves_the_times() -> None:
    assert from_start([5 * S, 1 * S, 2 * S], 2).tolist() == [0, S // 2, 2 * S]
