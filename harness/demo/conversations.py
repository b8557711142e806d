"""The conversations of demo, tests and committed recording: a table of calls of the official SDKs.

A call is data: whose client, which method, with what. `harness.demo.sdks` makes the calls; this module
imports no SDK, since that takes seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.demo.model_server import MODEL


@dataclass(frozen=True)
class Call:
    """One call. `client` is a field of `Clients`, `method` a dotted path on it.

    `take` is after how many events of a stream the caller leaves (None: it stays to the end).
    """

    name: str
    client: str
    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    take: int | None = None

    @property
    def streams(self) -> bool:
        """Whether the answer comes as events."""
        return bool(self.arguments.get("stream"))


QUESTION = [{"role": "user", "content": "Who keeps the bytes of a stream, and when?"}]
PLACE = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Paris"]}, "days": {"enum": [1, 2, 3]}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER = {"name": "weather", "description": "The weather of the next days.", "parameters": PLACE}
CALLED = {
    "role": "assistant",
    "tool_calls": [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"Oslo","days":2}'},
        }
    ],
}
TOLD = {"role": "tool", "tool_call_id": "call_1", "content": "Rain, then sun."}


def chat(name: str, *, take: int | None = None, **arguments: Any) -> Call:
    """A call of OpenAI chat; what is not given is the same in all of them."""
    common = {"model": MODEL, "messages": QUESTION, "max_tokens": 48, "seed": 1}
    return Call(f"chat, {name}", "openai", "chat.completions.create", common | arguments, take)


def completion(name: str, **arguments: Any) -> Call:
    """A call of OpenAI completions, the old protocol without messages."""
    common = {"model": MODEL, "prompt": "The clock runs on", "max_tokens": 32, "seed": 2}
    return Call(f"completions, {name}", "openai", "completions.create", common | arguments)


def response(name: str, **arguments: Any) -> Call:
    """A call of OpenAI Responses."""
    common = {"model": MODEL, "input": "What does the clock do?", "max_output_tokens": 32}
    return Call(f"responses, {name}", "openai", "responses.create", common | arguments)


def message(name: str, *, take: int | None = None, **arguments: Any) -> Call:
    """A call of Anthropic messages."""
    common = {"model": MODEL, "messages": QUESTION, "max_tokens": 48}
    return Call(f"messages, {name}", "anthropic", "messages.create", common | arguments, take)


def plain(path: str, **body: Any) -> Call:
    """A POST of llama.cpp's own, which no SDK knows."""
    return Call(f"llama.cpp, {path}", "server", "post", {"path": path, "cast_to": object, "body": body})


SCHEMA = {"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE, "strict": True}}
TOOLS = [{"type": "function", "function": WEATHER}]
RESPONSE_TOOLS = [{"type": "function", "strict": True, **WEATHER}]
MESSAGE_TOOLS = [{"name": "weather", "description": WEATHER["description"], "input_schema": PLACE}]
ENDLESS: Mapping[str, Any] = {"max_tokens": 2000, "extra_body": {"temperature": 0}}
"""The likeliest word after every sentence starts another one: this model ends by chance alone."""

CONVERSATIONS = (
    chat("plain"),
    chat("streamed with usage", stream=True, stream_options={"include_usage": True}),
    chat("streamed with log probabilities", stream=True, logprobs=True, top_logprobs=2, max_tokens=12),
    chat("asked twice", seed=None),
    chat("asked twice, the second time", seed=None),
    chat("structured output", response_format=SCHEMA),
    chat("structured output, streamed", response_format=SCHEMA, stream=True),
    chat("tool call, streamed", tools=TOOLS, stream=True, max_tokens=80),
    chat("tool answered, streamed", messages=[*QUESTION, CALLED, TOLD], tools=TOOLS, stream=True),
    completion("plain"),
    completion("streamed", stream=True),
    response("plain"),
    response("streamed", stream=True),
    response("tool call, streamed", tools=RESPONSE_TOOLS, stream=True, max_output_tokens=80),
    message("plain"),
    message("streamed", stream=True),
    message("tool call, streamed", tools=MESSAGE_TOOLS, stream=True, max_tokens=80),
    Call("embeddings", "openai", "embeddings.create", {"model": MODEL, "input": ["the clock", "the wire"]}),
    Call("models", "openai", "models.list"),
    plain("/tokenize", content=" The recorder keeps every chunk."),
    plain("/detokenize", tokens=[520, 521, 522]),
    chat("an error", messages=[{"role": "user"}]),
    message("an error", messages=[{"role": "user", "content": 5}], stream=True),
    chat("left after five events", stream=True, take=5, **ENDLESS),
    message("left after four events", stream=True, take=4, **ENDLESS),
)
