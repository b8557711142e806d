"""A mergeable histogram of times, for figures that are gathered while events are played.

Log-linear buckets as in HdrHistogram (https://github.com/HdrHistogram): a value keeps its `BITS`
highest bits, so that every quantile is at most 1/32 (3 %) too high, and two histograms add up
bucket by bucket. Values are integers (ns); negative ones, which are early, count as they are, on
their own side of zero.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

BITS = 6
SHARP = 1 << BITS


def bucket_of(value: int) -> int:
    """The largest value that shares a bucket with this one: the bucket's name, and its upper bound.

    >>> bucket_of(100), bucket_of(101), bucket_of(-100)
    (101, 101, -99)
    """
    shift = max(0, abs(value).bit_length() - BITS)
    return ((value >> shift) + 1 << shift) - 1


@dataclass(slots=True)
class Histogram:
    """Counts per bucket; `worst` is exact. All values in ns."""

    counts: Counter[int] = field(default_factory=Counter)
    worst: int | None = None

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.counts.total()

    def add(self, values: Iterable[int]) -> None:
        """Take in many values at once."""
        taken = list(values)
        if not taken:
            return
        self.counts.update(map(bucket_of, taken))
        self.worst = max(taken) if self.worst is None else max(self.worst, *taken)

    def merge(self, other: "Histogram") -> None:
        """Add another histogram's values to this one."""
        self.counts.update(other.counts)
        if other.worst is not None:
            self.worst = other.worst if self.worst is None else max(self.worst, other.worst)

    def quantile(self, q: float) -> int | None:
        """Nearest-rank quantile, as the upper bound of its bucket; None while there are no values."""
        if not self.counts:
            return None
        rank, seen = max(1, math.ceil(q * self.count)), 0
        for bound in sorted(self.counts):
            seen += self.counts[bound]
            if seen >= rank:
                return bound if self.worst is None else min(bound, self.worst)
        return self.worst
