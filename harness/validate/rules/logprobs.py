"""The tokens of logprobs, which say the text of a choice once more.

The law of this file: only what both sides say whole is compared. Reasoning and calls have tokens of
their own, a stop sequence may be cut off the text, and of a cut character neither has all bytes.
"""

import re
from collections.abc import Iterator
from typing import Any

from harness.core.dialects.fields import JsonObject, object_in, objects_in
from harness.core.masks import MASK
from harness.validate.rules.choices import Choice, Piece, choices_of
from harness.validate.rules.rule import Fault
from harness.validate.rules.stream import Stream

ELSEWHERE = ("reasoning_content", "reasoning", "tool_calls", "function_call", "refusal", "audio")
"""Members of a delta or message with generated content that is no text."""

BROKEN = re.compile(rb"\xef\xbf\xbd|\\x|" + re.escape(MASK))
"""What stands for a cut character, U+FFFD and how tokens of completions write bytes, or for a secret."""


def logprobs(stream: Stream) -> Iterator[Fault]:
    """The tokens of a choice and its text are the same, if both are there."""
    for choice in stream.once(choices_of).values():
        if any(piece.choice.get("logprobs") for piece in choice.pieces) and _is_text(choice):
            pairs = [(tokens(piece), _text(piece)) for piece in choice.pieces]
            logged, said = (b"".join(parts) for parts in zip(*pairs, strict=True))
            if logged and not _agree(logged, said, stop=bool(stream.asked.get("stop"))):
                differ = (p for p, (one, other) in zip(choice.pieces, pairs, strict=True) if one != other)
                piece = next(differ, choice.pieces[-1])
                yield Fault(piece.event, f"/choices/{piece.position}/logprobs", "they do not")


def tokens(piece: Piece) -> bytes:
    """The tokens of a piece, joined: objects with chat (`content`), texts with completions (`tokens`)."""
    held = object_in(piece.choice, "logprobs")
    listed = held.get("tokens")
    if isinstance(listed, list):
        return b"".join([_utf8(token) for token in listed])
    return b"".join([_bytes(token) for token in objects_in(held, "content")])


def _bytes(token: JsonObject) -> bytes:
    numbers = token.get("bytes")
    try:
        return bytes(numbers) if isinstance(numbers, list) else _utf8(token.get("token"))
    except (TypeError, ValueError):  # no list of bytes
        return b""


def _utf8(text: Any) -> bytes:
    return text.encode("utf-8", "replace") if isinstance(text, str) else b""


def _text(piece: Piece) -> bytes:
    return _utf8(piece.said.get("text" if piece.said is piece.choice else "content"))


def _is_text(choice: Choice) -> bool:
    return not any(piece.said.get(key) for piece in choice.pieces for key in ELSEWHERE)


def _agree(logged: bytes, said: bytes, *, stop: bool) -> bool:
    if logged == said or BROKEN.search(logged) or BROKEN.search(said):
        return True
    return stop and (logged.startswith(said) or said.startswith(logged))
