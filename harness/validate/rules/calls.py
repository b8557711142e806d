"""The tool calls of chat completions, put together from their deltas.

The law of this file: a call is known by its choice and its `index`; without one by its id, else (and in
a whole message) by its place. What the model wrote is only asked whether it is JSON.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.core.dialects.fields import object_in, objects_in
from harness.validate.rules.choices import Choice, Piece, choices_of
from harness.validate.rules.rule import Fault
from harness.validate.rules.sequence import gaps, is_json_text, repeats
from harness.validate.rules.stream import Stream

LEGACY = "function_call"
"""The member that held the only call before there were `tool_calls`; it has no id."""

BROKEN_OFF = ("length", "content_filter")
"""Reasons to finish after which arguments may be cut."""


class Delta(NamedTuple):
    """What one event adds to a call.

    `key` names the call in its choice; `kind` is the member that holds what is called.
    """

    event: int
    pointer: str
    kind: str
    key: Hashable
    index: Any
    id: Any
    name: Any
    arguments: Any


@dataclass(slots=True)
class Call:
    """One call: its deltas, and how its choice finished."""

    finish: str
    deltas: list[Delta] = field(default_factory=list)

    @property
    def first(self) -> Delta:
        """The delta that began it."""
        return self.deltas[0]

    @property
    def arguments(self) -> str:
        """What the model wrote."""
        return "".join([delta.arguments for delta in self.deltas if isinstance(delta.arguments, str)])


def calls_of(stream: Stream) -> dict[int, list[Call]]:
    """The calls of each choice, in the order in which they began."""
    return {index: _calls(choice) for index, choice in stream.once(choices_of).items()}


def _calls(choice: Choice) -> list[Call]:
    calls: dict[Hashable, Call] = {}
    for piece in choice.pieces:
        if "tool_calls" in piece.said or "function_call" in piece.said:
            for delta in _deltas(piece):
                if delta.key not in calls:
                    calls[delta.key] = Call(choice.finish)
                calls[delta.key].deltas.append(delta)
    return list(calls.values())


def _deltas(piece: Piece) -> Iterator[Delta]:
    for position, call in enumerate(objects_in(piece.said, "tool_calls")):
        kind = "custom" if call.get("custom") and not call.get("function") else "function"
        held, index, named = object_in(call, kind), call.get("index"), call.get("id")
        key = position if piece.event == 0 else _key(index, named, position)
        pointer = piece.pointer("tool_calls", position)
        written = held.get("arguments")
        yield Delta(piece.event, pointer, kind, key, index, named, held.get("name"), written)
    legacy = piece.said.get(LEGACY)
    if isinstance(legacy, dict) and any(legacy.values()):  # an empty one stands for none (Snowflake)
        name, written = legacy.get("name"), legacy.get("arguments")
        yield Delta(piece.event, piece.pointer(LEGACY), LEGACY, LEGACY, None, None, name, written)


def _key(index: Any, named: Any, position: int) -> Hashable:
    if type(index) is int:
        return index
    return named if isinstance(named, str) and named else position


def all_calls(stream: Stream) -> list[Call]:
    """The calls of all choices."""
    return [call for calls in stream.once(calls_of).values() for call in calls]


def call_indexes(stream: Stream) -> Iterator[Fault]:
    """In each choice; an index that is missing is for the schema to say."""
    for calls in stream.once(calls_of).values():
        firsts = [call.first for call in calls if type(call.first.index) is int]
        yield from gaps((first.event, f"{first.pointer}/index", first.index) for first in firsts)


def call_heads(stream: Stream) -> Iterator[Fault]:
    """A later delta may repeat id and name."""
    for call in stream.once(all_calls):
        first, *later = call.deltas
        heads = [("/id", first.id, [delta.id for delta in later])] if first.kind != LEGACY else []
        inner = "/name" if first.kind == LEGACY else f"/{first.kind}/name"
        for member, value, others in (*heads, (inner, first.name, [delta.name for delta in later])):
            if not value:
                yield Fault(first.event, first.pointer + member, "there is none")
            for delta, other in zip(later, others, strict=True):
                if value and other and other != value:
                    yield Fault(delta.event, delta.pointer + member, "it changes here")


def call_arguments(stream: Stream) -> Iterator[Fault]:
    """The input of a custom tool is free text."""
    for call in stream.once(all_calls):
        last = call.deltas[-1]
        whole = stream.ended and call.finish not in BROKEN_OFF
        if whole and last.kind != "custom" and not is_json_text(call.arguments):
            member = "/arguments" if last.kind == LEGACY else "/function/arguments"
            yield Fault(last.event, last.pointer + member, "they are none")


def call_ids(stream: Stream) -> Iterator[Fault]:
    """Clients answer a call by its id."""
    firsts = [call.first for call in stream.once(all_calls)]
    return repeats((first.event, f"{first.pointer}/id", first.id) for first in firsts)


def calls_finish(stream: Stream) -> Iterator[Fault]:
    """A choice that finished for its calls has some."""
    calls = stream.once(calls_of)
    for index, choice in stream.once(choices_of).items():
        if choice.finish in ("tool_calls", LEGACY) and not calls[index]:
            last = choice.pieces[choice.finishes[-1]]
            yield Fault(last.event, f"/choices/{last.position}/finish_reason", "there is none")
