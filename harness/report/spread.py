"""Distributions of times: figures, histogram and cumulative curve, of how often each time came.

The law of this file: pure. Values are whole microseconds (or `per_ms` says what) with how often each
came, so that gaps that were kept as a histogram (`load_requests.icl`) and single times are summed up alike.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import ceil
from typing import NamedTuple

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
"""Time -> how often."""


def milliseconds(value: float, per_ms: int = US_PER_MS) -> float:
    """A time as milliseconds, to the microsecond, or the nanosecond of what is finer."""
    return round(value / per_ms, 3 if per_ms == US_PER_MS else 6)


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


def spread_of(counts: Counts, total: float | None = None, per_ms: int = US_PER_MS) -> Spread | None:
    """The figures of a distribution; None of nothing. `total`: its exact sum, if counts are of buckets."""
    number = sum(counts.values())
    if not number:
        return None
    named = zip(QUANTILES, quantiles_of(counts, tuple(QUANTILES.values())), strict=True)
    summed = sum(value * times for value, times in counts.items()) if total is None else total
    return Spread(
        count=number,
        mean=milliseconds(summed / number, per_ms),
        **{name: milliseconds(value, per_ms) for name, value in named},
    )


class About(NamedTuple):
    """What a distribution is of."""

    name: str
    title: str
    what: str


def distribution_of(
    about: About, counts: Counts, total: float | None = None, per_ms: int = US_PER_MS
) -> Distribution | None:
    """All of a distribution; None of nothing. `total` as in `spread_of`."""
    spread = spread_of(counts, total, per_ms)
    if spread is None:
        return None
    edges, filled = histogram_of(counts)
    shares = sorted({*(step / CURVE for step in range(1, CURVE)), *TAIL})
    return Distribution(
        **about._asdict(),
        spread=spread,
        edges_ms=tuple(round(edge / per_ms, 6) for edge in edges),
        counts=tuple(filled),
        curve_ms=tuple(milliseconds(value, per_ms) for value in quantiles_of(counts, shares)),
        curve_share=tuple(shares),
    )


def histogram_of(counts: Counts, bins: int = BINS) -> tuple[list[float], list[int]]:
    """Edges in equal ratios from the least to the largest value, and the counts between them.

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
