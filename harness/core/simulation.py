"""Simulated answers: a recorded answer with times drawn from those of its kind.

The law of this file: pure; chance is a seed. Nothing is invented: the bytes are one recorded answer's,
TTFT and every gap between events that carry content are recorded ones of the same endpoint and model.
What stands between two such events stays between them, in proportion.
"""

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from harness.core.derive import Derived, derive
from harness.core.exchange import Exchange, Response


@dataclass(frozen=True, slots=True)
class Donor:
    """A recorded answer that others are made of. Times in ns, without the recorder's connection set-up.

    `content_ns`: the events with content, of a plain answer its end; the first is its TTFT.
    """

    label: str
    exchange: Exchange
    content_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pool:
    """The donors of one kind of request, and the times of all of them."""

    donors: tuple[Donor, ...]
    firsts_ns: tuple[int, ...]
    gaps_ns: tuple[int, ...]

    @classmethod
    def of(cls, donors: Sequence[Donor]) -> "Pool":
        """The pool of these donors; those with known times alone, where there are any."""
        timed = [donor for donor in donors if donor.exchange.timing_known]
        firsts = tuple(donor.content_ns[0] for donor in timed)
        gaps = tuple(after - before for donor in timed for before, after in pairwise(donor.content_ns))
        return cls(tuple(timed or donors), firsts, gaps)

    def answer(self, seed: str) -> tuple[Donor, Exchange]:
        """A donor, and its answer at other times; the same for the same seed."""
        chance = random.Random(seed)  # noqa: S311  no secret is made
        donor = chance.choice(self.donors)
        if not self.firsts_ns:
            return donor, donor.exchange
        moments = [chance.choice(self.firsts_ns)]
        for _ in donor.content_ns[1:]:
            moments.append(moments[-1] + chance.choice(self.gaps_ns))
        return donor, retimed(donor.exchange, Course(donor.content_ns, tuple(moments)))


@dataclass(frozen=True, slots=True)
class Course:
    """Moments as they were, in ascending order, and as they shall be, in ns."""

    old: tuple[int, ...]
    new: tuple[int, ...]
    first: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", self.new[0] / self.old[0] if self.old[0] else 0.0)

    def at(self, moment: int) -> int:
        """Where a moment goes: before the first in proportion, after the last as far behind it as it was."""
        after = bisect_right(self.old, moment)
        if after == 0:
            return int(moment * self.first)
        if after == len(self.old):
            return self.new[-1] + moment - self.old[-1]
        start, end = self.old[after - 1], self.old[after]
        share = (moment - start) / (end - start)
        return self.new[after - 1] + int(share * (self.new[after] - self.new[after - 1]))


def donor_of(label: str, exchange: Exchange) -> Donor | None:
    """An exchange as a donor; None where it gave no answer with content."""
    if exchange.response is None or not exchange.response.chunks:
        return None
    bare = without_connect(exchange, exchange.response)
    content = content_moments(derive(bare), bare)
    return Donor(label, bare, content) if content else None


def content_moments(derived: Derived, exchange: Exchange) -> tuple[int, ...]:
    """When content came; of a plain answer, when it had come."""
    assert exchange.response is not None
    return derived.content_ns if derived.stream else (exchange.response.end_ns,)


def without_connect(exchange: Exchange, response: Response) -> Exchange:
    """The exchange as over a warm connection."""
    return replace(
        exchange, response=moved(response, lambda at: max(0, at - exchange.connect_ns)), connect_ns=0
    )


def retimed(exchange: Exchange, course: Course) -> Exchange:
    """The exchange with its answer on another course."""
    assert exchange.response is not None
    return replace(exchange, response=moved(exchange.response, course.at))


def moved(response: Response, at: Callable[[int], int]) -> Response:
    """A response with all of its offsets moved."""
    chunks = tuple((at(offset_ns), data) for offset_ns, data in response.chunks)
    return replace(response, headers_ns=at(response.headers_ns), chunks=chunks, end_ns=at(response.end_ns))
