"""Anthropic's Messages API: a message of blocks, each started, filled by deltas, stopped.

Format: https://docs.claude.com/en/docs/build-with-claude/streaming.
"""

import re
from collections.abc import Callable

from harness.core.dialects.answer import Answer
from harness.core.dialects.fields import JsonObject, object_in, objects_in, text_in
from harness.core.dialects.row import Dialect, Ending, Places, Reader, Route

type PartReader = Callable[[Answer, JsonObject, int], str]
"""Reads a block or a delta of the block with this index."""


def _text(answer: Answer, part: JsonObject, _: int) -> str:
    return answer.add_text(part.get("text"))


def _thinking(answer: Answer, part: JsonObject, _: int) -> str:
    return answer.add_reasoning(part.get("thinking"))


def _call(answer: Answer, block: JsonObject, index: int) -> str:
    return answer.add_call(index, block.get("id"), block.get("name"), block.get("input"))


def _call_start(answer: Answer, block: JsonObject, index: int) -> str:
    """The input is `{}` here and follows as deltas, but for servers that send it whole."""
    return answer.add_call(index, block.get("id"), block.get("name"), block.get("input") or None)


def _call_delta(answer: Answer, delta: JsonObject, index: int) -> str:
    return answer.add_call(index, arguments=text_in(delta, "partial_json"))


TEXT_BLOCKS: dict[str, PartReader] = {"text": _text, "thinking": _thinking}
CALL_BLOCKS = ("tool_use", "server_tool_use", "mcp_tool_use")
WHOLE_BLOCKS = TEXT_BLOCKS | dict.fromkeys(CALL_BLOCKS, _call)
STARTED_BLOCKS = TEXT_BLOCKS | dict.fromkeys(CALL_BLOCKS, _call_start)
DELTAS: dict[str, PartReader] = {
    "text_delta": _text,
    "thinking_delta": _thinking,
    "input_json_delta": _call_delta,
}


def _read_part(readers: dict[str, PartReader], answer: Answer, part: JsonObject, index: int) -> str:
    reader = readers.get(text_in(part, "type"))
    return reader(answer, part, index) if reader else ""


def _event_reader(field: str, readers: dict[str, PartReader]) -> Reader:
    def read(answer: Answer, value: JsonObject) -> str:
        index = value.get("index")
        return _read_part(readers, answer, object_in(value, field), index if type(index) is int else 0)

    return read


EVENTS: dict[str, Reader] = {
    "content_block_start": _event_reader("content_block", STARTED_BLOCKS),
    "content_block_delta": _event_reader("delta", DELTAS),
}
"""The events that carry generated content."""


def read_event(answer: Answer, value: JsonObject) -> str:
    """One event of a stream."""
    reader = EVENTS.get(text_in(value, "type"))
    return reader(answer, value) if reader else ""


def read_body(answer: Answer, value: JsonObject) -> str:
    """A whole message."""
    blocks = enumerate(objects_in(value, "content"))
    return "".join([_read_part(WHOLE_BLOCKS, answer, block, position) for position, block in blocks])


MESSAGES = Dialect(
    name="anthropic.messages",
    routes=(Route("POST", re.compile(r"(?:^|/v\d[^/]*)/messages$")),),
    places=Places(
        model=(("message", "model"), ("model",)),
        usage=(("message", "usage"), ("usage",)),
        usage_keys=(
            ("input", ("input_tokens",)),
            ("output", ("output_tokens",)),
            ("cached", ("cache_read_input_tokens",)),
            ("reasoning", ("output_tokens_details", "thinking_tokens")),
        ),
        finish=(("delta", "stop_reason"), ("stop_reason",)),
    ),
    ending=Ending(types=frozenset({"message_stop"})),
    event=read_event,
    body=read_body,
)
