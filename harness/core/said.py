r"""Secrets that a body says piece by piece, found and masked in the JSON strings that hold the pieces.

The law of this file: the body keeps its length and stays the JSON it was; only what a string holds
of a secret is overwritten. Strings are read as bytes with their places, so that no way of writing
one (`\u003c`, `\/`, a lone surrogate) can hide it. What stands under the same names with the same
indexes is one text: the pieces of one choice, of one tool call, of one field.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.core.masks import long_mask

TOKEN = re.compile(
    rb'"bytes"\s*+:\s*+\[(?P<numbers>[\d,\s]*+)\]'
    rb'|"(?P<string>(?:[^"\\\r\n]++|\\[^\r\n])*+)"(?P<colon>\s*+:)?'
    rb"|(?P<open>[{\[])|(?P<close>[}\]])|(?P<number>\d++)|(?P<blank>\n\r?\n)"
)
"""What the structure of JSON is told by; a blank line ends an event, however broken that is."""

UNIT = re.compile(rb"\\u([0-9A-Fa-f]{4})|\\(.)|[\xc2-\xf4][\x80-\xbf]+|.", re.DOTALL)
"""A character of a JSON string as it is written."""

ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}

SPECIAL = re.compile(rb"\\u([0-9A-Fa-f]{4})|\\(.)|[\xc2-\xf4][\x80-\xbf]+|[\x80-\xff]", re.DOTALL)
"""A character that is not written as itself, or is not ASCII."""

REPEATED = 256
"""Characters that show all there is to see of a text that repeats one piece, such as an id in every event."""

INDEXES = frozenset({b"index", b"output_index", b"content_index", b"summary_index", b"item_id"})
INDEX_NAMES = frozenset(name.decode() for name in INDEXES)
TOKENS = frozenset({b"token", b"tokens"})
"""Names under which logprobs repeat what the text says."""

LIKELY = b"top_logprobs"
OWN_NAMES = frozenset({b"token", b"logprob", b"bytes"})
"""Of objects in `top_logprobs` that tell a token each; in those of completions the names are the tokens."""

SAID = frozenset(
    {"text", "content", "delta", "refusal", "arguments", "partial_json", "response"}
    | {"reasoning", "reasoning_content", "thinking"}
)
"""Names under which dialects say what is generated, one after the other where a stream mixes them."""
SAID_NAMES = frozenset(name.encode() for name in SAID)

DEPTH = 32
"""Frames that tell one value from another; bounded, so that no deep body takes quadratic time."""

type Find = Callable[[bytes], tuple[bytes, int]]
"""Plain text (a byte a character) -> the same, as long, with its secrets masked; how many there were."""


@dataclass(slots=True, eq=False)
class _Frame:
    """An object or array: its name and indexes, where its `bytes` stand, whether it tells a secret."""

    name: bytes
    indexes: dict[bytes, bytes] = field(default_factory=dict)
    numbers: tuple[int, int] | None = None
    secret: bool = False
    names: Counter[bytes] = field(default_factory=Counter)


@dataclass(slots=True, eq=False)
class _Value:
    """A string value: its frames from the outside in, its name, where it starts, as it is written.

    `rank` tells values of the same name in one object apart, and how likely a token of a completion was.
    """

    frames: tuple[_Frame, ...]
    name: bytes
    start: int
    raw: bytes
    rank: int = 0

    @property
    def path(self) -> tuple[object, ...]:
        frames = ((frame.name, *sorted(frame.indexes.items())) for frame in self.frames)
        return (*frames, self.name, self.rank)

    def within(self, changed: bytearray) -> bytes:
        """As it is written now: a character that was masked may be several."""
        return bytes(changed[self.start : self.start + len(self.raw)])

    @property
    def repeats(self) -> bool:
        return self.name in TOKENS or self.frames[-1].name in TOKENS


def may_say(told: Iterable[tuple[bytes, Any]], find: Find) -> bool:
    """Whether a closer look may find a secret said piece by piece. Fast: the usual answer is no.

    `told` has the JSON texts of a body, each with its value; None for one that is no JSON.
    """
    texts: defaultdict[object, list[str]] = defaultdict(list)
    for data, value in told:
        if value is None and b'"' in data:
            return True
        try:
            members = _gather([value], (), texts)  # in a list, since a value may be a bare string
        except RecursionError:
            return True
        if members != data.count(b'":') - data.count(b'\\":'):  # a name that is repeated shows its last value
            return True
    return find(b"\n".join(map(_told, texts.values())))[1] > 0


def _gather(value: list[Any], path: object, texts: defaultdict[object, list[str]]) -> int:
    """Add the strings of an array, by their names and indexes, as `_Value.path` has them.

    Only what is within is walked: a call for every string would double the time. Returns how many members
    the objects in it have.
    """
    members = 0
    inner = (path, "")
    for member in value:
        kind = type(member)
        if kind is str:
            texts[inner].append(member)
        elif kind is dict:
            members += _gather_object(member, inner, texts)
        elif kind is list:
            members += _gather(member, inner, texts)
    return members


def _gather_object(value: dict[str, Any], path: object, texts: defaultdict[object, list[str]]) -> int:
    """The same of an object."""
    members = len(value)
    if not INDEX_NAMES.isdisjoint(value) and (indexes := tuple(_indexes(value))):
        path = (path, *indexes)
    for name, member in value.items():
        kind = type(member)
        if kind is str:
            texts[path, name].append(member)
            if name in SAID:
                texts[SAID].append(member)
        elif kind is dict:
            members += _gather_object(member, (path, name), texts)
        elif kind is list:
            members += _gather(member, (path, name), texts)
    if "top_logprobs" in value:
        _gather_likely(value["top_logprobs"], path, texts)
    return members


def _gather_likely(value: Any, path: object, texts: defaultdict[object, list[str]]) -> None:
    """Add the likely tokens of a completion, which are names: the likeliest, the second and so on."""
    for choices in value if type(value) is list else ():
        for rank, token in enumerate(choices if type(choices) is dict else ()):
            texts[path, "top_logprobs", rank].append(token)


def _indexes(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The indexes of an object as `_values` reads them: texts, and numbers without their sign."""
    for name in INDEX_NAMES:
        index = value.get(name)
        if type(index) is str or type(index) is int:
            yield name, repr(index).lstrip("-")


def _told(pieces: list[str]) -> bytes:
    """The text that the pieces are together; of one that only repeats, a part."""
    if len(set(pieces)) == 1:
        pieces = pieces[: REPEATED // max(1, len(pieces[0])) + 2]
    return "".join(pieces).encode("ascii", "replace")


def mask_said(body: bytes, said: Iterable[str], find: Find) -> tuple[bytes, int]:
    """The body without secrets that its strings say piece by piece, and how many of them there were.

    `said` is what was generated, in the order of arrival: a secret may run on from one field to
    another, so that fields with such pieces are looked through together as well.
    """
    changed, values = bytearray(body), list(_values(body))
    groups: dict[tuple[object, ...], list[_Value]] = {}
    for value in values:
        groups.setdefault(value.path, []).append(value)
    mixed = [value for value in values if value.name in SAID_NAMES]
    together = (*groups.values(), _arrival(groups.values(), said), mixed)
    count = max([_mask_group(changed, group, find) for group in together], default=0)
    for value in values:
        if value.name in TOKENS | {LIKELY} and any(frame.secret for frame in value.frames):
            _overwrite(changed, value, long_mask(_plain(value.within(changed))))
            value.frames[-1].secret = True
    for frame in {frame for value in values for frame in value.frames if frame.secret}:
        _overwrite_numbers(changed, frame)
    return bytes(changed), count


def mask_all_said(body: bytes, said: Iterable[str]) -> bytes:
    """The body with all strings masked that say what was generated: for what cannot be told apart."""
    pieces = [piece.encode("ascii", "replace") for piece in said if piece]
    changed = bytearray(body)
    for value in _values(body):
        plain = _plain(value.raw)
        if plain and any(plain in piece for piece in pieces):
            _overwrite(changed, value, long_mask(plain))
    return bytes(changed)


def _values(body: bytes) -> Iterator[_Value]:
    frames, name = [_Frame(b"")], b""
    for token in TOKEN.finditer(body):
        kind = token.lastgroup
        if kind == "open":
            frames.append(_Frame(name))
            name = b""
        elif kind == "close":
            frames.pop()
            frames, name = frames or [_Frame(b"")], b""
        elif kind == "blank":
            frames, name = [_Frame(b"")], b""
        elif kind == "colon":
            name = token["string"]
            frames[-1].names[name] += 1
            if len(frames) > 1 and frames[-2].name == LIKELY and name not in OWN_NAMES:
                rank = len(frames[-1].names)
                yield _Value(tuple(frames[-DEPTH:]), LIKELY, token.start("string"), name, rank)
        elif kind == "numbers":
            frames[-1].numbers = token.span("numbers")
        elif name in INDEXES:
            frames[-1].indexes.setdefault(name, token[0])
        elif kind == "string":
            rank = frames[-1].names[name]
            yield _Value(tuple(frames[-DEPTH:]), name, token.start("string"), token["string"], rank)


def _arrival(groups: Iterable[list[_Value]], said: Iterable[str]) -> list[_Value]:
    pieces = {piece.encode("ascii", "replace") for piece in said}
    values: list[_Value] = []
    for group in groups:
        told = sum(_plain(value.raw) in pieces for value in group if not value.repeats)
        if told * 2 >= len(group):
            values += group
    return sorted(values, key=lambda value: value.start)


def _mask_group(changed: bytearray, group: list[_Value], find: Find) -> int:
    plains = [_plain(value.within(changed)) for value in group]
    then = b"".join(plains)
    now, count = find(then)
    start = 0
    for value, plain in zip(group, plains, strict=True) if count else ():
        end = start + len(plain)
        if now[start:end] != plain:
            _overwrite(changed, value, now[start:end])
            for frame in value.frames[-2 if value.frames[-1].name in TOKENS else -1 :]:
                frame.secret = True  # of a list of tokens also what holds it, and what else is likely
        start = end
    return count


def _plain(raw: bytes) -> bytes:
    """A JSON string as plain text, a byte a character; what is not ASCII is `?`."""
    if b"\\" not in raw and raw.isascii():
        return raw
    return SPECIAL.sub(_character, raw)


def _character(unit: re.Match[bytes]) -> bytes:
    if unit[1]:
        code = int(unit[1], 16)
        return bytes((code,)) if code < 0x80 else b"?"
    if unit[2]:
        return ESCAPES.get(unit[2], unit[2])
    return unit[0] if unit[0].isascii() else b"?"


def _overwrite(changed: bytearray, value: _Value, plain: bytes) -> None:
    """Writes what differs; a character stays as long as it was written."""
    end = value.start + len(value.raw)
    units = UNIT.finditer(bytes(changed[value.start : end]))
    written = [_written(unit, code) for unit, code in zip(units, plain, strict=True)]
    changed[value.start : end] = b"".join(written)


def _written(unit: re.Match[bytes], code: int) -> bytes:
    if _character(unit) == bytes((code,)):
        return unit[0]
    return b"\\u%04x" % code if unit[1] else bytes((code,)).ljust(len(unit[0]), b"*")


def _overwrite_numbers(changed: bytearray, frame: _Frame) -> None:
    if frame.numbers:
        part = slice(*frame.numbers)
        changed[part] = re.sub(rb"\d+", lambda digits: b"1".ljust(len(digits[0]), b"0"), changed[part])
