"""What matching takes for the same, dialect by dialect, where nobody says otherwise.

The law of this file: a default stands here only where every server of the dialect shares it, so that
a field given with it and the field left out ask for the same thing. `temperature` and `top_p` do not:
OpenAI takes 1, llama.cpp 0.8, and vLLM what the model's authors say. Nor does what an API refuses in
one of the two cases, such as `tool_choice` without tools.

Sources: the API references of OpenAI, Anthropic and Ollama.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.core.canonical import Json


@dataclass(frozen=True, slots=True)
class Habits:
    """Of a dialect, by path: fields and their defaults, and fields that do not shape the answer."""

    defaults: Mapping[str, Json] = field(default_factory=dict)
    aside: tuple[str, ...] = ()


OPENAI_ASIDE = ("/user", "/safety_identifier", "/prompt_cache_key", "/prompt_cache_retention", "/metadata")
TEXT: Json = {"type": "text"}

HABITS: dict[str, Habits] = {
    "openai.chat": Habits(
        {
            "/stream": False,
            "/n": 1,
            "/logprobs": False,
            "/presence_penalty": 0,
            "/frequency_penalty": 0,
            "/response_format": TEXT,
        },
        (*OPENAI_ASIDE, "/store"),
    ),
    "openai.completions": Habits(
        {"/stream": False, "/n": 1, "/echo": False, "/presence_penalty": 0, "/frequency_penalty": 0},
        ("/user",),
    ),
    "openai.responses": Habits(
        {"/stream": False, "/background": False, "/truncation": "disabled", "/text": {"format": TEXT}},
        (*OPENAI_ASIDE, "/store"),
    ),
    "openai.embeddings": Habits({"/encoding_format": "float"}, ("/user",)),
    "anthropic.messages": Habits({"/stream": False}, ("/metadata", "/**/cache_control")),
    "ollama.chat": Habits({"/stream": True}, ("/keep_alive",)),
    "ollama.generate": Habits({"/stream": True, "/raw": False}, ("/keep_alive",)),
}
"""Dialect -> its habits. `defaults` has the defaults in force, `lenient` what is aside as well."""
