"""What became of a request: from how its connection ended, its status, and what the bytes say.

The law of this file: a success must show its protocol's own end. Tables before branches: the first
rule that fits decides.
"""

from collections.abc import Callable
from typing import NamedTuple

from harness.core.derive import Derived
from harness.core.dialects import BYTES
from harness.load.journal import Ending
from harness.load.records import Outcome

AT_LENGTH = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
)
"""Finish reasons at a limit of tokens: OpenAI and Ollama, Anthropic, Responses, Mistral."""

BROKEN = frozenset({Ending.CUT, Ending.RESET, Ending.PROTOCOL})
LATE = frozenset({Ending.TIMEOUT, Ending.STALL})


class Facts(NamedTuple):
    """What is known of an answer. `said` is what the connection's end was called."""

    ending: Ending
    status: int | None
    said: str | None
    derived: Derived
    is_empty: bool

    @property
    def is_success_status(self) -> bool:
        """Whether the status promises an answer."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def has_end(self) -> bool:
        """Whether the protocol's own end was seen; an unknown protocol has none to show once it breaks."""
        if self.ending in BROKEN:
            return self.derived.stream and self.derived.terminated and self.derived.dialect != BYTES.name
        return self.derived.terminated and not (self.is_empty and self.derived.dialect != BYTES.name)


type Rule = tuple[Callable[[Facts], bool], Outcome, Callable[[Facts], str | None]]


def status_and_error(facts: Facts) -> str:
    """`429 type/code`."""
    return " ".join(str(part) for part in (facts.status, facts.derived.error) if part)


def no_end(facts: Facts) -> str:
    """Why an answer counts as broken off."""
    return facts.said or ("no end of the stream" if facts.derived.stream else "no end of the answer")


RULES: tuple[Rule, ...] = (
    (lambda f: f.ending is Ending.CANCELLED, Outcome.CANCELLED, lambda _: None),
    (lambda f: f.ending in LATE, Outcome.TIMEOUT, lambda f: f.said),
    (lambda f: f.status is None, Outcome.HTTP, lambda f: f.said or "no answer"),
    (lambda f: not f.is_success_status, Outcome.HTTP, status_and_error),
    (lambda f: f.derived.error is not None, Outcome.ERROR_EVENT, lambda f: f.derived.error),
    (lambda f: not f.has_end, Outcome.TRUNCATED, no_end),
    (lambda f: f.derived.finish_reason in AT_LENGTH, Outcome.LENGTH, lambda _: None),
)


def outcome_of(facts: Facts) -> tuple[Outcome, str | None]:
    """The outcome, and for failures a few words that hold no text of prompts or answers."""
    for fits, outcome, words in RULES:
        if fits(facts):
            return outcome, words(facts)
    return Outcome.COMPLETE, None
