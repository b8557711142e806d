"""OpenAI chat completions, completions and embeddings, with what other vendors do under these paths.

Formats: https://platform.openai.com/docs/api-reference/chat (also completions, embeddings). Others
name reasoning `reasoning_content` (DeepSeek, xAI, llama.cpp) or `reasoning` (Groq, vLLM, OpenRouter,
which repeats it in `reasoning_details`), send tool calls whole, and content as parts (Mistral).
"""

import re
from typing import Any

from harness.core.dialects.answer import Answer
from harness.core.dialects.fields import JsonObject, object_in, objects_in
from harness.core.dialects.row import Dialect, Ending, Places, Route, reads_nothing

BASE = r"(?:^|/v\d[^/]*|/deployments/[^/]+|/openai|/models|/inference)"
"""What may stand before a resource: nothing, a version, an Azure deployment, a gateway's own word."""

PLACES = Places(
    usage=(("usage",), ("x_groq", "usage")),
    usage_keys=(
        ("input", ("prompt_tokens",)),
        ("output", ("completion_tokens",)),
        ("cached", ("prompt_cache_hit_tokens",)),  # DeepSeek
        ("cached", ("prompt_tokens_details", "cached_tokens")),
        ("reasoning", ("completion_tokens_details", "reasoning_tokens")),
    ),
)

DONE = Ending(data=b"[DONE]")
"""A finish reason on every choice is no end: usage may still come, and `[DONE]` belongs to the stream."""


def read_chat(answer: Answer, value: JsonObject) -> str:
    """A chunk (deltas) or a whole chat completion (messages)."""
    return "".join([_read_choice(answer, choice) for choice in objects_in(value, "choices")])


def _read_choice(answer: Answer, choice: JsonObject) -> str:
    index = _index(choice)
    answer.add_finish(choice.get("finish_reason"), index)
    delta = choice.get("delta") or choice.get("message")
    if not isinstance(delta, dict):
        return ""
    plain = PLAIN_KEYS.issuperset(delta)  # nearly all deltas of a stream
    added = "" if plain else _read_reasoning(answer, delta, index)
    added += _read_content(answer, delta.get("content"), index)
    return added if plain else added + _read_others(answer, delta, index)


def _read_others(answer: Answer, delta: JsonObject, index: int) -> str:
    return "".join([read(answer, delta, index) for key, read in OTHER_CONTENT.items() if delta.get(key)])


def _index(holder: JsonObject) -> int:
    index = holder.get("index")
    return index if type(index) is int else 0


def _read_reasoning(answer: Answer, delta: JsonObject, index: int) -> str:
    for key in ("reasoning_content", "reasoning"):
        added = answer.add_reasoning(delta.get(key), index)
        if added:
            return added
    details = objects_in(delta, "reasoning_details")
    return "".join(answer.add_reasoning(d.get("text") or d.get("summary"), index) for d in details)


def _read_content(answer: Answer, content: Any, index: int) -> str:
    if not isinstance(content, list):
        return answer.add_text(content, index)
    added = ""
    for part in objects_in({"parts": content}, "parts"):
        added += answer.add_text(part.get("text"), index)
        for thought in objects_in(part, "thinking"):
            added += answer.add_reasoning(thought.get("text"), index)
    return added


def _read_refusal(answer: Answer, delta: JsonObject, index: int) -> str:
    return answer.add_text(delta.get("refusal"), index)


def _read_transcript(answer: Answer, delta: JsonObject, index: int) -> str:
    return answer.add_text(object_in(delta, "audio").get("transcript"), index)


def _read_function_call(answer: Answer, delta: JsonObject, index: int) -> str:
    call = object_in(delta, "function_call")
    return answer.add_call((index, "function_call"), None, call.get("name"), call.get("arguments"))


def _read_tool_calls(answer: Answer, delta: JsonObject, index: int) -> str:
    added = ""
    for position, call in enumerate(objects_in(delta, "tool_calls")):
        number = call.get("index")
        key = (index, number if type(number) is int else position)
        function = object_in(call, "function") or object_in(call, "custom")
        arguments = function.get("arguments", function.get("input"))
        added += answer.add_call(key, call.get("id"), function.get("name"), arguments)
    return added


PLAIN_KEYS = frozenset({"role", "content"})

OTHER_CONTENT = {
    "refusal": _read_refusal,
    "tool_calls": _read_tool_calls,
    "function_call": _read_function_call,
    "audio": _read_transcript,
}
"""Fields of a delta or message that carry generated content, beside `content` and reasoning."""


def read_completion(answer: Answer, value: JsonObject) -> str:
    """A chunk of a completion or a whole one."""
    added = ""
    for choice in objects_in(value, "choices"):
        index = _index(choice)
        answer.add_finish(choice.get("finish_reason"), index)
        added += answer.add_text(choice.get("text"), index)
    return added


CHAT = Dialect(
    name="openai.chat",
    routes=(Route("POST", re.compile(r"(?:^|/)chat/completions$")),),
    places=PLACES,
    ending=DONE,
    event=read_chat,
    body=read_chat,
)

COMPLETIONS = Dialect(
    name="openai.completions",
    routes=(Route("POST", re.compile(BASE + r"/completions$")),),
    places=PLACES,
    ending=DONE,
    event=read_completion,
    body=read_completion,
)

EMBEDDINGS = Dialect(
    name="openai.embeddings",
    routes=(Route("POST", re.compile(BASE + r"/embeddings$")),),
    places=PLACES,
    ending=Ending(),
    event=reads_nothing,
    body=reads_nothing,
)
