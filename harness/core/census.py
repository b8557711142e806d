"""The census: what one process of a replay server has done so far, in a form that adds up.

The law of this file: pure. A server of several processes is told of as the sum of their censuses, and a
server of one as the sum of one, so that no page has to know which it is about.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Literal

from pydantic import Field

from harness.core.admin import (
    FaultRule,
    JournalEntry,
    MissedRequest,
    PlayedFault,
    ReceivedRequest,
    Refusals,
    RefusedRequest,
    Resettable,
    Result,
    WriteLateness,
)
from harness.core.document import Document
from harness.core.histogram import BITS, Histogram, Pairs

type Part = Literal["misses", "invalid", "faults", "received", "journal", "unused", "lateness"]
"""The lists of a census: only those that are asked for are made."""
FINAL: frozenset[Part] = frozenset({"misses", "unused", "lateness"})
"""Those of the sum at the end."""


class Census(Document):
    """Counts of requests by what they got, of faults, of what is open now; lateness in ns; and some lists.

    `events`: parts of answers that were written, the head first, then mostly one event each. `unused` are
    labels. Lists that were not asked for are empty.
    """

    requests: int = 0
    answered: int = 0
    missed: int = 0
    invalid: int = 0
    results: dict[str, int] = Field(default_factory=dict)
    instead: dict[str, int] = Field(default_factory=dict)
    played: dict[str, int] = Field(default_factory=dict)
    unfit: dict[str, int] = Field(default_factory=dict)
    unauthorised: int = 0
    limited: int = 0
    connections: int = 0
    streams: int = 0
    events: int = 0
    held: int = 0
    lateness: Pairs = ()
    worst_ns: int | None = None
    rules: tuple[FaultRule, ...] = ()
    misses: tuple[MissedRequest, ...] = ()
    refused: tuple[RefusedRequest, ...] = ()
    faults: tuple[PlayedFault, ...] = ()
    received: tuple[ReceivedRequest, ...] = ()
    journal: tuple[JournalEntry, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def histogram(self) -> Histogram:
        """The lateness of all writes."""
        histogram = Histogram()
        histogram.add_pairs(self.lateness, BITS)
        histogram.worst = self.worst_ns
        return histogram

    @property
    def written(self) -> WriteLateness:
        """The figures of that."""
        histogram = self.histogram
        quantiles = (histogram.quantile(0.5), histogram.quantile(0.99), histogram.worst)
        p50_ms, p99_ms, max_ms = map(milliseconds, quantiles)
        return WriteLateness(writes=histogram.count, p50_ms=p50_ms, p99_ms=p99_ms, max_ms=max_ms)

    @property
    def refusals(self) -> Refusals:
        """How many were not let in."""
        return Refusals(unauthorised=self.unauthorised, limited=self.limited)


SUMMED = (
    "requests",
    "answered",
    "missed",
    "invalid",
    "unauthorised",
    "limited",
    "connections",
    "streams",
    "events",
    "held",
)
COUNTED = ("results", "instead", "played", "unfit")
LISTED = ("misses", "refused", "faults")
BY_TIME = ("received", "journal")


def merged(some: Sequence[Census]) -> Census:
    """The census of all. What is unused is unused by all; rules are the same rules everywhere."""
    if len(some) == 1:
        return some[0]
    histogram = Histogram()
    for one in some:
        histogram.merge(one.histogram)
    fields = {
        **{name: sum(getattr(one, name) for one in some) for name in SUMMED},
        **{name: dict(added(getattr(one, name) for one in some)) for name in COUNTED},
        **{name: tuple(chain.from_iterable(getattr(one, name) for one in some)) for name in LISTED},
        **{name: by_time(getattr(one, name) for one in some) for name in BY_TIME},
    }
    unused = frozenset.intersection(*(frozenset(one.unused) for one in some)) if some else frozenset()
    return Census(
        **fields,
        lateness=histogram.pairs(),
        worst_ns=histogram.worst,
        rules=tuple(map(rule_of, zip(*(one.rules for one in some), strict=False))),
        unused=tuple(label for one in some[:1] for label in one.unused if label in unused),
    )


def added(counts: Iterable[dict[str, int]]) -> Counter[str]:
    """Counts by name of several, in the order in which the names come."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


def by_time[T: (ReceivedRequest, JournalEntry)](lists: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    """Requests of several as they came in."""
    return tuple(sorted(chain.from_iterable(lists), key=lambda one: one.t0_ns))


def rule_of(same: Sequence[FaultRule]) -> FaultRule:
    """A rule, with what all did by it."""
    return FaultRule(
        rule=same[0].rule,
        fitted=sum(one.fitted for one in same),
        played=sum(one.played for one in same),
        unfit=sum(one.unfit for one in same),
    )


def milliseconds(ns: float | None) -> float | None:
    """Nanoseconds as ms, to a tenth of a microsecond."""
    return None if ns is None else round(ns / 1e6, 4)


class Wish(Document):
    """Which lists of a census are wanted; of the journal the latest so many, of one result alone."""

    parts: frozenset[Part] = frozenset()
    limit: int = 0
    result: Result | None = None


class Order(Document):
    """What a process is told to change: its speed, its rules of faults, or what begins again.

    `faults` are as the admin page takes them; `round`: how often rules were changed so far.
    """

    speed: float | None = None
    faults: tuple[Any, ...] | None = None
    reset: tuple[Resettable, ...] = ()
    session: str | None = None
    round: int = 0
