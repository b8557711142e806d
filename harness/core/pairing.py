"""Which exchanges of two recordings belong together, and how their answers differ. Pure.

The law of this file: equal requests belong together in recorded order; of what is left, requests to
the same place that share at least half of their fields, the most alike first. An answer is what it
says, not its bytes: ids, dates and the cutting into events change with every recording.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.core.canonical import match_key, parse_json, plain_body
from harness.core.derive import Derived
from harness.core.difference import Difference, body_fields, differences, fingerprint, similarity
from harness.core.exchange import Exchange, header
from harness.core.matching.matcher import fields_of
from harness.core.metrics import Timing, timing_of

ALIKE = 0.5
"""Share of equal fields from which on two requests count as one that was changed."""

LOOKED_AT = 100
"""Requests of the other side that one is compared with: of many to one place, the next of them."""


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared of an exchange: `asked` and `answered` by field, times (`end_ns` None: unknown)."""

    id: int
    key: str
    where: str
    asked: dict[str, Any] = field(repr=False)
    answered: dict[str, Any] = field(repr=False)
    timing: Timing
    end_ns: int | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two exchanges that belong together; one alone where the other recording has none."""

    before: Side | None
    after: Side | None

    @property
    def request(self) -> list[Difference]:
        """How the requests differ."""
        return differences(self.before.asked, self.after.asked) if self.before and self.after else []

    @property
    def answer(self) -> list[Difference]:
        """How the answers differ."""
        return differences(self.before.answered, self.after.answered) if self.before and self.after else []


def side_of(exchange: Exchange, derived: Derived) -> Side:
    """What is compared of an exchange."""
    request, response = exchange.request, exchange.response
    end_ns = response.end_ns if response and exchange.timing_known else None
    return Side(
        exchange.id,
        match_key(request.method, request.path, request.body, request.headers),
        f"{request.method} {request.path.partition('?')[0]}",
        fields_of(request),
        answer_fields(exchange, derived),
        timing_of(derived, end_ns),
        end_ns,
    )


def answer_fields(exchange: Exchange, derived: Derived) -> dict[str, Any]:
    """What an answer says, by name; of an answer whose form no dialect knows, its body."""
    response, usage = exchange.response, derived.usage
    if response is None:
        return {"state": exchange.state.value, "error": exchange.error}
    said = {
        "status": response.status,
        "state": exchange.state.value,
        "content_type": header(response.headers, "content-type"),
        "stream": derived.stream,
        "model": derived.model,
        "finish_reason": derived.finish_reason,
        "error": derived.error,
        "text": derived.text,
        "reasoning": derived.reasoning,
        "tokens_in": usage.input,
        "tokens_out": usage.output,
    }
    calls = {
        f"tool_calls.{number}": f"{call.name} {call.arguments}"
        for number, call in enumerate(derived.tool_calls, 1)
    }
    return said | calls | (body_of(exchange) if says_nothing(derived) else {})


def says_nothing(derived: Derived) -> bool:
    """Whether there is no text that could be compared."""
    return not (derived.text or derived.reasoning or derived.tool_calls or derived.stream)


def body_of(exchange: Exchange) -> dict[str, Any]:
    """The fields of a body that is JSON; the length of another."""
    assert exchange.response is not None
    plain = plain_body(exchange.response.body, exchange.response.headers)
    value = parse_json(plain)
    return body_fields(value) if value is not None else {"body": f"{len(plain)} bytes"}


def pairs(before: Sequence[Side], after: Sequence[Side]) -> list[Pair]:
    """All exchanges of both, in the order of the first; what only the second has comes last."""
    partners = equal_partners(before, after)
    taken = {id(side) for side in partners.values()}
    partners |= alike_partners(
        [side for side in before if side.id not in partners],
        [side for side in after if id(side) not in taken],
    )
    taken = {id(side) for side in partners.values()}
    added = [Pair(None, side) for side in after if id(side) not in taken]
    return [Pair(side, partners.get(side.id)) for side in before] + added


def equal_partners(before: Iterable[Side], after: Iterable[Side]) -> dict[int, Side]:
    """Id of the first -> the second with an equal request, each once, in recorded order."""
    waiting: dict[str, list[Side]] = defaultdict(list)
    for side in after:
        waiting[side.key].append(side)
    queues = {key: iter(sides) for key, sides in waiting.items()}
    found = ((side.id, next(queues[side.key], None)) for side in before if side.key in queues)
    return {number: partner for number, partner in found if partner}


def alike_partners(before: Iterable[Side], after: Iterable[Side]) -> dict[int, Side]:
    """Id of the first -> the second whose request was probably made of it, each once."""
    places: dict[str, list[Side]] = defaultdict(list)
    for side in after:
        places[side.where].append(side)
    prints = {id(side): fingerprint(side.asked) for sides in places.values() for side in sides}
    found: dict[int, Side] = {}
    for side in before:
        others = places[side.where]
        wanted = frozenset(fingerprint(side.asked))
        near = [(similarity(prints[id(other)], wanted), other) for other in others[:LOOKED_AT]]
        share, best = max(near, key=lambda one: one[0], default=(0.0, None))
        if best and share >= ALIKE:
            others.remove(best)
            found[side.id] = best
    return found


def unequal(found: Iterable[Pair]) -> Iterator[Pair]:
    """The pairs that differ in more than time."""
    return (pair for pair in found if not (pair.before and pair.after) or pair.request or pair.answer)
