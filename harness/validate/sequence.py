"""The order of the events of a stream, free of how many deltas an answer happened to have.

The law of this file: two answers of one API that differ only in length and in the number of their
items have the same sequence. `x+` is one x or more; a block of steps that repeats is written once;
`ping` may come at any time and is left out.
"""

from collections.abc import Container, Iterable
from typing import Any

from harness.validate.place import NAME

DONE = b"[DONE]"
LONGEST_BLOCK = 8
"""Steps of a repeated block: added, part, deltas, done, ... of an item of the Responses API are seven."""
STEPS = 200
"""Steps that are kept of a sequence; what follows is `...`."""
ANYTIME = "ping"
BROUGHT = (
    "role",
    "content",
    "text",
    "reasoning",
    "reasoning_content",
    "refusal",
    "audio",
    "tool_calls",
    "function_call",
)
"""Members of a delta, or of a choice, whose order is that of the stream."""
NO_EVENTS = "no events"


def step(value: Any, name: str | None, data: bytes) -> str:
    """What an event is in the order of its stream: its type, or what it brings."""
    if data == DONE:
        return "[DONE]"
    if not isinstance(value, dict):
        return "other"
    if kind := named(value.get("type")) or named(name):
        return f"{kind}+" if "delta" in kind else kind
    if isinstance(value.get("choices"), list):
        return chat_step(value, value["choices"])
    return "done" if value.get("done") is True else "delta+"


def named(value: Any) -> str | None:
    """A value that can be the name of a type; None for anything else."""
    return value if isinstance(value, str) and NAME.fullmatch(value) else None


def chat_step(value: dict[str, Any], choices: list[Any]) -> str:
    """What a chunk of OpenAI's chat or completions brings: members of the delta, finish, usage."""
    found = [choice for choice in choices if isinstance(choice, dict)]
    held = [choice["delta"] if isinstance(choice.get("delta"), dict) else choice for choice in found]
    brought = [name for name in BROUGHT if any(delta.get(name) not in (None, "", []) for delta in held)]
    ends = ["finish"] if any(choice.get("finish_reason") for choice in found) else []
    ends += ["usage"] if value.get("usage") else []
    if brought and not ends and "role" not in brought:
        return f"{','.join(brought)}+"
    return ",".join([*brought, *ends]) or "empty"


def collapsed(steps: Iterable[str]) -> str:
    """A sequence as text: runs and repeated blocks once.

    >>> collapsed(["created", "delta+", "delta+", "ping", "delta+", "done"])
    'created delta+ done'
    >>> collapsed(["start", "open", "delta+", "close", "open", "delta+", "close", "stop"])
    'start open delta+ close stop'
    """
    kept: list[str] = []
    for one in steps:
        if one == ANYTIME:
            continue
        if len(kept) >= STEPS:
            return " ".join([*kept, "..."])
        if kept and kept[-1].removesuffix("+") == one.removesuffix("+"):
            kept[-1] = f"{one.removesuffix('+')}+"
        else:
            kept.append(one)
            drop_repeated_block(kept)
    return " ".join(kept) or NO_EVENTS


def drop_repeated_block(kept: list[str]) -> None:
    """Take away the steps at the end if they are a copy of those before them."""
    for size in range(2, min(LONGEST_BLOCK, len(kept) // 2) + 1):
        if kept[-size:] == kept[-2 * size : -size]:
            del kept[-size:]
            return


def of_steps(sequence: str, known: Container[str]) -> str:
    """A sequence without the steps that are not known, which are names without a `+`."""
    return collapsed(one for one in sequence.split() if one.removesuffix("+") in known)
