"""Rules for token counts, for all dialects that count: what a provider calls them is a row of `Tokens`.

The law of this file: counts are compared with counts of the same object, never with the text.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from harness.core.dialects.fields import JsonObject, Path, at
from harness.core.json_text import healed
from harness.validate.finding import Kind
from harness.validate.rules.rule import Fault, Rule, Scope
from harness.validate.rules.stream import Stream


class Counts(NamedTuple):
    """A usage object: the number of its event, its JSON pointer, its members."""

    event: int
    pointer: str
    usage: JsonObject


type Found = Callable[[Stream], list[Counts]]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Where a dialect counts, and the names of its counts; the paths of those that are parts of others."""

    found: Found
    input: str
    output: str
    cached: Path
    reasoning: Path
    total: str = "total_tokens"


def usages_at(*paths: Path) -> Found:
    """Finds the usage objects at these paths of every object, in their order."""
    places = [(path[0], path, "/" + "/".join(path)) for path in paths]

    def found(stream: Stream) -> list[Counts]:
        return [
            Counts(number, pointer, usage)
            for number, value in stream.objects
            for first, path, pointer in places
            if first in value and isinstance(usage := at(value, path), dict)
        ]

    return found


def negative(found: Found, stream: Stream) -> Iterator[Fault]:
    """Counts below zero, also in the details one level down."""
    for number, pointer, usage in stream.once(found):
        for key, value in usage.items():
            yield from _below_zero(number, f"{pointer}/{escaped(key)}", value)
            if isinstance(value, dict):
                for inner, count in value.items():
                    yield from _below_zero(number, f"{pointer}/{escaped(key)}/{escaped(inner)}", count)


def _below_zero(number: int, pointer: str, value: Any) -> Iterator[Fault]:
    if isinstance(value, int | float) and value < 0:
        yield Fault(number, pointer, "this one is")


def sums(tokens: Tokens, stream: Stream) -> Iterator[Fault]:
    """Where input and total are there; an absent output is 0."""
    for number, pointer, usage in stream.once(tokens.found):
        total = usage.get(tokens.total)
        parts = [usage.get(tokens.input), usage.get(tokens.output, 0)]
        if all(type(count) is int and count >= 0 for count in (total, *parts)) and sum(parts) != total:
            yield Fault(number, f"{pointer}/{tokens.total}", "this is another")


def within(tokens: Tokens, part: Path, whole: str, stream: Stream) -> Iterator[Fault]:
    """A count that is a part of another is no larger."""
    for number, pointer, usage in stream.once(tokens.found):
        inner, outer = at(usage, part), usage.get(whole)
        if type(inner) is int and type(outer) is int and inner > outer >= 0:
            yield Fault(number, f"{pointer}/{'/'.join(part)}", "it is larger")


def escaped(key: str) -> str:
    """A field's name as a token of a JSON pointer (RFC 6901)."""
    return healed(key).replace("~", "~0").replace("/", "~1")


def negative_rule(family: str, dialects: tuple[str, ...], found: Found) -> Rule:
    """The row that counts are never negative."""
    says = "counts are never negative"
    return Rule(f"{family}.usage-negative", dialects, Kind.RULE, says, partial(negative, found), Scope.BOTH)


def usage_rules(family: str, dialects: tuple[str, ...], tokens: Tokens, sum_kind: Kind) -> tuple[Rule, ...]:
    """The rows of a dialect for its counts. `sum_kind`: how its vendors keep to sums."""
    cached = partial(within, tokens, tokens.cached, tokens.input)
    reasoning = partial(within, tokens, tokens.reasoning, tokens.output)
    total = f"{tokens.input} and {tokens.output} add up to {tokens.total}"
    return (
        negative_rule(family, dialects, tokens.found),
        Rule(f"{family}.usage-sum", dialects, sum_kind, total, partial(sums, tokens), Scope.BOTH),
        Rule(
            f"{family}.usage-cached",
            dialects,
            Kind.SOFT_RULE,
            f"cached_tokens are a part of {tokens.input}",
            cached,
            Scope.BOTH,
        ),
        Rule(
            f"{family}.usage-reasoning",
            dialects,
            Kind.SOFT_RULE,
            f"reasoning_tokens are a part of {tokens.output}",
            reasoning,
            Scope.BOTH,
        ),
    )
