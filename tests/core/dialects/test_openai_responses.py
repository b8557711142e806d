from collections.abc import Callable
from typing import Any

import pytest

from harness.core.derive import Derived, ToolCall, Usage

type Derive = Callable[..., Derived]

PATH = "/v1/responses"
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 16,
}
COUNTS = Usage(9, 7, 4, 3)
MS = 1_000_000


def response(status: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"usage": None, "error": None, "incomplete_details": None, "output": []}
    return {"id": "resp_1", "object": "response", "model": "m-1", "status": status, **empty, **more}


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **more}


def delta(kind: str, text: str, **more: Any) -> dict[str, Any]:
    return event(f"{kind}.delta", item_id="msg_1", output_index=0, delta=text, **more)


CREATED = event("created", response=response("in_progress"))
COMPLETED = event("completed", response=response("completed", usage=USAGE))
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}


def test_a_stream(derive_stream: Derive) -> None:
    derived = derive_stream(
        PATH,
        CREATED,
        event("in_progress", response=response("in_progress")),
        event("output_item.added", output_index=0, item=MESSAGE),
        event("content_part.added", part={"type": "output_text", "text": ""}),
        delta("output_text", "Hel"),
        delta("output_text", "lo"),
        event("output_text.done", text="Hello"),
        event("content_part.done", part={"type": "output_text", "text": "Hello"}),
        event("output_item.done", output_index=0, item=MESSAGE | {"status": "completed"}),
        COMPLETED,
    )
    assert (derived.dialect, derived.model, derived.stream) == ("openai.responses", "m-1", True)
    assert (derived.text, derived.finish_reason, derived.usage) == ("Hello", "completed", COUNTS)
    assert (derived.terminated, derived.error, derived.content_text) == (True, None, ("Hel", "lo"))
    assert (derived.ttft_ns, derived.icl_ns) == (5 * MS, (MS,))


BODY = response(
    "completed",
    usage=USAGE,
    output=[
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "why"}],
            "content": [{"type": "reasoning_text", "text": "!"}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "now", "arguments": "{}"},
        {
            "type": "message",
            "content": [{"type": "output_text", "text": "He"}, {"type": "output_text", "text": "llo"}],
        },
        {"type": "message", "content": [{"type": "refusal", "refusal": " no"}]},
    ],
)


def test_a_body(derive_body: Derive) -> None:
    derived = derive_body(PATH, BODY)
    assert (derived.model, derived.usage, derived.finish_reason) == ("m-1", COUNTS, "completed")
    assert (derived.text, derived.reasoning) == ("Hello no", "why!")
    assert derived.tool_calls == (ToolCall("call_1", "now", "{}"),)
    assert (derived.terminated, derived.error, derived.ttft_ns) == (True, None, None)


@pytest.mark.parametrize(
    ("last", "finish", "terminated", "error"),
    [
        (COMPLETED, "completed", True, None),
        (
            event(
                "incomplete",
                response=response("incomplete", incomplete_details={"reason": "max_output_tokens"}),
            ),
            "max_output_tokens",
            True,
            None,
        ),
        (
            event("failed", response=response("failed", error={"code": "server_error", "message": "m"})),
            "failed",
            True,
            "server_error",
        ),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "m"}, None, True, "rate_limit_exceeded"),
        ({"type": "error", "error": {"type": "too_many", "code": None}}, None, True, "too_many"),
        (event("output_text.done", text="a"), None, False, None),
        (event("queued", response=response("queued")), None, False, None),
        ("[DONE]", None, True, None),
    ],
)
def test_ends(
    derive_stream: Derive, last: Any, finish: str | None, terminated: bool, error: str | None
) -> None:
    derived = derive_stream(PATH, CREATED, delta("output_text", "a"), last)
    assert (derived.finish_reason, derived.terminated, derived.error) == (finish, terminated, error)
    assert derived.text == "a"


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_body_that_is_not_finished(derive_body: Derive, status: str) -> None:
    assert derive_body(PATH, response(status)).finish_reason is None


@pytest.mark.parametrize("kind", ["reasoning_summary_text", "reasoning_text"])
def test_reasoning(derive_stream: Derive, kind: str) -> None:
    derived = derive_stream(PATH, CREATED, delta(kind, "why"), delta("output_text", "so"), COMPLETED)
    assert (derived.reasoning, derived.text, derived.ttft_ns) == ("why", "so", 2 * MS)


@pytest.mark.parametrize("kind", ["refusal", "audio.transcript"])
def test_other_text(derive_stream: Derive, kind: str) -> None:
    derived = derive_stream(PATH, CREATED, delta(kind, "no"), COMPLETED)
    assert (derived.text, derived.content_text) == ("no", ("no",))


CALLS = {
    "function_call": ("call_id", "name", "arguments", "function_call_arguments"),
    "custom_tool_call": ("call_id", "name", "input", "custom_tool_call_input"),
    "mcp_call": ("id", "name", "arguments", "mcp_call_arguments"),
    "code_interpreter_call": ("id", None, "code", "code_interpreter_call_code"),
}


@pytest.mark.parametrize("placed", [True, False], ids=["output_index", "item_id alone"])
@pytest.mark.parametrize("by_deltas", [True, False], ids=["by deltas", "whole"])
@pytest.mark.parametrize(("kind", "fields"), CALLS.items(), ids=CALLS)
def test_calls(
    derive_stream: Derive,
    kind: str,
    fields: tuple[str, str | None, str, str],
    by_deltas: bool,
    placed: bool,
) -> None:
    id_field, name_field, written_field, delta_kind = fields
    name = "now" if name_field else kind
    item = {"type": kind, "id": "it_1", id_field: "the_id", written_field: ""} | (
        {"id": "the_id"} if id_field == "id" else {}
    )
    if name_field:
        item[name_field] = name
    place = {"output_index": 1} if placed else {}
    deltas = [
        event(f"{delta_kind}.delta", item_id=item["id"], delta=text, **place) for text in ('{"a"', ":1}")
    ]
    derived = derive_stream(
        PATH,
        CREATED,
        event("output_item.added", item=item, **place),
        *(deltas if by_deltas else []),
        event(f"{delta_kind}.done", item_id=item["id"], **place),
        event("output_item.done", item=item | {written_field: '{"a":1}'}, **place),
        COMPLETED,
    )
    assert derived.tool_calls == (ToolCall("the_id", name, '{"a":1}'),)
    assert "".join(derived.content_text) == f'{name}{{"a":1}}'
    assert derived.ttft_ns == 2 * MS


def test_two_calls(derive_stream: Derive) -> None:
    items = [
        {"type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}", "name": "f", "arguments": ""}
        for n in (0, 1)
    ]
    derived = derive_stream(
        PATH,
        *(event("output_item.added", output_index=n, item=items[n]) for n in (0, 1)),
        event("function_call_arguments.delta", output_index=1, delta="one"),
        event("function_call_arguments.delta", output_index=0, delta="zero"),
        COMPLETED,
    )
    assert derived.tool_calls == (ToolCall("call_0", "f", "zero"), ToolCall("call_1", "f", "one"))
