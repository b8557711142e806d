"""A request seen from both sides: what the provider wrote when, what the client read when, event by event.

The time that an event took on the way is its arrival at the client minus the provider's write of its last
byte, both on one clock. For TTFT the request's way counts as well: the client's TTFT minus the provider's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from harness.core.dialects import Answer, recognise
from harness.core.exchange import Exchange, Request, Response, State
from harness.core.redaction import Redactor, Rules
from harness.probe.align import Joined, align
from harness.probe.behaviours import MS, is_ping
from harness.probe.blocks import Block, blocks_of
from harness.probe.plays import Play
from harness.probe.talk import Talk

APART_NS = 20 * MS
"""Writes that lie so far apart should be read apart, on a machine that is not too busy."""


@dataclass(frozen=True)
class Observed:
    """One request: the client's `talk`, and the provider's `plays` of it (the last one was passed on)."""

    talk: Talk
    plays: Sequence[Play]

    @property
    def exchange(self) -> Exchange:
        """What was to be played."""
        return self.talk.trial.exchange

    @cached_property
    def asked(self) -> Request:
        """The request as the provider should have it, with secrets masked as they are there."""
        return redactor().request(self.talk.asked)

    def requests(self) -> list[Request]:
        """The request as the provider had it, each time that the gateway asked."""
        return [play.request for play in self.plays if play.request]

    @cached_property
    def sent(self) -> list[Block]:
        """The provider's events; `at` is the number of the chunk that ended each."""
        response = self.exchange.response
        if response is None:
            return []
        return blocks_of(response.headers, [(n, data) for n, (_, data) in enumerate(response.chunks)])

    @cached_property
    def got(self) -> list[Block]:
        """The client's events; `at` is the moment of arrival in ns."""
        return blocks_of(self.talk.head(), self.talk.pieces)

    @cached_property
    def joined(self) -> Joined:
        """Which is which."""
        return align(self.sent, self.got)

    @cached_property
    def written_ns(self) -> list[int | None]:
        """When the provider wrote each of its events; None: never."""
        if not self.plays:
            return [None] * len(self.sent)
        times = self.plays[-1].written_ns(self.exchange)
        return [times[block.at] for block in self.sent]

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """All events of the provider that came, in its order, and as which of the client's."""
        return sorted([*self.joined.pairs, *self.joined.moved])

    def added_ns(self) -> list[int]:
        """How long each event was on its way."""
        times = ((self.written_ns[i], self.got[j].at) for i, j in self.pairs)
        return [at - wrote for wrote, at in times if wrote is not None]

    def ttft_added_ns(self) -> int | None:
        """The client's TTFT minus the provider's; None where either has none."""
        first = first_content(self.exchange, self.sent)
        arrived = next((self.got[j].at for i, j in self.pairs if i == first), None)
        wrote = None if first is None else self.written_ns[first]
        if arrived is None or wrote is None:
            return None
        return (arrived - self.talk.sent_ns) - (wrote - self.plays[-1].t0_ns)

    def held(self) -> tuple[int, int]:
        """(Events that came only after the provider's next write, those that could have shown it)."""
        held = candidates = 0
        arrivals = dict(self.pairs)
        for i, (wrote, follows) in enumerate(zip(self.written_ns, self.written_ns[1:], strict=False)):
            if wrote is None or follows is None or follows - wrote < APART_NS or i not in arrivals:
                continue
            candidates += 1
            held += self.got[arrivals[i]].at >= follows
        return held, candidates

    def merged(self) -> int:
        """Events that were read together with the one before, though they were written apart."""
        return sum(
            self.got[j].at == self.got[j_before].at and apart(self.written_ns[i_before], self.written_ns[i])
            for (i_before, j_before), (i, j) in zip(self.pairs, self.pairs[1:], strict=False)
        )

    def as_got(self) -> Response:
        """The answer as the client has it."""
        return Response(self.talk.status, self.talk.head(), 0, self.talk.chunks(), self.talk.end_ns)

    @property
    def ended_well(self) -> bool:
        """Whether the client saw a proper end."""
        return self.talk.complete and self.talk.failure is None


@cache
def redactor() -> Redactor:
    """Masks as the provider does, whose file of trials brings no rules of its own."""
    return Redactor(Rules.default())


def apart(before_ns: int | None, after_ns: int | None) -> bool:
    """Whether two writes are far enough apart to be read apart."""
    return before_ns is not None and after_ns is not None and after_ns - before_ns >= APART_NS


def first_content(exchange: Exchange, blocks: Sequence[Block]) -> int | None:
    """The number of the first event with generated content; of an unknown dialect, of the first event."""
    row = recognise(exchange.request)
    for number, block in enumerate(blocks):
        value = block.value()
        if isinstance(value, dict) and row.event(Answer(), value):
            return number
    events = (number for number, block in enumerate(blocks) if not is_ping(block))
    return next(events, None) if row.name == "bytes" else None


def is_whole(observed: Observed) -> bool:
    """Whether a stream that came to its end did so at the client."""
    return observed.exchange.state is State.COMPLETE and observed.ended_well
