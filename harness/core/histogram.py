"""A mergeable histogram of times, for figures that are gathered while events are played or measured.

Log-linear buckets as in HdrHistogram (https://github.com/HdrHistogram): a value keeps its `bits`
highest bits, so that every quantile is at most 1/2^(bits-1) too high (6 bits: 3 %, 11 bits: 0.1 %),
and two histograms add up bucket by bucket. Values are integers of any one unit; negative ones, which
are early, count as they are, on their own side of zero.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Self

BITS = 6
"""Sharpness where nothing else is asked for: enough to tell how late something was."""

FINE_BITS = 11
"""Sharpness of what is measured: at most 0.1 % too high."""

type Pairs = tuple[tuple[int, int], ...]
"""Bucket (its largest value) and count, by bucket: the form in which histograms travel as JSON."""


def bucket_of(value: int, bits: int = BITS) -> int:
    """The largest value that shares a bucket with this one: the bucket's name, and its upper bound.

    A bucket's name stays itself at the same sharpness and at any higher one.

    >>> bucket_of(100), bucket_of(101), bucket_of(-100), bucket_of(100, FINE_BITS)
    (101, 101, -99, 100)
    """
    shift = max(0, abs(value).bit_length() - bits)
    return ((value >> shift) + 1 << shift) - 1


def bottom_of(bucket: int, bits: int) -> int:
    """The smallest value that shares a bucket, by the bucket's name.

    >>> bottom_of(101, BITS), bottom_of(-99, BITS), bottom_of(7, BITS)
    (100, -100, 7)
    """
    shift = max(0, abs(bucket).bit_length() - bits)
    return bucket >> shift << shift


@dataclass(slots=True)
class Histogram:
    """Counts per bucket of a sharpness of `bits`; `worst` is exact (of pairs: the highest bucket)."""

    counts: Counter[int] = field(default_factory=Counter)
    worst: int | None = None
    bits: int = BITS

    @classmethod
    def of_pairs(cls, pairs: Iterable[tuple[int, int]], bits: int = BITS) -> Self:
        """A histogram of pairs of any sharpness (`pairs`)."""
        histogram = cls(bits=bits)
        histogram.add_pairs(pairs)
        return histogram

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.counts.total()

    def add(self, values: Iterable[int]) -> None:
        """Take in many values at once."""
        taken = list(values)
        if not taken:
            return
        bucket = bucket_of if self.bits == BITS else partial(bucket_of, bits=self.bits)
        self.counts.update(map(bucket, taken))
        self._raise_worst(max(taken))

    def add_pairs(self, pairs: Iterable[tuple[int, int]], bits: int | None = None) -> None:
        """Take in buckets and their counts, of a sharpness of `bits` (None: any)."""
        counts = dict(pairs)
        if not counts:
            return
        self._add_counts(counts, bits)
        self._raise_worst(max(counts))

    def merge(self, other: "Histogram") -> None:
        """Add another histogram's values to this one, whose sharpness stays."""
        self._add_counts(other.counts, other.bits)
        if other.worst is not None:
            self._raise_worst(other.worst)

    def pairs(self) -> Pairs:
        """Buckets and their counts, ascending."""
        return tuple(sorted(self.counts.items()))

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

    def _add_counts(self, counts: Mapping[int, int], bits: int | None) -> None:
        if bits is not None and bits <= self.bits:
            self.counts.update(counts)  # a bucket's name stays itself
            return
        for bound, count in counts.items():
            self.counts[bucket_of(bound, self.bits)] += count

    def _raise_worst(self, value: int) -> None:
        self.worst = value if self.worst is None else max(self.worst, value)
