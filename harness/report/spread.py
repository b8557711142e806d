"""Distributions of times: figures, histogram and cumulative curve, of counts per microsecond.

The law of this file: pure. Values are whole microseconds with how often each came, so that gaps that
were kept as a histogram (`load_requests.icl`) and single times are summed up alike.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import ceil

from harness.report.model import Distribution, Spread

US_PER_MS = 1000
BINS = 48
CURVE = 200
"""Points of a cumulative curve: evenly spread shares, and the tail by itself."""
TAIL = (0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 1.0)
NARROW = 1.02
"""The least ratio of a histogram's upper bound to its lower one: times as equal as that are one bin."""
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "max": 1.0}

type Counts = Mapping[int, int]
"""Microseconds -> how often."""


def milliseconds(us: float) -> float:
    """Microseconds as milliseconds, to the microsecond."""
    return round(us / US_PER_MS, 3)


def quantiles_of(counts: Counts, shares: Sequence[float]) -> list[int]:
    """The nearest-rank quantiles of counts that are not empty; `shares` ascend.

    >>> quantiles_of({10: 1, 20: 1, 30: 2}, (0.5, 1.0))
    [20, 30]
    """
    ordered = sorted(counts)
    reached = list(accumulate(counts[value] for value in ordered))
    found, place = [], 0
    for share in shares:
        rank = max(1, ceil(share * reached[-1] - 1e-9))
        while reached[place] < rank:
            place += 1
        found.append(ordered[place])
    return found


def spread_of(counts: Counts, sum_us: float | None = None) -> Spread | None:
    """The figures of a distribution; None of nothing. `sum_us`: its exact sum, if counts are of buckets."""
    number = sum(counts.values())
    if not number:
        return None
    named = zip(QUANTILES, quantiles_of(counts, tuple(QUANTILES.values())), strict=True)
    total = sum(value * times for value, times in counts.items()) if sum_us is None else sum_us
    return Spread(
        count=number,
        mean=milliseconds(total / number),
        **{name: milliseconds(value) for name, value in named},
    )


def distribution_of(
    name: str, title: str, what: str, counts: Counts, sum_us: float | None = None
) -> Distribution | None:
    """All of a distribution; None of nothing. `sum_us` as in `spread_of`."""
    spread = spread_of(counts, sum_us)
    if spread is None:
        return None
    edges, filled = histogram_of(counts)
    shares = sorted({*(step / CURVE for step in range(1, CURVE)), *TAIL})
    curve = quantiles_of(counts, shares)
    return Distribution(
        name=name,
        title=title,
        what=what,
        spread=spread,
        edges_ms=tuple(round(edge / US_PER_MS, 6) for edge in edges),
        counts=tuple(filled),
        curve_ms=tuple(map(milliseconds, curve)),
        curve_share=tuple(shares),
    )


def histogram_of(counts: Counts, bins: int = BINS) -> tuple[list[float], list[int]]:
    """Edges (us) in equal ratios from the least to the largest value, and the counts between them.

    >>> histogram_of({10: 3, 1000: 1}, 2)
    ([10.0, 100.0, 1000.0], [3, 1])
    """
    low, high = max(1, min(counts)), max(1, *counts)
    if high < low * NARROW:
        return [low / NARROW, high * NARROW], [sum(counts.values())]
    ratio = (high / low) ** (1 / bins)
    edges = [low * ratio**step for step in range(bins)] + [float(high)]
    return edges, filled_bins(counts, edges)


def filled_bins(counts: Counts, edges: Sequence[float]) -> list[int]:
    """How many values lie between neighbouring edges; those at the last edge are in the last bin."""
    filled, place = [0] * (len(edges) - 1), 0
    for value in sorted(counts):
        while place < len(filled) - 1 and value >= edges[place + 1]:
            place += 1
        filled[place] += counts[value]
    return filled
