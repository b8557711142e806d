"""Paths to the fields of a subject, as rules and misses write them, and dropping what they lead to.

    /messages/*/name        a JSON pointer (RFC 6901) into the body; `body/messages/*/name` is the same
    $.messages[*].name      the same as a JSONPath (`harness.core.json_path`)
    query.NAME  form.NAME  part.NAME  part.NAME/pointer

`*` is any one name or index, `**` any number of them. In memory a path is a tuple of names from the
top of the subject: `("body", "messages", "*", "name")`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.core.canonical import Json
from harness.core.difference import same
from harness.core.json_path import parse_path as json_path_steps

type Path = tuple[str, ...]

NAMED = ("query", "form", "part", "header")
"""Places whose fields have names of their own, written behind a dot."""
STRAY = re.compile(r"~(?![01]).?")
WILD = frozenset({"*", "**"})
ANY = object()
NOTHING: tuple[tuple["Drop", ...], tuple["Drop", ...]] = ((), ())


@dataclass(frozen=True, slots=True)
class Drop:
    """What is left out of a subject: anything at the path, or only what is equal to `value`."""

    path: Path
    value: Any = ANY

    def takes(self, found: Json) -> bool:
        """Whether this value, which lies at the path, is left out."""
        return self.value is ANY or same(self.value, found)


class Drops:
    """What is left out of subjects, by the place in which it lies; nearly all of it is in the body."""

    def __init__(self, drops: Iterable[Drop]) -> None:
        drops = tuple(drops)
        places = {drop.path[0] for drop in drops}
        self.at = {place: divided(below(drops, place)) for place in places}

    def without(self, found: dict[str, Json]) -> dict[str, Json]:
        """A subject without what is left out."""
        stay: dict[str, Json] = {}
        for place, value in found.items():
            whole, deeper = self.at.get(place, NOTHING)
            if not any(drop.takes(value) for drop in whole):
                stay[place] = without(value, deeper)
        return stay


def parse_path(text: str) -> Path:
    """The names of a path. ValueError, in words for people, where it is none.

    >>> parse_path("/messages/*/name") == parse_path("$.messages[*].name")
    True
    >>> parse_path("query.api-version")
    ('query', 'api-version')
    """
    place, dot, rest = text.partition(".")
    if text.startswith("$"):
        path = ("body", *json_path(text))
    elif dot and place in NAMED:
        name, slash, pointer = rest.partition("/") if place == "part" else (rest, "", "")
        path = (place, name, *pointer_names(slash + pointer))
    elif text.startswith(("/", "body/")) or text == "body":
        path = ("body", *pointer_names(text.removeprefix("body")))
    else:
        raise ValueError(f"{text!r} is no path: write /field, $.field, query.NAME, form.NAME or part.NAME")
    if "" in path[:2] or path[-1] == "**":
        raise ValueError(f"{text!r} names no field at its end")
    return path


def pointer_names(pointer: str) -> Path:
    """The names of a JSON pointer. ValueError for a `~` that stands for nothing (RFC 6901, 3).

    >>> pointer_names("/a~1b/0")
    ('a/b', '0')
    """
    if found := STRAY.search(pointer):
        raise ValueError(f"{pointer!r} is no JSON pointer: write ~0 for ~, and ~1 for / ({found[0]!r})")
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/")[1:])


def json_path(text: str) -> Iterator[str]:
    """The names of a JSONPath; `..name` is `**` and the name. ValueError for filters and slices."""
    for step in json_path_steps(text):
        if step.deep:
            yield "**"
        yield "*" if step.key is None else str(step.key)


def label_of(pointer: str) -> str:
    """A field's name for people, of its JSON pointer in the subject.

    >>> label_of("/query/limit"), label_of("/body/messages/0"), label_of("/method")
    ('query.limit', 'body/messages/0', 'method')
    """
    place, _, rest = pointer[1:].partition("/")
    return f"{place}.{rest}" if place in NAMED else pointer[1:]


def without(value: Json, drops: tuple[Drop, ...]) -> Json:
    """A value without what is dropped, in its order; in an array, null keeps the place of it."""
    if not drops or not isinstance(value, dict | list):
        return value
    if isinstance(value, list):
        stay = dict.fromkeys(map(str, range(len(value))))
        members = {str(index): item for index, item in enumerate(value)}
        return list((stay | kept(members, members, drops)).values())
    named = {drop.path[0] for drop in drops}
    met = value.keys() if named & WILD else named & value.keys()  # mostly there is nothing to drop
    if not met:
        return value
    changed = kept(met, value, drops)
    return {key: changed.get(key, item) for key, item in value.items() if key not in met or key in changed}


def kept(keys: Iterable[str], holder: dict[str, Json], drops: tuple[Drop, ...]) -> dict[str, Json]:
    """The members of these keys that stay, each without what is dropped below it."""
    stay: dict[str, Json] = {}
    for key in keys:
        whole, deeper = divided(below(drops, key))
        if not any(drop.takes(holder[key]) for drop in whole):
            stay[key] = without(holder[key], deeper)
    return stay


def divided(drops: Iterable[Drop]) -> tuple[tuple[Drop, ...], tuple[Drop, ...]]:
    """What is dropped right here, and what is dropped below."""
    reached = tuple(drops)
    return tuple(drop for drop in reached if not drop.path), tuple(drop for drop in reached if drop.path)


def below(drops: Iterable[Drop], key: str) -> Iterator[Drop]:
    """What is dropped below a member; a drop whose path ends with the member has an empty one."""
    for drop in drops:
        head = drop.path[0]
        if head == "**":
            yield drop
            yield from below((Drop(drop.path[1:], drop.value),), key)
        elif head in ("*", key):
            yield Drop(drop.path[1:], drop.value)
