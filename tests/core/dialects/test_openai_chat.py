from collections.abc import Callable
from typing import Any

import pytest

from harness.core.derive import Derived, ToolCall, Usage

type Derive = Callable[..., Derived]

PATH = "/v1/chat/completions"
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 7,
    "total_tokens": 16,
    "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
COUNTS = Usage(9, 7, 4, 3)
MS = 1_000_000


def chunk(delta: Any = None, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m-1", "choices": [choice], **more}


def call(
    index: int | None, call_id: str | None = None, name: str | None = None, arguments: Any = ""
) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    named = {} if index is None else {"index": index}
    return {"function": function} | ({"id": call_id, "type": "function"} if call_id else {}) | named


def calls(*made: dict[str, Any]) -> dict[str, Any]:
    return chunk({"tool_calls": list(made)})


ROLE = chunk({"role": "assistant", "content": "", "refusal": None})


def test_a_stream(derive_stream: Derive) -> None:
    derived = derive_stream(
        PATH,
        ROLE,
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk(finish="stop"),
        {"id": "c1", "model": "m-1", "choices": [], "usage": USAGE},
        "[DONE]",
    )
    assert (derived.dialect, derived.model, derived.stream) == ("openai.chat", "m-1", True)
    assert (derived.text, derived.finish_reason, derived.usage) == ("Hello", "stop", COUNTS)
    assert (derived.terminated, derived.error, len(derived.events)) == (True, None, 6)
    assert (derived.content_ns, derived.content_text) == ((2 * MS, 3 * MS), ("Hel", "lo"))
    assert (derived.ttft_ns, derived.icl_ns) == (2 * MS, (MS,))


def test_a_body(derive_body: Derive) -> None:
    message = {"role": "assistant", "content": "Hello", "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    derived = derive_body(PATH, {"model": "m-1", "choices": [choice], "usage": USAGE})
    assert (derived.text, derived.finish_reason, derived.usage) == ("Hello", "stop", COUNTS)
    assert (derived.stream, derived.terminated, derived.model) == (False, True, "m-1")
    assert (derived.events, derived.content_ns, derived.ttft_ns) == ((), (), None)


def test_finished_is_not_terminated(derive_stream: Derive) -> None:
    derived = derive_stream(PATH, chunk({"content": "a"}), chunk(finish="stop"))
    assert (derived.finish_reason, derived.terminated) == ("stop", False)


def test_azures_first_chunk(derive_stream: Derive) -> None:
    first = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": [{}]}
    derived = derive_stream(
        "/openai/deployments/d/chat/completions", first, chunk({"content": "a"}), "[DONE]"
    )
    assert (derived.model, derived.text, derived.ttft_ns) == ("m-1", "a", 2 * MS)


@pytest.mark.parametrize(
    "values",
    [
        [chunk({"content": "a"}, "stop", usage=USAGE)],
        [chunk({"content": "a"}, usage={"prompt_tokens": 9, "completion_tokens": 1}), chunk(usage=USAGE)],
        [chunk({"content": "a"}, usage=None), chunk(x_groq={"id": "r", "usage": USAGE})],
        [chunk(usage=USAGE), chunk({"content": "a"}, "stop", usage=None)],
    ],
    ids=["with choices", "on every chunk", "groq", "before the end"],
)
def test_places_of_usage(derive_stream: Derive, values: list[Any]) -> None:
    assert derive_stream(PATH, *values, "[DONE]").usage == COUNTS


def test_deepseeks_cached_tokens(derive_body: Derive) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}
    assert derive_body(PATH, {"choices": [], "usage": usage}).usage == Usage(9, 1, 8, None)


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning_content": "why", "content": None},
        {"reasoning": "why"},
        {"reasoning": "why", "reasoning_details": [{"type": "reasoning.text", "text": "why"}]},
        {"reasoning_content": "why", "reasoning": "why"},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "why"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "why"}]}]},
    ],
)
def test_names_of_reasoning(derive_stream: Derive, derive_body: Derive, delta: dict[str, Any]) -> None:
    derived = derive_stream(PATH, ROLE, chunk(delta), chunk({"content": "so"}), "[DONE]")
    assert (derived.reasoning, derived.text, derived.ttft_ns) == ("why", "so", 2 * MS)
    assert derived.content_text == ("why", "so")
    assert derive_body(PATH, {"choices": [{"index": 0, "message": delta}]}).reasoning == "why"


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        ({"refusal": "I can't"}, "I can't"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"audio": {"id": "a1", "transcript": "beep"}}, "beep"),
    ],
)
def test_other_forms_of_text(
    derive_stream: Derive, derive_body: Derive, delta: dict[str, Any], text: str
) -> None:
    derived = derive_stream(PATH, chunk(delta), "[DONE]")
    assert (derived.text, derived.content_text) == (text, (text,))
    assert derive_body(PATH, {"choices": [{"index": 0, "message": delta}]}).text == text


TOOLS = {
    "by deltas": (
        [
            calls(call(0, "call_1", "now")),
            calls(call(0, arguments='{"at"')),
            calls(call(0, arguments=":1}")),
            calls(call(1, "call_2", "then", "{")),
            calls(call(1, arguments="}")),
        ],
        ("now", '{"at"', ":1}", "then{", "}"),
    ),
    "interleaved": (
        [
            calls(call(0, "call_1", "now", '{"at"'), call(1, "call_2", "then", "{")),
            calls(call(1, arguments="}"), call(0, arguments=":1}")),
        ],
        ('now{"at"then{', "}:1}"),
    ),
    "whole in one delta": (
        [calls(call(0, "call_1", "now", '{"at":1}'), call(1, "call_2", "then", "{}"))],
        ('now{"at":1}then{}',),
    ),
    "without indexes": (
        [calls(call(None, "call_1", "now", '{"at":1}'), call(None, "call_2", "then", "{}"))],
        ('now{"at":1}then{}',),
    ),
    "all of index 0": (
        [calls(call(0, "call_1", "now", '{"at":1}')), calls(call(0, "call_2", "then", "{}"))],
        ('now{"at":1}', "then{}"),
    ),
    "id in every delta": (
        [
            calls(call(0, "call_1", "now", '{"at"')),
            calls(call(0, "call_1", "now", ":1}")),
            calls(call(1, "call_2", "then", "{}")),
        ],
        ('now{"at"', ":1}", "then{}"),
    ),
    "arguments as objects": (
        [calls(call(0, "call_1", "now", {"at": 1}), call(1, "call_2", "then", {}))],
        ('now{"at":1}then{}',),
    ),
}


@pytest.mark.parametrize(("values", "content"), TOOLS.values(), ids=TOOLS)
def test_tool_calls(derive_stream: Derive, values: list[Any], content: tuple[str, ...]) -> None:
    derived = derive_stream(PATH, ROLE, *values, chunk(finish="tool_calls"), "[DONE]")
    expected = (ToolCall("call_1", "now", '{"at":1}'), ToolCall("call_2", "then", "{}"))
    assert (derived.tool_calls, derived.content_text, derived.text) == (expected, content, "")
    assert (derived.finish_reason, derived.ttft_ns) == ("tool_calls", 2 * MS)


def test_tool_calls_of_a_body(derive_body: Derive) -> None:
    made = [
        {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}},
        {"id": "call_2", "type": "custom", "custom": {"name": "run", "input": "ls"}},
    ]
    choice = {"index": 0, "message": {"content": None, "tool_calls": made}, "finish_reason": "tool_calls"}
    derived = derive_body(PATH, {"choices": [choice]})
    assert derived.tool_calls == (ToolCall("call_1", "now", "{}"), ToolCall("call_2", "run", "ls"))


def test_the_old_function_call(derive_stream: Derive) -> None:
    derived = derive_stream(
        PATH,
        chunk({"function_call": {"name": "now", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk(finish="function_call"),
        "[DONE]",
    )
    assert (derived.tool_calls, derived.finish_reason) == ((ToolCall("", "now", "{}"),), "function_call")


def test_several_choices(derive_stream: Derive) -> None:
    derived = derive_stream(
        PATH,
        chunk({"content": "b1"}, index=1),
        chunk({"content": "a1"}),
        chunk({"content": "b2"}, "length", index=1),
        chunk({"content": "a2"}, "stop"),
        "[DONE]",
    )
    assert (derived.text, derived.finish_reason) == ("a1a2\nb1b2", "stop")
    assert derived.content_text == ("b1", "a1", "b2", "a2")


def test_a_character_cut_between_two_deltas(derive_stream: Derive) -> None:
    derived = derive_stream(PATH, chunk({"content": "\ud83d"}), chunk({"content": "\ude00!"}), "[DONE]")
    assert (derived.text, derived.content_text) == ("😀!", ("�", "�!"))


def test_completions(derive_stream: Derive, derive_body: Derive) -> None:
    path = "/v1/completions"
    values = [
        {"model": "m-1", "choices": [{"index": 0, "text": t, "finish_reason": None}]} for t in ("a", "b")
    ]
    last = {"model": "m-1", "choices": [{"index": 0, "text": "", "finish_reason": "length"}]}
    derived = derive_stream(path, *values, last, {"choices": [], "usage": USAGE}, "[DONE]")
    assert (derived.dialect, derived.text, derived.finish_reason) == ("openai.completions", "ab", "length")
    assert (derived.usage, derived.terminated, derived.icl_ns) == (COUNTS, True, (MS,))
    assert not derive_stream(path, *values, last).terminated
    body = derive_body(
        path, {"model": "m-1", "choices": [{"text": "ab", "finish_reason": "stop"}], "usage": USAGE}
    )
    assert (body.text, body.finish_reason, body.usage) == ("ab", "stop", COUNTS)


def test_embeddings(derive_body: Derive) -> None:
    data = [{"object": "embedding", "index": 0, "embedding": "AACAPw=="}]
    value = {"object": "list", "data": data, "model": "e-1", "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    derived = derive_body("/v1/embeddings", value)
    assert (derived.dialect, derived.model, derived.usage) == ("openai.embeddings", "e-1", Usage(input=4))
    assert (derived.text, derived.terminated, derived.finish_reason) == ("", True, None)
