"""The rules of matching as people declare them: by flags, in `[tool.harness.replay]`, beside a recording."""

import json
from collections.abc import Iterable
from functools import reduce
from operator import itemgetter
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from harness.core.errors import BadInput
from harness.core.matching.paths import parse_path
from harness.core.matching.words import Kind, Preset

PLACES = ("method", "path", "query", "body")
HEADER = "header:"


def checked_place(text: str) -> str:
    """A place that is compared, in its one spelling; ValueError for what is none.

    >>> checked_place("Header:X-Tenant")
    'header:x-tenant'
    """
    place = text.strip().lower()
    if place in PLACES or (place.startswith(HEADER) and len(place) > len(HEADER)):
        return place
    raise ValueError(f"{text!r} cannot be compared: there are {', '.join(PLACES)} and {HEADER}NAME")


def checked_path(text: str) -> str:
    """A path, as it was written; ValueError where it is none."""
    parse_path(text)
    return text


type Place = Annotated[str, AfterValidator(checked_place)]
type FieldPath = Annotated[str, AfterValidator(checked_path)]


class MatchRules(BaseModel):
    """What must be equal for two requests to match, and what is taken for equal.

    - `match_on`: what is compared; `header:NAME` is a header.
    - `ignore`: fields that are left out, by path (`harness.core.matching.paths`).
    - `normalise`: kinds of values that are all alike.
    - `defaults`: field -> the value that means the same as leaving it out; beside those of the preset.
    - `preset`: how much of the dialects' own habits counts (`harness.core.matching.presets`).
    - `fuzzy`: the least likeness, above 0 and below 1, of a request that is answered without a match.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        alias_generator=lambda name: name.replace("_", "-"),
    )

    match_on: tuple[Place, ...] = Field(default=PLACES, min_length=1)
    ignore: tuple[FieldPath, ...] = ()
    normalise: tuple[Kind, ...] = ()
    defaults: dict[FieldPath, Any] = {}
    preset: Preset = Preset.DEFAULTS
    fuzzy: float | None = Field(default=None, gt=0, lt=1)

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that are compared, in lower case."""
        return tuple(place.removeprefix(HEADER) for place in self.match_on if place.startswith(HEADER))


def default_in(text: str) -> tuple[str, Any]:
    """The path and the value of `--default`. BadInput: there is no value, or it is no JSON."""
    path, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--default {text!r} names no value: write it as PATH=JSON, for example /stream=false")
    try:
        return path.strip(), json.loads(value)
    except ValueError:
        raise BadInput(f"--default {text!r}: {value!r} is no JSON: text stands in double quotes") from None


NAMES = ", ".join(MatchRules.model_fields).replace("_", "-")
WORDS = {
    "extra_forbidden": f"there is no such rule; there are {NAMES}",
    "tuple_type": "should be a list",
    "dict_type": "should be a table",
    "too_short": "names nothing",
}
"""Pydantic's name of an error -> our words, where its own speak of Python."""


def words_of(error: ValidationError) -> str:
    """The first thing that is wrong with rules, as `rule: what`, with the rule's name in a file."""
    first = error.errors(include_url=False)[0]
    rule, *rest = (str(name) for name in first["loc"] if name != "[key]")
    place = ".".join([rule.replace("_", "-"), *rest])
    said = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{place}: {WORDS.get(first['type'], said)}"


ADDED = ("ignore", "normalise", "defaults")
"""Rules that add up where several places declare some; of the others the nearest counts."""


def joined(declared: Iterable[tuple[str, MatchRules]]) -> MatchRules:
    """The rules of several places (what they are called, what they say) as one set.

    BadInput where two of them say different things that do not add up.
    """
    return reduce(both, declared, ("", MatchRules()))[1]


def both(one: tuple[str, MatchRules], other: tuple[str, MatchRules]) -> tuple[str, MatchRules]:
    """The rules of two places."""
    said, more = (rules.model_dump(exclude_unset=True) for _, rules in (one, other))
    for name in said.keys() & more.keys() - set(ADDED):
        if said[name] != more[name]:
            names = " and ".join(filter(None, map(itemgetter(0), (one, other))))
            raise BadInput(f"{names} disagree about {name.replace('_', '-')}: give it as an option")
    return other[0], over(one[1], more)


def over(rules: MatchRules, said: dict[str, Any]) -> MatchRules:
    """Rules with more said: what adds up is added, all else replaced. ValidationError for nonsense."""
    before = rules.model_dump(exclude_unset=True)
    sums = {name: added(before.get(name), said[name]) for name in ADDED if name in said}
    return MatchRules.model_validate(before | said | sums)


def added(before: Any, more: Any) -> Any:
    """Two tables or two lists as one."""
    if isinstance(more, dict):
        return (before or {}) | more
    return tuple(dict.fromkeys((*(before or ()), *more)))
