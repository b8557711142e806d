"""The index of recorded requests by their fields: which few are worth comparing with one that missed.

The law of this file: a look-up costs next to nothing however many requests there are, since streams are
played meanwhile. Requests are numbers, in the order in which they were added.
"""

from array import array
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from harness.core.difference import shingles

type Endpoint = tuple[str, str]
"""Method, and path without the query."""

type Fields = Sequence[tuple[int, Any]]
"""The fields of a request: the number of each (`harness.core.difference.fingerprint`) and its value."""

COMPARED = 200
"""Requests that are compared: those that share the most rare numbers, then those nearest in size.

A number is rare that no more requests than this have.
"""


class Index:
    """Finds candidates, by fingerprints (`harness.core.difference`) and by what texts have in common.

    Of a recorded request that is its last text that is new: what others had before it, as system prompts
    are again and again, is found as a whole.
    """

    def __init__(self) -> None:
        self.having: dict[int, int | array[int]] = {}
        self.sizes: dict[Endpoint, list[tuple[int, int]]] = {}
        self.endpoints: list[Endpoint] = []

    def add(self, endpoint: Endpoint, size: int, found: Fields) -> None:
        """Take in the next request: its body's bytes and its fields."""
        position, having = len(self.endpoints), self.having
        self.endpoints.append(endpoint)
        insort(self.sizes.setdefault(endpoint, []), (size, position))
        text = next(self.new_texts(reversed(found)), "")
        for number in (*(number for number, _ in found), *shingles(text)):
            there = having.setdefault(number, position)
            if isinstance(there, array):
                if there[-1] != position:
                    there.append(position)
            elif there != position:
                having[number] = array("L", (there, position))

    def new_texts(self, found: Iterable[tuple[int, Any]]) -> Iterator[str]:
        """The texts that no request had so far."""
        return (text for number, text in found if isinstance(text, str) and number not in self.having)

    def candidates(self, endpoint: Endpoint, size: int, found: Fields) -> dict[int, int]:
        """The requests worth comparing, and how many rare numbers each shares.

        They are of the same endpoint, where there are such.
        """
        known = endpoint in self.sizes
        shared: Counter[int] = Counter()
        told = (one for text in self.new_texts(found) for one in shingles(text))
        for positions in map(self.positions, (*(number for number, _ in found), *told)):
            if len(positions) <= COMPARED:
                shared.update(positions)
        alike = {one: n for one, n in shared.most_common() if not known or self.endpoints[one] == endpoint}
        rest = max(0, COMPARED - len(alike))
        places = (endpoint,) if known else self.sizes
        near = (one for place in places for one in self.nearest_in_size(place, size, rest))
        return dict(islice(alike.items(), COMPARED)) | {one: alike.get(one, 0) for one in near}

    def positions(self, number: int) -> "Sequence[int]":
        """The requests with a number."""
        there = self.having.get(number, ())
        return (there,) if isinstance(there, int) else there

    def nearest_in_size(self, endpoint: Endpoint, size: int, count: int) -> list[int]:
        """So many requests of an endpoint, those around a size."""
        sizes = self.sizes[endpoint]
        middle = bisect_left(sizes, (size, 0))
        start = max(0, min(middle - count // 2, len(sizes) - count))
        return [position for _, position in sizes[start : start + count]]
