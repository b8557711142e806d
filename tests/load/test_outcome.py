"""Outcomes: endings, statuses and what the bytes say, as a table."""

from typing import Any

import pytest

from harness.core.derive import Derived
from harness.load.journal import Ending
from harness.load.outcome import Facts, outcome_of
from harness.load.records import Outcome

CHAT = "openai.chat"
WHOLE: dict[str, Any] = {"stream": True, "terminated": True}


def facts(ending: Ending, status: int | None = 200, said: str | None = None, **derived: Any) -> Facts:
    is_empty = derived.pop("is_empty", False)
    return Facts(ending, status, said, Derived(**{"dialect": CHAT, **derived}), is_empty)


@pytest.mark.parametrize(
    ("given", "outcome", "error"),
    [
        (facts(Ending.DONE, **WHOLE), Outcome.COMPLETE, None),
        (facts(Ending.CLOSED, **WHOLE), Outcome.COMPLETE, None),
        (facts(Ending.DONE, **WHOLE, finish_reason="stop"), Outcome.COMPLETE, None),
        (facts(Ending.DONE, **WHOLE, finish_reason="length"), Outcome.LENGTH, None),
        (facts(Ending.DONE, terminated=True, finish_reason="max_tokens"), Outcome.LENGTH, None),
        (facts(Ending.DONE, stream=True), Outcome.TRUNCATED, "no end of the stream"),
        (facts(Ending.CLOSED, stream=True), Outcome.TRUNCATED, "no end of the stream"),
        (facts(Ending.DONE), Outcome.TRUNCATED, "no end of the answer"),
        (facts(Ending.DONE, terminated=True, is_empty=True), Outcome.TRUNCATED, "no end of the answer"),
        (facts(Ending.DONE, terminated=True, is_empty=True, dialect="bytes"), Outcome.COMPLETE, None),
        (facts(Ending.CUT, said="connection closed", stream=True), Outcome.TRUNCATED, "connection closed"),
        (facts(Ending.RESET, said="connection reset", stream=True), Outcome.TRUNCATED, "connection reset"),
        (facts(Ending.CUT, said="connection closed", **WHOLE), Outcome.COMPLETE, None),
        (facts(Ending.CUT, said="closed", terminated=True), Outcome.TRUNCATED, "closed"),
        (
            facts(Ending.RESET, said="connection reset", **WHOLE, dialect="bytes"),
            Outcome.TRUNCATED,
            "connection reset",
        ),
        (facts(Ending.DONE, **WHOLE, error="server_error"), Outcome.ERROR_EVENT, "server_error"),
        (facts(Ending.RESET, **WHOLE, error="overloaded"), Outcome.ERROR_EVENT, "overloaded"),
        (facts(Ending.DONE, 429, terminated=True, error="rate_limit"), Outcome.HTTP, "429 rate_limit"),
        (facts(Ending.RESET, 503), Outcome.HTTP, "503"),
        (facts(Ending.REFUSED, None, "connection refused"), Outcome.HTTP, "connection refused"),
        (facts(Ending.CUT, None, "connection closed"), Outcome.HTTP, "connection closed"),
        (facts(Ending.PROTOCOL, None, "no HTTP/1.1 answer"), Outcome.HTTP, "no HTTP/1.1 answer"),
        (facts(Ending.TIMEOUT, None, "connect timeout"), Outcome.TIMEOUT, "connect timeout"),
        (facts(Ending.TIMEOUT, 200, "timeout", stream=True), Outcome.TIMEOUT, "timeout"),
        (facts(Ending.STALL, 200, "silence", **WHOLE), Outcome.TIMEOUT, "silence"),
        (facts(Ending.CANCELLED, 200, None, stream=True), Outcome.CANCELLED, None),
    ],
)  # fmt: skip
def test_an_outcome(given: Facts, outcome: Outcome, error: str | None) -> None:
    assert outcome_of(given) == (outcome, error)
