from collections.abc import Callable
from typing import Any

from harness.core.derive import Derived, ToolCall, Usage

type Derive = Callable[..., Derived]

MS = 1_000_000
END = {"done": True, "done_reason": "stop", "total_duration": 5, "prompt_eval_count": 9, "eval_count": 7}


def chat(content: str = "", **message: Any) -> dict[str, Any]:
    return {"model": "l-1", "message": {"role": "assistant", "content": content, **message}, "done": False}


def test_a_chat_stream(derive_stream: Derive) -> None:
    values = [chat(thinking="why"), chat("Hel"), chat("lo"), chat() | END]
    derived = derive_stream("/api/chat", *values, lines=True)
    assert (derived.dialect, derived.model, derived.stream) == ("ollama.chat", "l-1", True)
    assert (derived.text, derived.reasoning, derived.finish_reason) == ("Hello", "why", "stop")
    assert (derived.usage, derived.terminated, derived.error) == (Usage(9, 7), True, None)
    assert (derived.content_text, derived.ttft_ns) == (("why", "Hel", "lo"), MS)
    assert not derive_stream("/api/chat", *values[:-1], lines=True).terminated


def test_a_chat_body(derive_body: Derive) -> None:
    derived = derive_body("/api/chat", chat("Hello") | END)
    assert (derived.text, derived.finish_reason, derived.usage) == ("Hello", "stop", Usage(9, 7))
    assert (derived.stream, derived.terminated) == (False, True)


def test_tool_calls_come_whole(derive_stream: Derive) -> None:
    made = [{"function": {"name": "now", "arguments": {"at": 1}}}, {"id": "c2", "function": {"name": "now"}}]
    again = [{"function": {"name": "now", "arguments": {}}}]
    derived = derive_stream(
        "/api/chat", chat(tool_calls=made), chat(tool_calls=again), chat() | END, lines=True
    )
    expected = (ToolCall("", "now", '{"at":1}'), ToolCall("c2", "now", ""), ToolCall("", "now", "{}"))
    assert derived.tool_calls == expected
    assert derived.content_text == ('now{"at":1}now', "now{}")


def test_a_generate_stream(derive_stream: Derive) -> None:
    values = [{"model": "l-1", "response": text, "done": False} for text in ("Hel", "lo")]
    derived = derive_stream("/api/generate", *values, {"model": "l-1", "response": ""} | END, lines=True)
    assert (derived.dialect, derived.text, derived.icl_ns) == ("ollama.generate", "Hello", (MS,))
    assert (derived.usage, derived.finish_reason, derived.terminated) == (Usage(9, 7), "stop", True)


def test_an_error_ends_the_stream(derive_stream: Derive, derive_body: Derive) -> None:
    derived = derive_stream("/api/chat", chat("a"), {"error": "something went wrong"}, lines=True)
    assert (derived.error, derived.terminated) == ("error", True)
    assert derive_body("/api/chat", {"error": "model 'x' not found"}, status=404, asked="x").error == "error"
