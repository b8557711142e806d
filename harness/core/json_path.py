"""JSON paths: which values of a body are secret, and where in its bytes they stand.

The law of this file: bytes in, places out, in linear time, whatever the bytes are; of a stream every
event is a JSON text of its own. A path that ends at an object or array means all that is in it.

A path is a part of RFC 9535: `$.messages[*].name`, `$..account`, `$.tools[0]['api key']`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

STEP = re.compile(
    r"""(?P<deep>\.\.)?(?:
        \[ (?: (?P<index>\d+) | (?P<any>\*) | (?P<quote>['"]) (?P<quoted>[^'"]+) (?P=quote) ) \]
        | (?:(?<=\.\.)|\.) (?: (?P<each>\*) | (?P<name>[^.\[\]*'"\s]+) ) )""",
    re.VERBOSE,
)

TOKEN = re.compile(
    rb'"(?P<string>(?:[^"\\\r\n]++|\\[^\r\n])*+)"(?P<colon>\s*+:)?'
    rb"|(?P<number>-?[0-9][0-9.eE+-]*+)|(?P<open>[{\[])|(?P<close>[}\]])|(?P<comma>,)|(?P<blank>\n\r?\n)"
)
"""What tells the structure of JSON; a blank line ends an event, however broken that is."""

DEEPEST = 64
"""Names that tell one value from another; bounded, so that no deep body takes quadratic time."""

type Path = tuple[str | int, ...]


class Step(NamedTuple):
    """One step of a path: a name, an index, or None for each; `deep`: at any depth from here."""

    key: str | int | None
    deep: bool


class Place(NamedTuple):
    """A string (without its quotes) or a number in a body: the names and indexes to it, and its bytes."""

    path: Path
    start: int
    end: int
    is_text: bool


@dataclass(slots=True, eq=False)
class _Frame:
    """An object or array that is open: the path to it, and the name or index that comes next."""

    path: Path = ()
    key: str | int | None = None
    is_list: bool = field(default=False, kw_only=True)

    def inner(self) -> Path:
        """The path of the value that stands here."""
        return self.path if self.key is None or len(self.path) >= DEEPEST else (*self.path, self.key)


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of a path. ValueError: it is none."""
    rest = text.removeprefix("$")
    if rest and rest[0] not in ".[":
        rest = f".{rest}"
    steps, at = [], 0
    while at < len(rest):
        step = STEP.match(rest, at)
        if step is None:
            break
        names = (step["name"], step["quoted"], None if step["index"] is None else int(step["index"]))
        steps.append(Step(next((key for key in names if key is not None), None), bool(step["deep"])))
        at = step.end()
    if not steps or at < len(rest):
        raise ValueError(f"{text!r} is no JSON path: write it like $.messages[*].name or $..account")
    return tuple(steps)


def selects(steps: tuple[Step, ...], path: Path) -> bool:
    """Whether a path leads to this place, or to what it is in."""
    states = {0}
    for key in path:
        states = {after for state in states for after in _after(steps, state, key)}
        if len(steps) in states:
            return True
    return False


def _after(steps: tuple[Step, ...], state: int, key: str | int) -> Iterator[int]:
    step = steps[state]
    if step.deep:
        yield state
    if step.key is None or step.key == key:
        yield state + 1


def places(data: bytes, *, names: bool = False) -> Iterator[Place]:
    """The strings and numbers of all JSON in a body, in their order; with `names`, those of members too."""
    frames = [_Frame()]
    for token in TOKEN.finditer(data):
        top, kind = frames[-1], token.lastgroup
        if kind == "open":
            is_list = token[0] == b"["
            frames.append(_Frame(top.inner(), 0 if is_list else None, is_list=is_list))
        elif kind == "close":
            del frames[max(1, len(frames) - 1) :]
        elif kind == "blank":
            frames = [_Frame()]
        elif kind == "colon":
            top.key = top.key if top.is_list else _name(token["string"])
            if names:
                yield Place(top.inner(), *token.span("string"), True)
        elif kind == "comma":
            top.key = top.key + 1 if top.is_list and isinstance(top.key, int) else top.key
        elif kind is not None and len(frames) > 1:
            yield Place(top.inner(), *token.span(kind), kind == "string")


def _name(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    try:
        return str(json.loads(f'"{text}"')) if "\\" in text else text
    except ValueError:
        return text


def pointer(path: Path) -> str:
    """A path as a JSON pointer (RFC 6901).

    >>> pointer(("a/b", 0))
    '/a~1b/0'
    """
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in path)
