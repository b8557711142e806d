"""Valid answers of every dialect that streams, as random as a seed makes them."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.core.exchange import Exchange, Request, Response

type Json = dict[str, Any]
SSE, PLAIN = "text/event-stream", "application/json"
DONE = "[DONE]"


@dataclass
class Answer:
    """An answer whose messages may be changed: parsed JSON, or text. `renamed` are SSE names, by place."""

    url: str
    messages: list[Any]
    asked: Json = field(default_factory=dict)
    media: str = SSE
    status: int = 200
    named: bool = False
    renamed: dict[int, str] = field(default_factory=dict)
    media_sent: str = ""

    def exchange(self) -> Exchange:
        chunks = tuple((number, self.written(number)) for number in range(len(self.messages)))
        headers = (("Content-Type", self.media_sent or self.media),)
        request = Request("POST", self.url, (), json.dumps(self.asked).encode())
        response = Response(self.status, headers, 0, chunks, len(chunks))
        return Exchange(request, response, id=1, end_ns=len(chunks))

    def written(self, number: int) -> bytes:
        message = self.messages[number]
        data = message if isinstance(message, str) else json.dumps(message)
        if self.media == PLAIN:
            return data.encode()
        own = message.get("type", "") if self.named and isinstance(message, dict) else ""
        name = self.renamed.get(number, own)
        return ((f"event: {name}\n" if name else "") + f"data: {data}\n\n").encode()


def words(rng: random.Random) -> list[str]:
    """Different words, so that two of them swapped are another text."""
    return [f"w{number} " for number in rng.sample(range(1000), rng.randint(3, 9))]


def arguments(rng: random.Random) -> list[str]:
    """JSON in pieces."""
    text = json.dumps({"city": rng.choice(["Paris", "Rome"]), "days": rng.randint(1, 99)})
    cut = rng.randint(1, len(text) - 1)
    return [text[:cut], text[cut:]]


def openai_usage(rng: random.Random, first: str, second: str) -> Json:
    one, two = rng.randint(5, 99), rng.randint(5, 99)
    held = {f"{first}_details": {"cached_tokens": 3}, f"{second}_details": {"reasoning_tokens": 2}}
    return {first: one, second: two, "total_tokens": one + two} | held


def chat_head(rng: random.Random, kind: str) -> Json:
    head = {
        "id": f"chatcmpl-{rng.randint(1, 10**6)}",
        "object": kind,
        "created": rng.randint(10**9, 2 * 10**9),
    }
    return head | {"model": "gpt-4o-mini", "system_fingerprint": "fp_1", "service_tier": "default"}


def token(text: str) -> Json:
    return {"token": text, "bytes": list(text.encode()), "logprob": -0.1, "top_logprobs": []}


def chat(rng: random.Random, *, logged: bool = False, tools: bool = False) -> Answer:
    head = chat_head(rng, "chat.completion.chunk")

    def piece(delta: Json, finish: str | None = None, said: str = "") -> Json:
        logprobs = {"content": [token(said)], "refusal": None} if logged and said else None
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return head | {"choices": [choice], "usage": None}

    messages: list[Any] = [piece({"role": "assistant", "content": None if tools else "", "refusal": None})]
    for index in range(rng.randint(1, 3) if tools else 0):
        begun = {"name": "weather", "arguments": ""}
        call = {"index": index, "id": f"call_{index}", "type": "function", "function": begun}
        messages.append(piece({"tool_calls": [call]}))
        parts = [{"index": index, "function": {"arguments": text}} for text in arguments(rng)]
        messages += [piece({"tool_calls": [part]}) for part in parts]
    if not tools:
        messages += [piece({"content": word}, said=word) for word in words(rng)]
    messages.append(piece({}, "tool_calls" if tools else rng.choice(["stop", "length"])))
    usage = openai_usage(rng, "prompt_tokens", "completion_tokens")
    messages += [head | {"choices": [], "usage": usage}, DONE]
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    asked |= {"stream_options": {"include_usage": True}, "logprobs": logged}
    return Answer("https://api.openai.com/v1/chat/completions", messages, asked)


def chat_body(rng: random.Random) -> Answer:
    message = {"role": "assistant", "content": "".join(words(rng)), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = openai_usage(rng, "prompt_tokens", "completion_tokens")
    body = chat_head(rng, "chat.completion") | {"choices": [choice], "usage": usage}
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    return Answer("https://api.openai.com/v1/chat/completions", [body], asked, PLAIN)


def strand(kind: str, place: Json, member: str, texts: list[str]) -> list[Json]:
    more: Json = {"logprobs": []} if member == "text" and kind == "output_text" else {}
    deltas = [{"type": f"response.{kind}.delta", **place, "delta": text} | more for text in texts]
    return [*deltas, {"type": f"response.{kind}.done", **place, member: "".join(texts)} | more]


def message_events(rng: random.Random, index: int) -> list[Json]:
    place = {"item_id": f"msg_{index}", "output_index": index, "content_index": 0}
    item = {"type": "message", "id": f"msg_{index}", "role": "assistant"}
    said = strand("output_text", place, "text", words(rng))
    empty = {"type": "output_text", "text": "", "annotations": []}
    part = empty | {"text": said[-1]["text"]}
    begun = item | {"status": "in_progress", "content": []}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        {"type": "response.content_part.added", **place, "part": empty},
        *said,
        {"type": "response.content_part.done", **place, "part": part},
        {
            "type": "response.output_item.done",
            "output_index": index,
            "item": item | {"status": "completed", "content": [part]},
        },
    ]


def call_events(rng: random.Random, index: int) -> list[Json]:
    place = {"item_id": f"fc_{index}", "output_index": index}
    item = {"type": "function_call", "id": f"fc_{index}", "call_id": f"call_{index}", "name": "weather"}
    said = strand("function_call_arguments", place, "arguments", arguments(rng))
    done = item | {"arguments": said[-1]["arguments"], "status": "completed"}
    begun = item | {"arguments": "", "status": "in_progress"}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        *said,
        {"type": "response.output_item.done", "output_index": index, "item": done},
    ]


def response_head(rng: random.Random) -> Json:
    head = {"id": f"resp_{rng.randint(1, 10**6)}", "object": "response", "created_at": 10**9, "output": []}
    chosen = {"model": "gpt-4o-mini", "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return head | chosen | {"error": None, "usage": None}


def responses(rng: random.Random) -> Answer:
    head = response_head(rng)
    begun = head | {"status": "in_progress"}
    messages: list[Json] = [
        {"type": f"response.{kind}", "response": begun} for kind in ("created", "in_progress")
    ]
    for index in range(rng.randint(1, 3)):
        messages += rng.choice((message_events, call_events))(rng, index)
    items = [one["item"] for one in messages if one["type"] == "response.output_item.done"]
    usage = openai_usage(rng, "input_tokens", "output_tokens")
    ended = head | {"status": "completed", "output": items, "usage": usage}
    messages.append({"type": "response.completed", "response": ended})
    url = "https://api.openai.com/v1/responses"
    asked = {"model": "gpt-4o-mini", "input": "hi", "stream": True}
    return numbered(Answer(url, messages, asked, named=True))


def numbered(answer: Answer) -> Answer:
    for number, message in enumerate(answer.messages):
        message["sequence_number"] = number
    return answer


def response_body(rng: random.Random) -> Answer:
    streamed = responses(rng)
    body = streamed.messages[-1]["response"]
    return Answer(streamed.url, [body], {"model": "gpt-4o-mini", "input": "hi"}, PLAIN)


def anthropic(rng: random.Random) -> Answer:
    usage = {"input_tokens": rng.randint(5, 99), "output_tokens": 1}
    head = {"id": f"msg_{rng.randint(1, 10**6)}", "type": "message", "role": "assistant", "model": "claude-x"}
    message: Json = head | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    messages: list[Json] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    blocks = rng.choices(["text", "tool_use"], k=rng.randint(1, 3))
    for index, kind in enumerate(blocks):
        if kind == "text":
            block: Json = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": word} for word in words(rng)]
        else:
            block = {"type": kind, "id": f"toolu_{index}", "name": "weather", "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": text} for text in arguments(rng)]
        messages.append({"type": "content_block_start", "index": index, "content_block": block})
        messages += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        messages.append({"type": "content_block_stop", "index": index})
    reason = {"stop_reason": "tool_use" if "tool_use" in blocks else "end_turn", "stop_sequence": None}
    counts = {"output_tokens": rng.randint(1, 99)}
    messages += [{"type": "message_delta", "delta": reason, "usage": counts}, {"type": "message_stop"}]
    asked = {
        "model": "claude-x",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }
    return Answer("https://api.anthropic.com/v1/messages", messages, asked, named=True)


SOURCES: dict[str, Callable[[random.Random], Answer]] = {
    "chat": chat,
    "chat tools": lambda rng: chat(rng, tools=True),
    "chat logprobs": lambda rng: chat(rng, logged=True),
    "chat body": chat_body,
    "responses": responses,
    "responses body": response_body,
    "anthropic": anthropic,
}
ALL = tuple(SOURCES)
CHATS, NAMED = ("chat", "chat tools", "chat logprobs"), ("responses", "anthropic")
STREAMS = (*CHATS, *NAMED)
BODIES = ("chat body", "responses body")
OPENAI = (*CHATS, "chat body")
