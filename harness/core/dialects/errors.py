"""The error forms of the providers, reduced to type and code.

The law of this file: a message is never taken over, since messages quote prompts; what names the
error is its type and its code, and where a body has neither, the word `error`.
"""

from typing import Any

from harness.core.dialects.fields import JsonObject, object_in
from harness.core.json_text import healed

NAMES = ("type", "status", "error_type", "code", "statusCode")
"""Fields that name an error: OpenAI, Anthropic, vLLM and llama.cpp type and code; Google status and
code; text-generation-inference error_type; xAI code; Azure code, its API management statusCode."""

UNSAID = "error"
LONGEST = 80


def error_in_event(name: str | None, value: Any) -> str | None:
    """The error that a stream's event reports, as `type/code`; None for any other event.

    `name` is the SSE name, `value` the parsed data (None: it is no JSON). The forms: `{error: ...}`,
    the same in a `response` (Responses), `{type: "error", ...}`, `{object: "error", ...}`, and
    anything under `event: error`.
    """
    if not isinstance(value, dict):
        return UNSAID if name == "error" else None
    error = value.get("error")
    if not error and "response" in value:
        error = object_in(value, "response").get("error")
    if error:
        return _label(error if isinstance(error, dict) else value)
    if name == "error" or value.get("type") == "error" or value.get("object") == "error":
        return _label(value)
    return None


def error_in_body(status: int, value: Any) -> str | None:
    """The error that a plain body reports, as `type/code`; None where there is none.

    With an HTTP status from 400 on every JSON object is one: Mistral's and FastAPI's `{detail}`,
    Azure's `{statusCode, message}` too.
    """
    error = error_in_event(None, value)
    if error or status < 400 or not isinstance(value, dict):
        return error
    details = value.get("detail")
    if isinstance(details, list):
        return _label(next((item for item in details if isinstance(item, dict)), {}))
    return _label(value)


def _label(error: JsonObject) -> str:
    names = [name for key in NAMES if (name := _name(error.get(key)))]
    return "/".join(names) or UNSAID


def _name(value: Any) -> str:
    """A type or code as text; empty for what says nothing."""
    if type(value) is int:
        return str(value) if abs(value) < 10**9 else ""
    if not isinstance(value, str) or value == "error":
        return ""
    return " ".join(healed(value[:LONGEST]).split())
