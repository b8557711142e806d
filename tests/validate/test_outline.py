"""Outlines hold names and counts; they do not grow with a recording, nor without end."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from harness.core.exchange import Exchange
from harness.store.open import open_recording
from harness.validate.outline import NAMES, PARTS, Outline, fields_of, outline_of
from harness.validate.report import ELSEWHERE

type Call = Callable[..., Exchange]


def test_fields_have_the_types_of_all_elements() -> None:
    assert fields_of({"a": [{"b": 1}, {"b": "x"}, None], "c": True}) == {
        "": {"object"},
        "/a": {"array"},
        "/a/*": {"object", "null"},
        "/a/*/b": {"number", "string"},
        "/c": {"boolean"},
    }


def test_a_message_counts_once_for_a_place_whatever_the_number_of_elements(call: Call) -> None:
    outline = Outline()
    for _ in range(3):  # the second and third by their shape
        outline.add(call(answered={"a": [1, 2, 3]}))
    part = outline.endpoints["POST /v1/chat/completions"]["response 200"]
    assert {name: seen.messages for name, seen in part.names.items()} == {"": 3, "/a": 3, "/a/*": 3}


def test_memory_does_not_grow_with_the_recording(call: Call) -> None:
    outline = Outline()
    exchange = call(events=[{"type": "delta", "n": [{"a": number}]} for number in range(50)])
    outline.add(exchange)
    tracemalloc.start()
    for _ in range(100):
        outline.add(exchange)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 20_000


def test_names_and_parts_without_end_are_one(call: Call) -> None:
    outline = Outline()
    outline.add(call(answered={f"m{number}": 1 for number in range(NAMES + 10)}))
    (part,) = [
        part for name, part in outline.endpoints["POST /v1/chat/completions"].items() if "200" in name
    ][1:]
    assert len(part.names) == NAMES + 1
    assert ELSEWHERE in part.names
    outline.add(call(events=[{"type": f"t{number}"} for number in range(PARTS + 10)]))
    assert sum(map(len, outline.endpoints.values())) == PARTS + 1


def test_text_is_in_no_outline(call: Call) -> None:
    text = "how are you"
    event = {"type": text, "choices": [{"delta": {"content": text, text: text}}], "a": [text]}
    outline = Outline()
    outline.add(
        call(asked={"messages": [{"content": text}], text: 1}, events=[event, text], headers=((text, text),))
    )
    outline.add(call(f"/v1/{text}", answered={text: {"input": {text: text}}}))
    assert text not in json.dumps(
        {key: {p: list(part.names) for p, part in parts.items()} for key, parts in outline.endpoints.items()}
    )


def test_json_that_is_nested_too_deeply_counts_as_none(call: Call) -> None:
    outline = Outline()
    outline.add(call(events=["[" * 5000 + "]" * 5000, "[" * 900 + "]" * 900]))
    part = outline.endpoints["POST /v1/chat/completions"]["event"]
    assert part.messages == 2


def test_of_a_recording(make_exchange: Callable[..., Exchange], write: Callable[..., Path]) -> None:
    told: list[tuple[int, int | None]] = []
    for name, total in (("a.db", 2), ("a.jsonl", None)):
        with open_recording(write(make_exchange(), make_exchange(), name=name)) as recording:
            outline = outline_of(recording, lambda done, all_: told.append((done, all_)))
        assert outline.exchanges == 2
        assert told[-2:] == [(1, total), (2, total)]
        parts = outline.endpoints["POST /v1/chat/completions"]
        assert list(parts) == ["request", "response 200 headers", "response 200", "event", "sequence"]
        assert list(parts["sequence"].names) == ["content+ finish,usage [DONE]"]
