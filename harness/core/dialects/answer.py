"""What a model answered, gathered piece by piece from a stream's events or from a plain body.

The law of this file: every `add_...` takes a value of any type, keeps what it can and returns the
text that it added, so that the caller knows whether an event carried generated content.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from harness.core.dialects.fields import JsonObject, Path, at, integer
from harness.core.json_text import compact, healed


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counts them (None: not said).

    With OpenAI and Ollama `input` includes the cached ones, with Anthropic it does not; `reasoning`
    is a part of `output`.
    """

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that the model asks for. `arguments` is the JSON text as it was generated."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Answer:
    """Gathers one answer. A `choice` or `key` of a call may be any hashable value."""

    __slots__ = (
        "_calls",
        "_finish",
        "_open_calls",
        "_reasoning",
        "_text",
        "_usage",
        "ended",
        "error",
        "model",
    )

    def __init__(self) -> None:
        self.model: str | None = None
        self.error: str | None = None
        self.ended = False
        self._text: dict[int, list[str]] = {}
        self._reasoning: dict[int, list[str]] = {}
        self._finish: dict[int, str] = {}
        self._usage: dict[str, int] = {}
        self._calls: list[_Call] = []
        self._open_calls: dict[Hashable, _Call] = {}

    def add_text(self, piece: Any, choice: int = 0) -> str:
        """Adds text that is for the user to see, refusals too."""
        return _kept(self._text, piece, choice)

    def add_reasoning(self, piece: Any, choice: int = 0) -> str:
        """Adds reasoning, thinking, or a summary of it."""
        return _kept(self._reasoning, piece, choice)

    def add_call(self, key: Hashable, call_id: Any = None, name: Any = None, arguments: Any = None) -> str:
        """Adds what is known of the tool call under this key: its id and name once, arguments by pieces.

        A new id with a name under a known key is another call: some vendors number all of them 0.
        """
        call = self._open_calls.get(key)
        if call is None or (name and call_id and call.id not in ("", call_id)):
            call = self._open_calls[key] = _Call()
            self._calls.append(call)
        if isinstance(call_id, str) and not call.id:
            call.id = call_id
        added = ""
        if isinstance(name, str) and not call.name:
            call.name = added = name
        piece = compact(arguments) if isinstance(arguments, dict | list) else arguments
        if isinstance(piece, str) and piece:
            call.arguments.append(piece)
            added += piece
        return added

    def has_arguments(self, key: Hashable) -> bool:
        """Whether the call under this key has arguments by now."""
        call = self._open_calls.get(key)
        return call is not None and bool(call.arguments)

    def add_finish(self, reason: Any, choice: int = 0) -> None:
        """Notes why a choice ended; the last word counts."""
        if isinstance(reason, str) and reason:
            self._finish[choice] = reason

    def add_usage(self, counts: JsonObject, keys: tuple[tuple[str, Path], ...]) -> None:
        """Notes token counts; where they come more than once they are running totals, so the last counts."""
        for name, path in keys:
            value = integer(at(counts, path))
            if value is not None:
                self._usage[name] = value

    @property
    def text(self) -> str:
        """The text; of several choices in the order of their indexes, a line feed between them."""
        return _joined(self._text)

    @property
    def reasoning(self) -> str:
        """The reasoning, joined as the text is."""
        return _joined(self._reasoning)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls in the order in which they began."""
        return tuple(
            ToolCall(healed(call.id), healed(call.name), healed("".join(call.arguments)))
            for call in self._calls
        )

    @property
    def usage(self) -> Usage:
        """The token counts."""
        return Usage(**self._usage)

    @property
    def finish_reason(self) -> str | None:
        """Why it ended, by the choice of the lowest index that says so."""
        return healed(self._finish[min(self._finish)]) if self._finish else None


def _kept(pieces: dict[int, list[str]], piece: Any, choice: int) -> str:
    if not piece or not isinstance(piece, str):
        return ""
    if choice in pieces:
        pieces[choice].append(piece)
    else:
        pieces[choice] = [piece]
    return piece


def _joined(pieces: dict[int, list[str]]) -> str:
    return healed("\n".join("".join(pieces[choice]) for choice in sorted(pieces)))
