"""How two requests differ, field by field, as a person wants to read it.

The law of this file: a request is its fields, name -> value (`harness.core.matching.matcher`).
"""

import json
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from harness.core.canonical import Json, flatten
from harness.core.visible import visible

SHOWN = 60
"""Characters of a value that are shown, around the place where it differs."""

COMPARED_CHARACTERS = 2_000
"""Of a text; what follows has no say in how alike two are."""
FEW_WORDS = 12
ENDS = 16
"""Words at each end of a text."""
SAMPLED = 4
"""Of so many pairs of words one counts."""
LONG_TEXT = 2000
HALF = LONG_TEXT // 2
"""Characters."""
ALMOST = 0.99
"""The most that two different texts are alike."""
ABSENT = object()


def body_fields(value: Json) -> dict[str, Any]:
    """The leaves of a JSON body, each under `body` and its pointer."""
    return {f"body{pointer}": leaf for pointer, leaf in flatten(value).items()}


class Change(StrEnum):
    """What became of a recorded field in the request."""

    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs, by its name; what was recorded and what was requested, as text."""

    where: str
    recorded: str
    requested: str
    change: Change = Change.CHANGED

    def __str__(self) -> str:
        return f"{self.where}: recorded {self.recorded}, requested {self.requested}"


def differences(recorded: Mapping[str, Any], requested: Mapping[str, Any]) -> list[Difference]:
    """The fields (name -> value) in which two requests differ, in the order of the request."""
    names = list(requested) + [name for name in recorded if name not in requested]
    pairs = ((name, recorded.get(name, ABSENT), requested.get(name, ABSENT)) for name in names)
    return [
        Difference(name, *shortened(one, other), change_of(one, other))
        for name, one, other in pairs
        if not same(one, other)
    ]


def change_of(recorded: Any, requested: Any) -> Change:
    """What became of a value that may be `ABSENT` on one side."""
    if recorded is ABSENT:
        return Change.ADDED
    return Change.REMOVED if requested is ABSENT else Change.CHANGED


def likeness(recorded: Mapping[str, Any], requested: Mapping[str, Any]) -> float:
    """How much of two requests is alike, 0 to 1: the mean over the fields of both.

    Equal fields count 1, two texts the share of their different words that both have (Dice's coefficient),
    but never as much as equal ones; anything else counts 0.
    """
    names = recorded.keys() | requested.keys()
    told = (alike(recorded.get(name, ABSENT), requested.get(name, ABSENT)) for name in names)
    return sum(told) / len(names) if names else 1.0


def alike(one: Any, other: Any) -> float:
    """How much of two values is alike, 0 to 1."""
    if same(one, other):
        return 1.0
    if not (isinstance(one, str) and isinstance(other, str)):
        return 0.0
    words, others = (frozenset(text[:COMPARED_CHARACTERS].split()) for text in (one, other))
    count = len(words) + len(others)
    return min(ALMOST, 2 * len(words & others) / count) if count else 0.0


def fingerprint(found: Mapping[str, Any]) -> array[int]:
    """The fields of a request as numbers: small, and quick to compare (within one run of Python)."""
    return array(
        "q",
        [
            hash((name, value)) if type(value) is str else hash((name, None, repr(value)))
            for name, value in found.items()
        ],
    )


def shingles(text: str) -> list[int]:
    """Pairs of words of a text as numbers, and single words of a short one: what like texts share.

    Of a long text only its two ends count, and of them a part of the pairs, the same of all texts.
    """
    words = text.split() if len(text) <= LONG_TEXT else [*text[:HALF].split(), *text[-HALF:].split()]
    if len(words) <= FEW_WORDS:
        return [hash(word) for word in words] + list(map(hash, pairwise(words)))
    ends = words if len(words) <= 2 * ENDS else [*words[:ENDS], *words[-ENDS:]]
    return [number for number in map(hash, pairwise(ends)) if number % SAMPLED == 0]


def similarity(recorded: array[int], requested: frozenset[int]) -> float:
    """Share of equal fields among all fields of two fingerprints, 0 to 1 (Jaccard's index)."""
    equal = sum(number in requested for number in recorded)
    return equal / (len(recorded) + len(requested) - equal)


def same(one: Any, other: Any) -> bool:
    """Equal in value and kind: JSON's `true` is not `1`."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def shortened(one: Any, other: Any) -> tuple[str, str]:
    """Both values as text, cut to the surroundings of their first difference."""
    texts = [show(value) for value in (one, other)]
    common = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    start = max(0, common - SHOWN // 3)
    left, right = (cut(text, start) for text in texts)
    return left, right


def show(value: Any) -> str:
    """A value as text on one line, as JSON has it; strings in quotes, so that `1` and `"1"` differ.

    >>> show(True), show(None), show("a"), show(0.5)
    ('true', 'null', '"a"', '0.5')
    """
    if value is ABSENT:
        return "nothing"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f'"{visible(value)}"' if isinstance(value, str) else str(value)


def cut(text: str, start: int) -> str:
    """`SHOWN` characters of a text from `start`, with dots where something is left out."""
    if len(text) <= SHOWN:
        return text
    end = start + SHOWN
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
