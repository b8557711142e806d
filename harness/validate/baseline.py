"""What differs in shape between two recordings: has the API changed?

The law of this file: what vanished or changed its type breaks programs, what appeared does not. A
place is told once: what stands under a place that vanished or appeared is not told again.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from harness.validate.outline import SEQUENCE, Outline, PartOutline
from harness.validate.sequence import of_steps

COMES_AND_GOES = re.compile(r"response (408|429|5[0-9][0-9])( headers)?")
"""Answers that nobody asks for: that there is none of them any more is no break."""


class Change(StrEnum):
    """What became of a place."""

    VANISHED = "vanished"
    CHANGED = "changed type"
    APPEARED = "appeared"


@dataclass(frozen=True, slots=True)
class Tally:
    """In how many messages of how many a place was seen, with which JSON types."""

    seen: int
    of: int
    types: tuple[str, ...] = ()


class Place(NamedTuple):
    """A place in a recording's outline. `where` is a pointer, a header or a sequence.

    An empty `part` is the whole endpoint, an empty `where` the whole part, or its root.
    """

    endpoint: str
    part: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place at which two recordings differ; `breaks`: programs may."""

    change: Change
    place: Place
    before: Tally
    now: Tally
    breaks: bool


ORDER = {change: place for place, change in enumerate(Change)}


def compare(before: Outline, now: Outline) -> list[Difference]:
    """All differences: what breaks first, then by endpoint, part and place."""
    found: list[Difference] = []
    for endpoint in before.endpoints.keys() | now.endpoints.keys():
        old, new = before.endpoints.get(endpoint), now.endpoints.get(endpoint)
        if old is None or new is None:
            found.append(one_sided(Place(endpoint), total(old), total(new)))
        else:
            for part in old.keys() | new.keys():
                found += compare_parts(Place(endpoint, part), old.get(part), new.get(part))
    return sorted(found, key=lambda one: (not one.breaks, ORDER[one.change], one.place))


def compare_parts(place: Place, old: PartOutline | None, new: PartOutline | None) -> Iterator[Difference]:
    """The differences of one part of an endpoint."""
    if old is None or new is None:
        yield one_sided(place, whole(old), whole(new))
        return
    vanished, appeared = old.names.keys() - new.names.keys(), new.names.keys() - old.names.keys()
    if place.part == SEQUENCE:
        vanished -= in_new_company(old, new)
    for names in (vanished, appeared):
        for name in names:
            if name.rpartition("/")[0] not in names:
                yield one_sided(place._replace(where=name), tally(old, name), tally(new, name))
    for name in old.names.keys() & new.names.keys():
        if new.names[name].types - old.names[name].types:
            changed = place._replace(where=name)
            yield Difference(Change.CHANGED, changed, tally(old, name), tally(new, name), breaks=True)


def in_new_company(old: PartOutline, new: PartOutline) -> set[str]:
    """The sequences of the new recording without the steps that the old one never has."""
    known = {step.removesuffix("+") for sequence in old.names for step in sequence.split()}
    return {of_steps(sequence, known) for sequence in new.names}


def one_sided(place: Place, before: Tally, now: Tally) -> Difference:
    """A place that only one of the recordings has."""
    if not before.seen:
        return Difference(Change.APPEARED, place, before, now, breaks=False)
    rare = not place.where and COMES_AND_GOES.fullmatch(place.part) is not None
    return Difference(Change.VANISHED, place, before, now, breaks=not rare)


def total(parts: Mapping[str, PartOutline] | None) -> Tally:
    """All messages of an endpoint."""
    count = sum(part.messages for part in (parts or {}).values())
    return Tally(count, count)


def whole(part: PartOutline | None) -> Tally:
    """All messages of a part."""
    count = part.messages if part else 0
    return Tally(count, count)


def tally(part: PartOutline, name: str) -> Tally:
    """How often a name was seen in a part."""
    seen = part.names.get(name)
    return Tally(seen.messages, part.messages, tuple(sorted(seen.types))) if seen else Tally(0, part.messages)
