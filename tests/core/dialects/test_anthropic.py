from collections.abc import Callable
from typing import Any

import pytest

from harness.core.derive import Derived, ToolCall, Usage

type Derive = Callable[..., Derived]

PATH = "/v1/messages"
MS = 1_000_000
START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "c-1",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 9, "cache_read_input_tokens": 4, "output_tokens": 1},
    },
}
PING = {"type": "ping"}
STOP = {"type": "message_stop"}


def block(index: int, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": fields}


def delta(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def end(reason: str, **usage: Any) -> dict[str, Any]:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": {"output_tokens": 7, **usage},
    }


def test_a_stream(derive_stream: Derive) -> None:
    derived = derive_stream(
        PATH,
        START,
        PING,
        block(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="why"),
        delta(0, "signature_delta", signature="c2ln"),
        {"type": "content_block_stop", "index": 0},
        block(1, type="text", text=""),
        delta(1, "text_delta", text="Hel"),
        delta(1, "text_delta", text="lo"),
        {"type": "content_block_stop", "index": 1},
        end("end_turn", output_tokens_details={"thinking_tokens": 3}),
        STOP,
    )
    assert (derived.dialect, derived.model, derived.stream) == ("anthropic.messages", "c-1", True)
    assert (derived.text, derived.reasoning, derived.finish_reason) == ("Hello", "why", "end_turn")
    assert (derived.usage, derived.terminated, derived.error) == (Usage(9, 7, 4, 3), True, None)
    assert derived.content_text == ("why", "Hel", "lo")
    assert (derived.ttft_ns, derived.icl_ns) == (4 * MS, (4 * MS, MS))


def test_a_stream_without_its_stop(derive_stream: Derive) -> None:
    derived = derive_stream(PATH, START, delta(0, "text_delta", text="a"), end("end_turn"))
    assert (derived.finish_reason, derived.terminated) == ("end_turn", False)


def test_a_body(derive_body: Derive) -> None:
    content = [
        {"type": "thinking", "thinking": "why", "signature": "c2ln"},
        {"type": "text", "text": "He"},
        {"type": "text", "text": "llo"},
        {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {"at": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "then", "input": {}},
    ]
    usage = {"input_tokens": 9, "output_tokens": 7, "cache_read_input_tokens": 4}
    value = {"type": "message", "model": "c-1", "content": content, "stop_reason": "tool_use", "usage": usage}
    derived = derive_body(PATH, value)
    assert (derived.text, derived.reasoning, derived.model) == ("Hello", "why", "c-1")
    assert derived.tool_calls == (ToolCall("toolu_1", "now", '{"at":1}'), ToolCall("toolu_2", "then", "{}"))
    assert (derived.usage, derived.finish_reason, derived.terminated) == (Usage(9, 7, 4), "tool_use", True)


@pytest.mark.parametrize("kind", ["tool_use", "server_tool_use", "mcp_tool_use"])
@pytest.mark.parametrize("by_deltas", [True, False], ids=["by deltas", "whole"])
def test_tool_calls(derive_stream: Derive, kind: str, by_deltas: bool) -> None:
    started = {} if by_deltas else {"at": 1}
    pieces = ["", '{"at"', ":1}"] if by_deltas else []
    derived = derive_stream(
        PATH,
        START,
        block(0, type=kind, id="toolu_1", name="now", input=started),
        *(delta(0, "input_json_delta", partial_json=piece) for piece in pieces),
        block(1, type=kind, id="toolu_2", name="then", input={}),
        end("tool_use"),
        STOP,
    )
    assert derived.tool_calls == (ToolCall("toolu_1", "now", '{"at":1}'), ToolCall("toolu_2", "then", ""))
    assert "".join(derived.content_text) == 'now{"at":1}then'
    assert derived.ttft_ns == 2 * MS


def test_an_error_ends_the_stream(derive_stream: Derive) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "secret"}, "request_id": "r"}
    derived = derive_stream(PATH, START, delta(0, "text_delta", text="a"), error)
    assert (derived.error, derived.terminated, derived.text) == ("overloaded_error", True, "a")
