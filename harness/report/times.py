"""The times of a request, from its row in `load_requests`: what each is called, and its formula.

The law of this file: pure; the formulas are those of `docs/load-figures.md`, in whole microseconds. None
is what a request cannot tell.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.report.spread import About

type Row = Mapping[str, Any]

NS_PER_US = 1000
SUCCESSES = frozenset({"complete", "length"})
"""The outcomes that are no failures (`load_requests.outcome`)."""


@dataclass(frozen=True, slots=True)
class Latency:
    """A time that every request may have: the name of its figure, words for it, and its formula."""

    name: str
    title: str
    what: str
    of: Callable[[Row], int | None]
    failures_too: bool = False

    @property
    def about(self) -> About:
        """What its distribution is of."""
        return About(self.name, self.title, self.what)


def gap(row: Row, start: str, end: str) -> int | None:
    """The time between two stamps in us; None where one is unknown."""
    first, last = row[start], row[end]
    return None if first is None or last is None else rounded(last - first)


def rounded(ns: float) -> int:
    """Nanoseconds as whole microseconds."""
    return round(ns / NS_PER_US)


def tpot(row: Row) -> int | None:
    """(end - first token) / (output tokens - 1), of two tokens and more."""
    first, tokens = row["first_token_ns"], row["tokens_out"] or 0
    return None if first is None or tokens < 2 else rounded((row["end_ns"] - first) / (tokens - 1))


def is_failure(row: Row) -> bool:
    """Whether a user would call it one."""
    return row["outcome"] not in SUCCESSES


def between(start: str, end: str) -> Callable[[Row], int | None]:
    """The formula that takes one stamp from another."""
    return lambda row: gap(row, f"{start}_ns", f"{end}_ns")


LATENCIES = (
    Latency("ttft_ms", "TTFT", "from sending to the first token", between("sent", "first_token")),
    Latency("ttst_ms", "TTST", "from the first token to the second", between("first_token", "second_token")),
    Latency("tpot_ms", "TPOT", "mean time of a token after the first", tpot),
    Latency("e2el_ms", "E2E from send", "from sending to the last byte", between("sent", "end")),
    Latency(
        "e2el_scheduled_ms",
        "E2E from schedule",
        "from the due time to the last byte",
        between("scheduled", "end"),
    ),
    Latency(
        "schedule_delay_ms",
        "Schedule lag",
        "from the due time to sending, of all requests",
        between("scheduled", "sent"),
        failures_too=True,
    ),
)
"""All but the gaps between tokens, of which a request has many."""


def counts_tokens(row: Row) -> bool:
    """Whether each content event is known to be one token."""
    return bool(row["content_events"]) and row["tokens_out"] == row["content_events"]


ICL = About("icl_ms", "ICL", "every gap between two events with tokens")
ITL = About("itl_ms", "ITL", "the same gaps, where each is known to be one token's")
