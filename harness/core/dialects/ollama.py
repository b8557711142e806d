"""Ollama's own API: NDJSON lines, the counts in the last one; a plain body is one such line.

Format: https://github.com/ollama/ollama/blob/main/docs/api.md. Tool calls come whole, their
arguments as an object.
"""

import re

from harness.core.dialects.answer import Answer
from harness.core.dialects.fields import JsonObject, object_in, objects_in
from harness.core.dialects.row import Dialect, Ending, Places, Route

PLACES = Places(
    usage=((),),  # the counts lie in the line itself
    usage_keys=(("input", ("prompt_eval_count",)), ("output", ("eval_count",))),
    finish=(("done_reason",),),
)

DONE = Ending(flag="done")


def read_chat(answer: Answer, value: JsonObject) -> str:
    """A line of /api/chat."""
    message = object_in(value, "message")
    added = answer.add_reasoning(message.get("thinking"))
    added += answer.add_text(message.get("content"))
    for call in objects_in(message, "tool_calls"):
        function = object_in(call, "function")
        key = object()  # each is whole: no other delta belongs to it
        added += answer.add_call(key, call.get("id"), function.get("name"), function.get("arguments"))
    return added


def read_generate(answer: Answer, value: JsonObject) -> str:
    """A line of /api/generate."""
    return answer.add_reasoning(value.get("thinking")) + answer.add_text(value.get("response"))


CHAT = Dialect(
    name="ollama.chat",
    routes=(Route("POST", re.compile(r"(?:^|/)api/chat$")),),
    places=PLACES,
    ending=DONE,
    event=read_chat,
    body=read_chat,
)

GENERATE = Dialect(
    name="ollama.generate",
    routes=(Route("POST", re.compile(r"(?:^|/)api/generate$")),),
    places=PLACES,
    ending=DONE,
    event=read_generate,
    body=read_generate,
)
