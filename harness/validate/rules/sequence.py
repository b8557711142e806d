"""Questions that the rules of several dialects ask of a sequence.

The law of this file: values may be of any type, and need not be hashable.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from harness.core.dialects.fields import JsonObject
from harness.core.json_text import healed, is_json
from harness.core.masks import MASK
from harness.validate.rules.rule import Fault
from harness.validate.rules.stream import Numbered, Stream

MASKED = MASK.decode()


def typed(stream: Stream) -> list[tuple[int, str, JsonObject]]:
    """The objects whose `type` is text, with number and type."""
    return [
        (number, kind, value)
        for number, value in stream.objects
        if isinstance(kind := value.get("type"), str)
    ]


def changes(objects: list[Numbered], key: str, pointer: str = "") -> Iterator[Fault]:
    """Where a field differs from what it was before; absent, null, empty and 0 say nothing (Azure)."""
    given = [value.get(key) for _, value in objects]
    if given.count(given[0]) == len(given) if given else True:  # nearly always, and fast
        return
    before = None
    for (number, _), value in zip(objects, given, strict=True):
        if value and before and value != before:
            yield Fault(number, f"{pointer}/{key}", "it changes here")
        before = value or before


def repeats(found: Iterable[tuple[int, str, Any]]) -> Iterator[Fault]:
    """Where one of the texts (event, pointer, text) came before; empty ones and other types do not count."""
    seen: set[str] = set()
    for number, pointer, value in found:
        if isinstance(value, str) and value:
            if value in seen:
                yield Fault(number, pointer, "it came before")
            seen.add(value)


def gaps(found: Iterable[tuple[int, str, Any]], wanted: int = 0) -> Iterator[Fault]:
    """Where numbers (event, pointer, number) do not run on by 1; after a wrong one they run on from it."""
    for number, pointer, value in found:
        if type(value) is not int:
            yield Fault(number, pointer, "it is missing" if value is None else "it is no integer")
        elif value != wanted:
            yield Fault(number, pointer, "this is another")
        wanted = value + 1 if type(value) is int else wanted + 1


def once_and_last(found: list[int], last: int, *, ended: bool) -> Iterator[Fault]:
    """What ends a stream (numbers of events) is there, once, and nothing comes after it."""
    if not found and ended:
        yield Fault(0, "", "there is none")
    for number in found[1:]:
        yield Fault(number, "", "here is another")
    if found and last > found[-1]:
        yield Fault(last, "", "this comes after it")


def event_names(stream: Stream) -> Iterator[Fault]:
    """Where the SSE name of an event is not its `type`: some SDKs dispatch by the one, some by the other."""
    events = stream.answer.events
    for number, kind, _ in stream.once(typed):
        if events[number - 1].name != kind:
            yield Fault(number, "/type", "it is another or missing")


def no_dones(stream: Stream) -> Iterator[Fault]:
    """Where a `[DONE]` is; gateways from OpenAI's older form send it."""
    return (Fault(number, "", "here is one") for number in stream.dones)


def is_masked(text: str) -> bool:
    """Whether a secret was masked in it (`harness.core.masks`), so that it is no longer what was said."""
    return MASKED in text


def is_json_text(text: str) -> bool:
    """Whether generated text is one whole JSON text."""
    return is_json(healed(text).encode())
