"""The APIs whose requests can be made up, and the servers that are known: two tables.

The law of this file: pure; it knows what goes where in a body, not what is in it.

Sources: https://platform.openai.com/docs/api-reference, https://docs.anthropic.com/en/api/messages,
https://github.com/ollama/ollama/blob/main/docs/api.md; for `ignore_eos` and `min_tokens`:
https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html (extra parameters),
https://docs.sglang.ai/basic_usage/sampling_params.html, llama.cpp's tools/server/README.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from harness.load.words import Api

JSON = ("content-type", "application/json")
type Body = dict[str, Any]
type Messages = list[Body]


class Server(StrEnum):
    """Who answers, as far as it matters for requests."""

    LLAMA_CPP = "llama.cpp"
    VLLM = "vLLM"
    SGLANG = "SGLang"
    OLLAMA = "Ollama"
    OPENAI = "OpenAI"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Form:
    """A request of an API. `path` follows the version (`/v1`) where the API has one.

    `text` and `messages` put a prompt into a body; `limit` is the path of the field with the most tokens to
    generate. `fixed` are its `dialect`'s constant fields in a streaming request.
    """

    path: str
    text: Callable[[str], Body]
    messages: Callable[[Messages], Body] | None
    limit: tuple[str, ...]
    fixed: Mapping[str, Any]
    dialect: str
    versioned: bool = True
    headers: tuple[tuple[str, str], ...] = (JSON,)


def user(text: str) -> Messages:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def anthropic_messages(messages: Messages) -> Body:
    """Messages with the system prompt where Anthropic wants it."""
    system = "\n\n".join(text_of(one.get("content")) for one in messages if one.get("role") == "system")
    others = [one for one in messages if one.get("role") != "system"]
    return {"messages": others} | ({"system": system} if system else {})


def text_of(content: Any) -> str:
    """The text of a message, which may come in parts.

    >>> text_of([{"type": "text", "text": "Be"}, {"type": "text", "text": " short."}])
    'Be short.'
    """
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


USAGE = {"stream": True, "stream_options": {"include_usage": True}}

FORMS: dict[Api, Form] = {
    Api.CHAT: Form(
        "/chat/completions",
        lambda text: {"messages": user(text)},
        lambda messages: {"messages": messages},
        ("max_tokens",),
        USAGE,
        "openai.chat",
    ),
    Api.COMPLETIONS: Form(
        "/completions", lambda text: {"prompt": text}, None, ("max_tokens",), USAGE, "openai.completions"
    ),
    Api.RESPONSES: Form(
        "/responses",
        lambda text: {"input": text},
        lambda messages: {"input": messages},
        ("max_output_tokens",),
        {"stream": True, "store": False},
        "openai.responses",
    ),
    Api.ANTHROPIC: Form(
        "/messages",
        lambda text: {"messages": user(text)},
        anthropic_messages,
        ("max_tokens",),
        {"stream": True},
        "anthropic.messages",
        headers=(JSON, ("anthropic-version", "2023-06-01")),
    ),
    Api.OLLAMA: Form(
        "/api/chat",
        lambda text: {"messages": user(text)},
        lambda messages: {"messages": messages},
        ("options", "num_predict"),
        {"stream": True},
        "ollama.chat",
        versioned=False,
    ),
}

LIMIT_NAMES = ("max_completion_tokens", "max_tokens", "max_output_tokens", "max_tokens_to_sample")
"""Where bodies of others may say how many tokens they allow."""

OTHER_LIMITS: dict[tuple[Server, Api], tuple[str, ...]] = {
    (Server.OPENAI, Api.CHAT): ("max_completion_tokens",)
}
"""OpenAI's reasoning models refuse `max_tokens`; older servers know nothing else."""

IGNORE_EOS = {"ignore_eos": True}


def exactly(tokens: int) -> Body:
    """For servers that know both fields."""
    return IGNORE_EOS | {"min_tokens": tokens}


FIXED_LENGTH: dict[tuple[Server, Api], Callable[[int], Body]] = {
    **{
        (Server.LLAMA_CPP, api): lambda _tokens: IGNORE_EOS
        for api in (Api.CHAT, Api.COMPLETIONS, Api.RESPONSES)
    },
    **{(server, Api.CHAT): exactly for server in (Server.VLLM, Server.SGLANG)},
    **{(server, Api.COMPLETIONS): exactly for server in (Server.VLLM, Server.SGLANG)},
}
"""What makes a server write exactly as many tokens as it may.

llama.cpp hands the fields of Responses on to its own API, and those of Anthropic messages not."""

DEFAULT_KEYS: dict[Api, tuple[str, str]] = {
    Api.ANTHROPIC: ("ANTHROPIC_API_KEY", "api.anthropic.com"),
    Api.CHAT: ("OPENAI_API_KEY", "api.openai.com"),
    Api.COMPLETIONS: ("OPENAI_API_KEY", "api.openai.com"),
    Api.RESPONSES: ("OPENAI_API_KEY", "api.openai.com"),
}
"""The variable with the key, as the SDKs read it, and whose key it is."""

API_OF_DIALECT = {form.dialect: api for api, form in FORMS.items()} | {"ollama.generate": Api.OLLAMA}
"""Dialects whose requests generate."""


def limit_of(body: Body) -> int | None:
    """How many tokens a body allows to generate, for all its choices; None: it does not say."""
    options = body.get("options")
    values = [body.get(name) for name in LIMIT_NAMES]
    values += [options.get("num_predict")] if isinstance(options, dict) else []
    limit = next((value for value in values if type(value) is int and value >= 0), None)
    choices = max((n for name in ("n", "best_of") if type(n := body.get(name)) is int), default=1)
    return None if limit is None else limit * max(choices, 1)


def streams(body: Body, api: Api) -> bool:
    """Whether a body asks for a stream. Ollama streams unless told otherwise."""
    return body.get("stream", api is Api.OLLAMA) is True


def limited(body: Body, api: Api, server: Server, tokens: int) -> Body:
    """A body with its limit of tokens, which is also its exact length where the server knows how."""
    *above, name = OTHER_LIMITS.get((server, api), FORMS[api].limit)
    value: Body = {name: tokens}
    for key in reversed(above):
        value = {key: value}
    fixed = FIXED_LENGTH.get((server, api))
    return body | value | (fixed(tokens) if fixed else {})
