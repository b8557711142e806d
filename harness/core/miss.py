"""A miss: a request that no recorded exchange answers, why, and what to read of it.

The law of this file: pure; a miss in, text or a document out, the same for a response's body, the log,
the closing summary and a failing test.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from harness.core.admin import FieldDifference, MissedRequest, NearMiss
from harness.core.difference import Change, Difference
from harness.core.exchange import Request
from harness.core.visible import visible

SHOWN_DIFFERENCES = 5
"""Differences that people are told of each near exchange."""
KEPT_DIFFERENCES = 100
"""Differences that machines are told."""


class Why(StrEnum):
    """Why a request missed."""

    UNMATCHED = "unmatched"
    EXHAUSTED = "exhausted"
    AMBIGUOUS = "ambiguous"
    UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class Near:
    """A recorded exchange that was near: its label, how alike (0 to 1), and the fields that differ."""

    label: str
    likeness: float
    different: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Miss:
    """No answer: why, in a word and in words, to which (masked) request, and what is nearest, best first."""

    why: Why
    reason: str
    request: Request
    near: tuple[Near, ...] = ()

    @property
    def asked(self) -> str:
        """Method and path, as people read them."""
        return f"{self.request.method} {self.request.path}"


def miss_line(miss: Miss) -> str:
    """A miss in one line: the request, why, and what differs from the nearest exchange."""
    line = visible(f"{miss.asked}: {miss.reason}")
    if not miss.near:
        return line
    nearest = miss.near[0]
    shown = visible("; ".join([*map(str, nearest.different[:SHOWN_DIFFERENCES]), *more(nearest)]))
    return f"{line}; nearest is exchange {nearest.label}" + (f": {shown}" if shown else "")


def miss_text(miss: Miss) -> str:
    """A miss in lines: the request and why, then each near exchange with a line for each difference."""
    lines = [visible(f"{miss.asked}: {miss.reason}")]
    for number, near in enumerate(miss.near):
        place = "nearest is" if number == 0 else "then"
        lines.append(f"  {place} exchange {near.label}, {percent(near.likeness)} alike")
        lines += [f"    {difference_text(one)}" for one in near.different[:SHOWN_DIFFERENCES]]
        lines += [f"    {rest}" for rest in more(near)]
    return "\n".join(lines)


def difference_text(difference: Difference) -> str:
    """A difference in one line, with what became of the field.

    >>> difference_text(Difference("body/n", "nothing", "2", Change.ADDED))
    'added    body/n: 2'
    """
    value = {
        Change.CHANGED: f"recorded {difference.recorded}, requested {difference.requested}",
        Change.ADDED: difference.requested,
        Change.REMOVED: difference.recorded,
    }[difference.change]
    return f"{difference.change:<8} {visible(difference.where)}: {value}"


def more(near: Near) -> list[str]:
    """What is said of the differences that are not shown."""
    rest = len(near.different) - SHOWN_DIFFERENCES
    return [f"and {rest} more"] if rest > 0 else []


def percent(share: float) -> str:
    """A share as people read it; all of it only where nothing is left.

    >>> percent(0.9999), percent(1.0)
    ('99 %', '100 %')
    """
    return f"{int(share * 100)} %"


def summed(misses: Iterable[Miss]) -> dict[str, int]:
    """The texts of misses, each once, in the order of the first; how often each came."""
    return dict(Counter(map(miss_text, misses)))


def missed_request(miss: Miss) -> MissedRequest:
    """A miss for machines."""
    return MissedRequest(
        request=miss.asked,
        why=miss.why.value,
        reason=miss.reason,
        nearest=tuple(map(near_miss, miss.near)),
        text=miss_text(miss),
    )


def near_miss(near: Near) -> NearMiss:
    """A near exchange for machines."""
    shown = islice(near.different, KEPT_DIFFERENCES)
    return NearMiss(
        exchange=near.label,
        likeness=round(near.likeness, 4),
        differences=tuple(
            FieldDifference(
                change=one.change.value, where=one.where, recorded=one.recorded, requested=one.requested
            )
            for one in shown
        ),
        count=len(near.different),
    )
