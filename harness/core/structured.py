r"""Rules that go by the structure of a body: patterns of the user's own, JSON paths, multipart parts.

The law of this file: what is JSON stays JSON, and what frames events stays as it is, whatever a pattern
finds. Patterns are as fast as their writers make them; all else takes linear time.
"""

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Self

from harness.core.json_path import Step, parse_path, places, selects
from harness.core.json_text import is_json
from harness.core.masks import MASK, Cover, Mask, compiled, literal_of, same_mask
from harness.core.timeline import JSON_HEAD

PART_HEAD = re.compile(rb"[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*+\r?\n")
PART_NAME = re.compile(rb"""(?i:content-disposition:[^\r\n]*?[;\s]name=)(?:"([^"\r\n]*)"|([^\s;"]+))""")

MASKED = re.compile(re.escape(MASK) + rb"\*{0,99}")
LINE = re.compile(rb"[^\r\n]+")
HALF = re.compile(rb"(?<!\\)(?:\\\\)*+(\\(?:u[0-9A-Fa-f]{0,3})?)\Z")
"""What ends in the middle of an escape of JSON."""

SAME_NUMBER = b"0"
"""What stands for every number that is masked in a request."""

NEAR = 64
"""Bytes before a place that show whether it is in an escape."""

type Texts = Iterable[tuple[int, int, bool | None]]
"""Where text stands in a body, and what it is: True a JSON string, False a number, None no JSON."""


@dataclass(frozen=True, slots=True)
class OwnRow:
    """A pattern of the user's own: its first group, or all that it finds; what is JSON stays JSON."""

    rule: str
    pattern: re.Pattern[bytes]
    literal: bytes = b""
    any_case: bool = False

    @classmethod
    def of(cls, pattern: str, number: int) -> Self:
        """Finds what a pattern finds, whose number is its name. ValueError: it is no regular expression."""
        return cls(f"pattern {number}", compiled(pattern.encode()))

    def covers(self, data: bytes, mask: Mask) -> Iterator[Cover]:
        """What the pattern finds, without the marks of JSON around it."""
        group = min(1, self.pattern.groups)
        spans = [match.span(group) for match in self.pattern.finditer(data) if match[group]]
        if MASK in data:  # what is in a mask was no secret
            masks = [match.span() for match in MASKED.finditer(data)]
            spans = [span for span in spans if not _is_in(span, masks)]
        if spans:
            yield from _within(spans, _texts(data), data, mask)


@dataclass(frozen=True, slots=True)
class PathRow:
    """The strings and numbers at a JSON path."""

    rule: str
    literal: bytes
    steps: tuple[Step, ...]
    any_case: bool = False

    @classmethod
    def of(cls, path: str) -> Self:
        """Finds what is at a path. ValueError: it is none."""
        steps = parse_path(path)
        names = [step.key for step in steps if isinstance(step.key, str)]
        return cls(f"path {path}", literal_of(max(names, key=len, default="")), steps)

    @classmethod
    def of_field(cls, name: str) -> Self:
        """Finds what is in the members of a name, in any case, at any depth."""
        low = name.lower()
        return cls(f"field {name}", literal_of(low), (Step(low, deep=True),), any_case=True)

    def may_find(self, data: bytes) -> bool:
        """Whether the longest name of the path is in the data."""
        return self.literal in (data.lower() if self.any_case else data)

    def covers(self, data: bytes, mask: Mask) -> Iterator[Cover]:
        """The values at the path, of every event of a stream."""
        for place in places(data):
            path = tuple(map(_low, place.path)) if self.any_case else place.path
            if place.end > place.start and selects(self.steps, path):
                value = data[place.start : place.end]
                yield place.start, place.end, mask(value) if place.is_text else _number(value, mask)


@dataclass(frozen=True, slots=True)
class PartRow:
    """The parts of a multipart body (RFC 7578) whose names are secret: fields and files."""

    boundary: bytes
    is_secret: Callable[[str], bool]
    rule: str = "multipart"
    literal: bytes = b"name="
    any_case: bool = True

    def covers(self, data: bytes, mask: Mask) -> Iterator[Cover]:
        """The contents of such parts."""
        line = b"--" + self.boundary
        at = data.find(line)
        while at >= 0:
            after = data.find(b"\n" + line, at)
            end = after if after >= 0 else len(data)
            head = PART_HEAD.match(data, at, end)
            end -= after >= 0 and data[end - 1 : end] == b"\r"
            if head and head.end() < end and self._names(head[0]):
                yield head.end(), end, mask(data[head.end() : end])
            at = after + 1 if after >= 0 else -1

    def _names(self, head: bytes) -> bool:
        name = PART_NAME.search(head)
        return name is not None and self.is_secret((name[1] or name[2] or b"").decode("utf-8", "replace"))


def _low(key: str | int) -> str | int:
    return key.lower() if isinstance(key, str) else key


def _is_in(span: tuple[int, int], masks: list[tuple[int, int]]) -> bool:
    at = bisect_right(masks, span) - 1
    around = masks[at : at + 2] if at >= 0 else masks[:1]
    return any(start <= span[0] and span[1] <= end for start, end in around)


def _number(value: bytes, mask: Mask) -> bytes:
    """Another number in the place of one."""
    return SAME_NUMBER if mask is same_mask else b"1".ljust(len(value), b"0")


def _texts(data: bytes) -> Texts:
    """The text of a body, without what frames it."""
    if JSON_HEAD.match(data) and is_json(data):
        yield from ((place.start, place.end, place.is_text) for place in places(data, names=True))
        return
    for line in LINE.finditer(data):
        start = line.start() + (5 if line[0].startswith(b"data:") else 0)
        part = data[start : line.end()]
        if JSON_HEAD.match(part) and is_json(part):
            yield from ((start + at.start, start + at.end, at.is_text) for at in places(part, names=True))
        else:
            yield start, line.end(), None


def _within(spans: Iterable[tuple[int, int]], texts: Texts, data: bytes, mask: Mask) -> Iterator[Cover]:
    """The parts of the spans that are in text, which stays what it is."""
    left = deque(spans)
    for start, end, is_text in texts:
        while left and left[0][1] <= start:
            left.popleft()
        inside = list(_inside(left, start, end))
        if inside and is_text is False:
            yield start, end, _number(data[start:end], mask)
            continue
        for begin, stop in map(partial(_whole, data), inside) if is_text else inside:
            if begin < stop:
                yield begin, stop, mask(data[begin:stop])


def _inside(spans: Iterable[tuple[int, int]], start: int, end: int) -> Iterator[tuple[int, int]]:
    for begin, stop in spans:
        if begin >= end:
            return
        yield max(begin, start), min(stop, end)


def _whole(data: bytes, span: tuple[int, int]) -> tuple[int, int]:
    """The part of a span in a JSON string that has no half of an escape."""
    (before, length), (half, _) = _half(data, span[0]), _half(data, span[1])
    return span[0] - before + length, span[1] - half


def _half(data: bytes, at: int) -> tuple[int, int]:
    """How many bytes of an escape stand before a place in its middle, and how long it is; 0, 0: in none."""
    half = HALF.search(data[max(0, at - NEAR) : at])
    if half is None:
        return 0, 0
    return len(half[1]), 6 if data[at - len(half[1]) + 1 : at - len(half[1]) + 2] == b"u" else 2
