"""Figures of streams: quantiles and rates, each with its formula.

The law of this file: every figure is computed from recorded offsets in ns and from the provider's
token counts, none is guessed: what cannot be known is None. The words are those of the design's
"What the times mean".
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from harness.core.derive import Derived

NS_PER_S = 1_000_000_000


def quantile(sorted_values: Sequence[int], q: float) -> int:
    """The nearest-rank quantile: the ceil(q·n)-th smallest value, so always one of the values.

    Hyndman and Fan, Sample Quantiles in Statistical Packages (1996), definition 1. `sorted_values`
    ascend and are not empty, `q` is in 0..1 (0 is the smallest); else ValueError.

    >>> quantile([10, 20, 30, 40], 0.5)
    20
    """
    if not sorted_values:
        raise ValueError("no values have no quantile")
    if not 0 <= q <= 1:
        raise ValueError(f"a quantile lies in 0..1, not at {q}")
    rank = math.ceil(q * len(sorted_values) - 1e-9)  # 0.07 · 100 is a little over 7 in floats
    return sorted_values[max(rank, 1) - 1]


@dataclass(frozen=True, slots=True)
class Summary:
    """A distribution of times in ns: how many, their mean (rounded), nearest-rank quantiles, the largest."""

    count: int
    mean: int
    p50: int
    p90: int
    p99: int
    max: int

    @classmethod
    def of(cls, values: Iterable[int]) -> Self | None:
        """The summary of these values in any order; None of no values."""
        ordered = sorted(values)
        if not ordered:
            return None
        mean = round(sum(ordered) / len(ordered))
        p50, p90, p99 = (quantile(ordered, q) for q in (0.5, 0.9, 0.99))
        return cls(len(ordered), mean, p50, p90, p99, ordered[-1])


def worst_gaps(times_ns: Sequence[int], parts: int) -> tuple[int, ...]:
    """The longest gap in each part of a stream, in order; parts have as many gaps each, as near as can be.

    `times_ns` ascend. Where there are no more gaps than parts, each gap is one.

    >>> worst_gaps([0, 1, 5, 6, 16], 2)
    (4, 10)
    """
    gaps = [after - before for before, after in pairwise(times_ns)]
    count = min(parts, len(gaps))
    bounds = [number * len(gaps) // count for number in range(count + 1)] if count else []
    return tuple(max(gaps[start:stop]) for start, stop in pairwise(bounds))


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of one exchange; None is what its recording cannot tell.

    - `ttft_ns`: TTFT, the offset of the first event that carries generated content.
    - `icl`: ICL, the gaps between the events that carry content, near-zero ones included. An event
      may hold several tokens or a part of one, so it is no time per token.
    - `tpot_ns`: TPOT, the mean time per token after the first, see `tpot_ns`.
    - `tokens_per_s`: output tokens a second, see `tokens_per_s`.
    """

    ttft_ns: int | None
    icl: Summary | None
    tpot_ns: int | None
    tokens_per_s: float | None


def timing_of(derived: Derived, e2e_ns: int | None) -> Timing:
    """All times of one exchange. `e2e_ns` is E2E, the offset of the body's end (None: unknown)."""
    return Timing(
        derived.ttft_ns,
        Summary.of(derived.icl_ns),
        tpot_ns(derived, e2e_ns),
        tokens_per_s(derived, e2e_ns),
    )


def tpot_ns(derived: Derived, e2e_ns: int | None) -> int | None:
    """TPOT = (E2E - TTFT) / (output tokens - 1), rounded; of streams of two tokens and more.

    Output tokens are the provider's count, reasoning included: where reasoning is not streamed, its
    time falls before TTFT while its tokens count here.
    """
    tokens = derived.usage.output
    if e2e_ns is None or derived.ttft_ns is None or tokens is None or tokens < 2:
        return None
    return round((e2e_ns - derived.ttft_ns) / (tokens - 1)) if e2e_ns >= derived.ttft_ns else None


def tokens_per_s(derived: Derived, e2e_ns: int | None) -> float | None:
    """Output tokens a second = output tokens / E2E, over the whole exchange, so with the wait before TTFT."""
    tokens = derived.usage.output
    if not e2e_ns or e2e_ns < 0 or tokens is None or tokens < 0:
        return None
    return tokens * NS_PER_S / e2e_ns
