"""Which of some literals stand in data: the look that is taken at every body before any rule is.

The law of this file: pure, and the answer is exactly that of one `in` for each literal. That is the
fastest search that CPython offers, but there are some sixty of them, so that it is spared where it can
find nothing: what a body says twice is searched once, what is long goes window by window, which stay in
the processor's cache, and where a window is nearly all letters and digits (the base64 of an image), only
those literals are looked for whose other characters it has.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from string import ascii_letters, digits

WORDS = (ascii_letters + digits).encode()

SHORT, LONG = 1024, 4 * 1024 * 1024
"""Bytes: what is shorter is not worth the look for repetitions, what is longer would take much memory."""

WINDOW = 64 * 1024
"""Bytes."""

FEW = 16
"""A window is nearly all letters and digits if no more than one in so many bytes is another."""


class Literals:
    """Literals to look for, none of which has a comma; those of `any_case` are in lower case."""

    def __init__(self, exact: Iterable[bytes], any_case: Iterable[bytes]) -> None:
        self._exact, self._any_case = set(exact), set(any_case)

    def of(self, data: bytes) -> tuple[set[bytes], set[bytes]]:
        """Which of the exact literals are in the data, and which of the others in any case."""
        text = distinct(data)
        if len(text) <= WINDOW:
            return among(self._exact, text), among(self._any_case, text.lower())
        exact, any_case = set(self._exact), set(self._any_case)
        for window in windows(text, self._overlap):
            shown = marks(window)
            few = frozenset(shown) if len(shown) * FEW < len(window) else None
            exact -= among(self._possible(exact, few), window)
            any_case -= among(self._possible(any_case, few), window.lower())
        return self._exact - exact, self._any_case - any_case

    @cached_property
    def _overlap(self) -> int:
        return max(map(len, self._exact | self._any_case), default=0)

    @cached_property
    def _marks(self) -> dict[bytes, frozenset[int]]:
        return {literal: frozenset(marks(literal)) for literal in self._exact | self._any_case}

    def _possible(self, literals: set[bytes], few: frozenset[int] | None) -> Iterable[bytes]:
        """The literals that may be in a window with these marks alone; None: it has many."""
        return literals if few is None else (one for one in literals if self._marks[one] <= few)


def among(literals: Iterable[bytes], text: bytes) -> set[bytes]:
    """The literals that are in the text."""
    return {literal for literal in literals if literal in text}


def marks(data: bytes) -> bytes:
    """What is neither a letter nor a digit."""
    return data.translate(None, WORDS)


def windows(data: bytes, overlap: int) -> Iterator[bytes]:
    """The data in windows, each with so many bytes of the next."""
    for start in range(0, len(data), WINDOW):
        yield data[start : start + WINDOW + overlap]


def distinct(data: bytes) -> bytes:
    """Each part between two commas once: of a stream, whose events are nearly all alike, a tenth.

    What has no comma in it is in the data if it is in this.
    """
    return b",".join(set(data.split(b","))) if SHORT < len(data) < LONG else data
