"""The order of events, whatever the length of an answer."""

from typing import Any

import pytest

from harness.validate.sequence import STEPS, collapsed, of_steps, step

ITEM = ["item.added", "part.added", "text.delta+", "text.done", "part.done", "item.done"]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], "no events"),
        (["ping"], "no events"),
        (["a"], "a"),
        (["a", "a"], "a+"),
        (["delta+", "ping", "delta+"], "delta+"),
        (["a", "a+", "a"], "a+"),
        (["start", *ITEM, "stop"], f"start {' '.join(ITEM)} stop"),
        (["start", *ITEM, *ITEM, *ITEM, "stop"], f"start {' '.join(ITEM)} stop"),
        (["a", "b", "a", "c"], "a b a c"),
        (["[DONE]", "[DONE]"], "[DONE]+"),
        ([f"a{n}" for n in range(STEPS + 1)], " ".join([*(f"a{n}" for n in range(STEPS)), "..."])),
    ],
)
def test_runs_and_blocks_are_written_once(steps: list[str], expected: str) -> None:
    assert collapsed(steps) == expected


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ({"type": "message_start"}, "other_name", "message_start"),
        ({"type": "response.output_text.delta"}, None, "response.output_text.delta+"),
        ({}, "message_stop", "message_stop"),
        ({"type": "how are you"}, None, "delta+"),
        ({"choices": [{"delta": {"role": "assistant", "content": ""}}]}, None, "role"),
        ({"choices": [{"delta": {"content": "a"}, "finish_reason": None}]}, None, "content+"),
        ({"choices": [{"delta": {"content": None, "tool_calls": [1]}}]}, None, "tool_calls+"),
        ({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}, None, "content,finish"),
        ({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"a": 1}}, None, "finish,usage"),
        ({"choices": [], "usage": {"a": 1}}, None, "usage"),
        ({"choices": []}, None, "empty"),
        ({"choices": [{"text": "a"}]}, None, "text+"),
        ({"choices": ["odd", {"delta": "odd"}, {}]}, None, "empty"),
        ({"choices": [{"delta": {"how are you": 1, "new": 1}}]}, None, "empty"),
        ({"choices": [{"delta": {"content": "a"}}, {"delta": {"refusal": "b"}}]}, None, "content,refusal+"),
        ({"message": {}, "done": False}, None, "delta+"),
        ({"message": {}, "done": True}, None, "done"),
        ([1], None, "other"),
    ],
)
def test_what_an_event_is(value: Any, name: str | None, expected: str) -> None:
    assert step(value, name, b"") == expected


def test_the_terminator() -> None:
    assert step(None, None, b"[DONE]") == "[DONE]"


def test_without_unknown_steps_what_they_parted_is_one_again() -> None:
    assert (
        of_steps("start new delta+ new delta+ stop newer", {"start", "delta", "stop"}) == "start delta+ stop"
    )
