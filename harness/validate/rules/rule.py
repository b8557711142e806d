"""The form of a rule's row, and of what a rule finds.

The law of this file: a fault is told in words that stand in the code, with the number of an event and
a JSON pointer; nothing that an API sent is repeated but the names of its fields.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from harness.validate.finding import Kind
from harness.validate.rules.stream import Stream


class Fault(NamedTuple):
    """Where a rule is broken, and how.

    `event` is the number of the event from 1, 0 for a plain answer and for what is nowhere (missing).
    `pointer` is a JSON pointer into the event. `what` is said after the rule's own words and a colon.
    """

    event: int
    pointer: str
    what: str


type Find = Callable[[Stream], Iterable[Fault]]
"""Finds the faults of a stream, in their order. Raises on no JSON whatever."""


class Scope(StrEnum):
    """The answers that a rule is about."""

    STREAM = "streams"
    BODY = "plain answers"
    BOTH = "streams and plain answers"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `dialects` are names of `harness.core.dialects`; none of them: it holds for all.

    `kind` is `Kind.RULE`, or `Kind.SOFT_RULE` where real vendors break it. `says` is one line: what
    is so where the rule is kept.
    """

    name: str
    dialects: tuple[str, ...]
    kind: Kind
    says: str
    find: Find
    scope: Scope = Scope.STREAM

    def fits(self, dialect: str, *, streamed: bool) -> bool:
        """Whether it is about an answer of this dialect."""
        other = Scope.BODY if streamed else Scope.STREAM
        return self.scope is not other and (not self.dialects or dialect in self.dialects)
