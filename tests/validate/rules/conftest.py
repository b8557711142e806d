"""Streams and plain answers as the providers send them, to be broken one way at a time."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from harness.core.derive import derive
from harness.core.exchange import Exchange, Request, Response, State
from harness.validate.finding import Finding
from harness.validate.rules import check

type Message = Any
type Mutate = Callable[[list[Message]], Any]
type Find = Callable[..., list[Finding]]
type MakeExchange = Callable[..., Exchange]

SSE, NDJSON, JSON = "text/event-stream", "application/x-ndjson", "application/json"
DONE = "[DONE]"


@dataclass(frozen=True)
class Sample:
    """An answer: its messages (text: data that is no JSON; a pair: SSE name and object), and its request."""

    path: str
    messages: list[Message]
    asked: Any
    media: str = SSE


HEAD = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "m-1",
    "system_fingerprint": "fp_1",
}
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 7,
    "total_tokens": 16,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
ASKED = {"model": "m", "stream": True, "stream_options": {"include_usage": True}}


def piece(delta: Any, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish} | more
    return HEAD | {"choices": [choice], "usage": None}


def text_of_chat() -> list[Message]:
    said = [piece({"role": "assistant", "content": ""}), *(piece({"content": word}) for word in "abcd")]
    return [*said, piece({}, "stop"), HEAD | {"choices": [], "usage": USAGE}, DONE]


def call(index: int, name: str | None = None, arguments: str = "") -> dict[str, Any]:
    head = {"id": f"call_{index}", "type": "function"} if name else {}
    function = ({"name": name} if name else {}) | {"arguments": arguments}
    return {"tool_calls": [{"index": index, **head, "function": function}]}


def calls_of_chat() -> list[Message]:
    return [
        piece({"role": "assistant", "content": None}),
        piece(call(0, "now")),
        piece(call(0, arguments='{"a"')),
        piece(call(0, arguments=": 1}")),
        piece(call(1, "then")),
        piece(call(1, arguments="{}")),
        piece({}, "tool_calls"),
        DONE,
    ]


def legacy_call_of_chat() -> list[Message]:
    return [
        piece({"role": "assistant", "function_call": {"name": "now", "arguments": ""}}),
        piece({"function_call": {"arguments": '{"a": '}}),
        piece({"function_call": {"arguments": "1}"}}),
        piece({}, "function_call"),
        DONE,
    ]


def two_choices() -> list[Message]:
    said = [piece({"role": "assistant", "content": word}, index=index) for index, word in enumerate("ab")]
    return [*said, piece({}, "stop", 0), piece({}, "length", 1), DONE]


def token(text: str) -> dict[str, Any]:
    return {"token": text, "bytes": list(text.encode()), "logprob": -0.1, "top_logprobs": []}


def logged(*texts: str) -> dict[str, Any]:
    return {"content": [token(text) for text in texts], "refusal": None}


def tokens_of_chat() -> list[Message]:
    said = [piece({"content": text}, logprobs=logged(*text)) for text in ("He", "l", "lo")]
    return [piece({"role": "assistant", "content": ""}), *said, piece({}, "stop"), DONE]


def azure() -> list[Message]:
    empty = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
    return [empty | {"prompt_filter_results": [{"prompt_index": 0}]}, *text_of_chat()]


WHOLE_CHAT = HEAD | {
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi", "refusal": None},
            "logprobs": logged("H", "i"),
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}
WHOLE_CALLS = HEAD | {
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "call_0", "type": "function", "function": {"name": "now", "arguments": "{}"}},
                    {"id": "call_1", "type": "custom", "custom": {"name": "run", "input": "print("}},
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": USAGE,
}


def completed(text: str, finish: str | None = None, index: int = 0, logprobs: Any = None) -> dict[str, Any]:
    choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}
    return HEAD | {"choices": [choice]}


def completion() -> list[Message]:
    said = [completed(text, logprobs={"tokens": list(text)}) for text in ("Hel", "lo")]
    return [*said, completed("", "stop"), completed("", "stop"), HEAD | {"choices": [], "usage": USAGE}, DONE]


RESPONSE: dict[str, Any] = {"id": "resp_1", "object": "response", "output": [], "usage": None}
COUNTS = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 16,
}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "why"}]}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "now", "arguments": '{"a":1}'}
OUTPUT = [REASONING, MESSAGE, CALL | {"status": "completed"}]


def event(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **more}


def response(status: str, **more: Any) -> dict[str, Any]:
    return RESPONSE | {"status": status} | more


def strand(kind: str, place: dict[str, Any], member: str, *texts: str) -> list[Message]:
    deltas = [event(f"{kind}.delta", **place, delta=text) for text in texts]
    return [*deltas, event(f"{kind}.done", **place, **{member: "".join(texts)})]


def responses() -> list[Message]:
    """Events by number: 1 to 2 opening, 3 to 9 reasoning, 10 to 16 message, 17 to 21 call, 22 the end."""
    thought = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    said = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    called = {"item_id": "fc_1", "output_index": 2}
    summary, content = REASONING["summary"], MESSAGE["content"]
    events = [
        event("created", response=response("in_progress")),
        event("in_progress", response=response("in_progress")),
        event(
            "output_item.added", output_index=0, item=REASONING | {"summary": [], "encrypted_content": "x"}
        ),
        event("reasoning_summary_part.added", **thought, part={"type": "summary_text", "text": ""}),
        *strand("reasoning_summary_text", thought, "text", "wh", "y"),
        event("reasoning_summary_part.done", **thought, part=summary[0]),
        event("output_item.done", output_index=0, item=REASONING | {"encrypted_content": "y"}),
        event("output_item.added", output_index=1, item=MESSAGE | {"status": "in_progress", "content": []}),
        event("content_part.added", **said, part={"type": "output_text", "text": ""}),
        *strand("output_text", said, "text", "Hel", "lo"),
        event("content_part.done", **said, part=content[0]),
        event("output_item.done", output_index=1, item=MESSAGE),
        event("output_item.added", output_index=2, item=CALL | {"arguments": ""}),
        *strand("function_call_arguments", called, "arguments", '{"a"', ":1}"),
        event("output_item.done", output_index=2, item=OUTPUT[2]),
        event("completed", response=response("completed", output=OUTPUT, usage=COUNTS)),
    ]
    return [value | {"sequence_number": number} for number, value in enumerate(events)]


def anthropic() -> list[Message]:
    """Events by number: 1 start, 2 ping, 3 to 6 thinking, 7 to 9 text, 10 to 13 call, 14 and 15 the end."""
    start, delta, stop = "content_block_start", "content_block_delta", "content_block_stop"
    call = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
    counts = {"input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": 4}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-1", "content": []}
    return [
        {"type": "message_start", "message": message | {"stop_reason": None, "usage": counts}},
        {"type": "ping"},
        {"type": start, "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": delta, "index": 0, "delta": {"type": "thinking_delta", "thinking": "why"}},
        {"type": delta, "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
        {"type": stop, "index": 0},
        {"type": start, "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": delta, "index": 1, "delta": {"type": "text_delta", "text": "so"}},
        {"type": stop, "index": 1},
        {"type": start, "index": 2, "content_block": call},
        {"type": delta, "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}},
        {"type": delta, "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
        {"type": stop, "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]


WHOLE_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [
        {"type": "text", "text": "so"},
        {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}},
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 9, "output_tokens": 7, "cache_creation": {"ephemeral_5m_input_tokens": 0}},
}


def ollama(**said: Any) -> list[Message]:
    lines = [
        {"model": "m", "created_at": f"2026-01-02T03:04:05.{n}00000001Z", "done": False, **said}
        for n in (1, 2, 3)
    ]
    counts = {"total_duration": 9, "prompt_eval_count": 5, "eval_count": 3}
    return [*lines, lines[-1] | {"done": True, "done_reason": "stop", **counts}]


CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"

SAMPLES = {
    "chat": Sample(CHAT, text_of_chat(), ASKED),
    "chat calls": Sample(CHAT, calls_of_chat(), {}),
    "chat function_call": Sample(CHAT, legacy_call_of_chat(), {}),
    "chat two choices": Sample(CHAT, two_choices(), {"n": 2}),
    "chat logprobs": Sample(CHAT, tokens_of_chat(), {"logprobs": True}),
    "chat azure": Sample(CHAT, azure(), ASKED),
    "chat body": Sample(CHAT, [WHOLE_CHAT], {"model": "m"}, JSON),
    "chat calls body": Sample(CHAT, [WHOLE_CALLS], {"model": "m"}, JSON),
    "completions": Sample(COMPLETIONS, completion(), ASKED | {"prompt": "a"}),
    "completions body": Sample(
        COMPLETIONS,
        [completed("a", "stop", logprobs={"tokens": ["a"]}) | {"usage": USAGE}],
        {"prompt": [1, 2]},
        JSON,
    ),
    "embeddings body": Sample(
        "/v1/embeddings",
        [
            {
                "data": [{"index": 0, "embedding": [0.1]}, {"index": 1, "embedding": [-0.1]}],
                "usage": {"prompt_tokens": 2, "total_tokens": 2},
            }
        ],
        {"input": ["a", "b"]},
        JSON,
    ),
    "responses": Sample(RESPONSES, responses(), {"stream": True}),
    "responses body": Sample(
        RESPONSES, [response("completed", output=OUTPUT, usage=COUNTS)], {"input": "a"}, JSON
    ),
    "anthropic": Sample(MESSAGES, anthropic(), {"stream": True}),
    "anthropic body": Sample(MESSAGES, [WHOLE_MESSAGE], {}, JSON),
    "ollama chat": Sample("/api/chat", ollama(message={"role": "assistant", "content": "a"}), {}, NDJSON),
    "ollama generate": Sample("/api/generate", ollama(response="a"), {}, NDJSON),
    "ollama body": Sample("/api/generate", ollama(response="a")[-1:], {"stream": False}, JSON),
    "unknown": Sample("/v9/x", [{"any": "thing"}, "and no JSON"], None),
}


def written(sample: Sample) -> list[bytes]:
    """The chunks of an answer, a message each."""
    if sample.media == SSE:
        return [sse(message) for message in sample.messages]
    texts = [message if isinstance(message, str) else json.dumps(message) for message in sample.messages]
    return [f"{text}\n".encode() for text in texts]


def sse(message: Message) -> bytes:
    """An event, named by its `type` or by the name in a pair."""
    name, value = message if isinstance(message, tuple) else (None, message)
    if isinstance(value, dict) and name is None:
        name = value.get("type")
    data = value if isinstance(value, str) else json.dumps(value)
    return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()


def exchange_of(sample: Sample, state: State = State.COMPLETE, media: str = "", query: str = "") -> Exchange:
    """An answer on the wire; `media` is the content type that it claims."""
    chunks = tuple(enumerate(written(sample), 1))
    headers = (("Content-Type", media or sample.media),)
    asked = json.dumps(sample.asked).encode()
    request = Request("GET" if query else "POST", f"https://api.test{sample.path}{query}", (), asked)
    return Exchange(request, Response(200, headers, 0, chunks, len(chunks)), state)


@pytest.fixture(scope="session")
def samples() -> dict[str, Sample]:
    """All answers by name; each is clean."""
    return SAMPLES


@pytest.fixture(scope="session")
def make_answer() -> MakeExchange:
    """`make_answer(name, mutate)`: the exchange of an answer, broken by `mutate(messages)`."""

    def made(name: str, mutate: Mutate = len, asked: Any = None, **changes: Any) -> Exchange:
        sample = SAMPLES[name]
        messages = json.loads(json.dumps(sample.messages))  # no object is in it twice
        mutate(messages)
        request = sample.asked if asked is None else asked
        return exchange_of(replace(sample, messages=messages, asked=request), **changes)

    return made


@pytest.fixture(scope="session")
def find(make_answer: MakeExchange) -> Find:
    """`find(name, mutate)`: what the rules find in an answer, broken by `mutate(messages)`."""

    def found(name: str, mutate: Mutate = len, **changes: Any) -> list[Finding]:
        exchange = make_answer(name, mutate, **changes)
        return list(check(exchange, derive(exchange)))

    return found
