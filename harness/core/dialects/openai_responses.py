"""OpenAI's Responses API: events with a `type`, items inside, the whole response at the end.

Format: https://platform.openai.com/docs/api-reference/responses-streaming. Deltas are the content;
the `.done` events and the closing response only repeat it. llama.cpp sends no `output_index`.
"""

import re
from collections.abc import Hashable
from typing import Any

from harness.core.dialects.answer import Answer
from harness.core.dialects.fields import JsonObject, objects_in, text_in
from harness.core.dialects.openai_chat import BASE
from harness.core.dialects.row import Dialect, Ending, Places, Reader, Route

CALL_ITEMS = {
    "function_call": ("call_id", "name", "arguments"),
    "custom_tool_call": ("call_id", "name", "input"),
    "mcp_call": ("id", "name", "arguments"),
    "code_interpreter_call": ("id", "type", "code"),
}
"""Items that are calls: the fields with their id, their name and what the model wrote."""

PART_READERS = {
    "output_text": lambda answer, part: answer.add_text(part.get("text")),
    "refusal": lambda answer, part: answer.add_text(part.get("refusal")),
    "reasoning_text": lambda answer, part: answer.add_reasoning(part.get("text")),
    "summary_text": lambda answer, part: answer.add_reasoning(part.get("text")),
}
"""Parts of items in a plain body."""


def read_event(answer: Answer, value: JsonObject) -> str:
    """One event of a stream."""
    reader = EVENT_READERS.get(text_in(value, "type"))
    return reader(answer, value) if reader else ""


def read_body(answer: Answer, value: JsonObject) -> str:
    """A whole response."""
    added = ""
    for position, item in enumerate(objects_in(value, "output")):
        fields = CALL_ITEMS.get(text_in(item, "type"))
        if fields:
            added += answer.add_call(position, *(item.get(name) for name in fields))
        for part in (*objects_in(item, "summary"), *objects_in(item, "content")):
            reader = PART_READERS.get(text_in(part, "type"))
            added += reader(answer, part) if reader else ""
    return added


def _text_delta(answer: Answer, value: JsonObject) -> str:
    return answer.add_text(value.get("delta"))


def _reasoning_delta(answer: Answer, value: JsonObject) -> str:
    return answer.add_reasoning(value.get("delta"))


def _call_delta(answer: Answer, value: JsonObject) -> str:
    key = _key(value.get("item_id"), value.get("output_index"))
    return answer.add_call(key, arguments=text_in(value, "delta"))


def _item_added(answer: Answer, value: JsonObject) -> str:
    """A call's id and name; its arguments come as deltas, or whole with the item's end."""
    item, fields = _call_item(value)
    if not fields:
        return ""
    key = _key(item.get("id"), value.get("output_index"))
    return answer.add_call(key, item.get(fields[0]), item.get(fields[1]))


def _item_done(answer: Answer, value: JsonObject) -> str:
    """A whole call: news only where no deltas came before."""
    item, fields = _call_item(value)
    if not fields:
        return ""
    key = _key(item.get("id"), value.get("output_index"))
    written = None if answer.has_arguments(key) else item.get(fields[2])
    return answer.add_call(key, item.get(fields[0]), item.get(fields[1]), written)


def _call_item(value: JsonObject) -> tuple[JsonObject, tuple[str, str, str] | None]:
    item = value.get("item")
    return (item, CALL_ITEMS.get(text_in(item, "type"))) if isinstance(item, dict) else ({}, None)


def _key(item_id: Any, output_index: Any) -> Hashable:
    """What names an item: its place; its id where the server sends no place (llama.cpp)."""
    if type(output_index) is int:
        return output_index
    return item_id if isinstance(item_id, str) else None


EVENT_READERS: dict[str, Reader] = {
    "response.output_text.delta": _text_delta,
    "response.refusal.delta": _text_delta,
    "response.audio.transcript.delta": _text_delta,
    "response.reasoning_text.delta": _reasoning_delta,
    "response.reasoning_summary_text.delta": _reasoning_delta,
    "response.function_call_arguments.delta": _call_delta,
    "response.custom_tool_call_input.delta": _call_delta,
    "response.mcp_call_arguments.delta": _call_delta,
    "response.code_interpreter_call_code.delta": _call_delta,
    "response.output_item.added": _item_added,
    "response.output_item.done": _item_done,
}
"""The events that carry generated content."""

RESPONSES = Dialect(
    name="openai.responses",
    routes=(
        Route("POST", re.compile(BASE + r"/responses$")),
        Route("GET", re.compile(BASE + r"/responses/[^/]+$")),
    ),
    places=Places(
        model=(("response", "model"), ("model",)),
        usage=(("response", "usage"), ("usage",)),
        usage_keys=(
            ("input", ("input_tokens",)),
            ("output", ("output_tokens",)),
            ("cached", ("input_tokens_details", "cached_tokens")),
            ("reasoning", ("output_tokens_details", "reasoning_tokens")),
        ),
        finish=(
            ("response", "incomplete_details", "reason"),
            ("response", "status"),
            ("incomplete_details", "reason"),
            ("status",),
        ),
        unfinished=frozenset({"queued", "in_progress"}),
    ),
    ending=Ending(
        data=b"[DONE]",  # one aggregator's end
        types=frozenset({"response.completed", "response.incomplete", "response.failed"}),
    ),
    event=read_event,
    body=read_body,
)
