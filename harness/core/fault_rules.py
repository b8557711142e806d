"""Rules of faults: which request gets which fault; and how rules are written.

The law of this file: what is chosen follows from the rules and the order of the requests alone; chance
is a seed and the number of the request among those that fit, so that the same run fails alike again.
All of what is wrong with a rule is a ValueError in one line that names the field.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Annotated, Any

from pydantic import Field

from harness.core.document import Document
from harness.core.faults import UNSPOKEN, Count, Fault, checked, fault_of, written

ITEM = re.compile(r'(?:[^,;"]|"[^"]*")+')
"""A field of a rule in text: commas and semicolons part them, but not within quotes."""
CHANCES = 1 << 64


class When(Document):
    """Which requests a rule is about, and on which of those its fault is played.

    `path` (without query) and `model` are shapes with `*` and `?`. Of the requests that fit both, the
    fault is played on every nth, or on each with a probability; of the first so many; so many times.
    """

    path: str | None = None
    model: str | None = None
    every: Count = 1
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    seed: int = 0
    first: Count | None = None
    times: Count | None = None

    def fits(self, paths: Sequence[str], model: Callable[[], str]) -> bool:
        """Whether a request is meant; `paths` are the names of its path, of which one must fit."""
        if self.path is not None and not any(fnmatchcase(path, self.path) for path in paths):
            return False
        return self.model is None or fnmatchcase(model(), self.model)

    def hits(self, number: int) -> bool:
        """Whether the fault is played on the request of this number (from 1) among those that fit."""
        if number % self.every or (self.first is not None and number > self.first):
            return False
        return self.probability >= 1 or chance(self.seed, number) < self.probability


def chance(seed: int, number: int) -> float:
    """A number in [0, 1) that the seed and the request's number fix."""
    digest = blake2b(f"{seed}/{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / CHANCES


type Total = Callable[[str, int], int]
"""Adds to one of a rule's counts (`fitted`, `played`); the sum of all processes."""


@dataclass(slots=True)
class Rule:
    """A fault, when it is played, and what came of it.

    `fitted`: requests that were meant so far; `played`: those that got the fault; `unfit`: those
    whose answer could not have it. Where several processes play the rule, `total` counts for all of them,
    and these three are of this process.
    """

    fault: Fault
    when: When
    fitted: int = 0
    played: int = 0
    unfit: int = 0
    total: "Total | None" = None

    def words(self) -> str:
        """The rule as it is written in a flag."""
        fields = [*written(self.fault, UNSPOKEN), *written(self.when)]
        return ",".join([f"kind={self.fault.kind}", *fields])

    def fires(self, paths: Sequence[str], model: Callable[[], str]) -> bool:
        """Count a request if it is meant; whether the fault is to be played on it."""
        if not self.when.fits(paths, model):
            return False
        self.fitted += 1
        return self.when.hits(self.total("fitted", 1) if self.total else self.fitted)

    def may_play(self) -> bool:
        """Whether the fault may be played once more, which takes it for played where that is shared."""
        if self.when.times is None:
            return True
        return self.total("played", 1) <= self.when.times if self.total else self.played < self.when.times

    def played_once(self, *, fitted: bool) -> None:
        """Count that the fault was played, or that the answer could not have it."""
        self.played += fitted
        self.unfit += not fitted
        if not fitted and self.total and self.when.times is not None:
            self.total("played", -1)


def chosen(rules: Iterable[Rule], paths: Sequence[str], model: Callable[[], str]) -> Rule | None:
    """The first rule that fires and may; all rules count the request."""
    firing = [rule for rule in rules if rule.fires(paths, model)]
    return next((rule for rule in firing if rule.may_play()), None)


def rule_of(fields: Mapping[str, Any]) -> Rule:
    """The rule that these fields describe: those of the fault, and those of `When`."""
    known = When.model_fields
    when = checked(When, {name: value for name, value in fields.items() if name in known}, "a rule")
    return Rule(fault_of({name: value for name, value in fields.items() if name not in known}), when)


def rules_of(value: object) -> list[Rule]:
    """The rules of a file or of the admin API: `faults`, a list of tables or of texts."""
    if not isinstance(value, dict) or not isinstance(value.get("faults"), list):
        raise ValueError("faults: is missing, or no list of rules")
    if other := next((name for name in value if name != "faults"), None):
        raise ValueError(f"{other}: there is no such field; there is faults")
    return [numbered(number, one) for number, one in enumerate(value["faults"], 1)]


def numbered(number: int, value: object) -> Rule:
    """One rule of several; what is wrong with it says which one it is."""
    try:
        if isinstance(value, str):
            return rule_of(fields_of(value))
        if isinstance(value, dict):
            return rule_of({plain(str(name)): item for name, item in value.items()})
        raise ValueError("is no table")
    except ValueError as error:
        raise ValueError(f"rule {number}: {error}") from None


def fault_in(text: str) -> Fault:
    """The fault in a request's header: a rule without conditions, since the request is there."""
    fields = fields_of(text)
    if condition := next((name for name in fields if name in When.model_fields), None):
        raise ValueError(f"{condition}: a request's own fault has no conditions")
    return fault_of(fields)


def fields_of(text: str) -> dict[str, str]:
    """The fields of a rule in text: `kind=cut,event=3`, or `cut; event=3`; values may stand in quotes."""
    fields: dict[str, str] = {}
    for number, item in enumerate(found for raw in ITEM.findall(text) if (found := raw.strip())):
        name, equals, value = item.partition("=")
        if not equals:
            if number:
                raise ValueError(f"{item}: write name=value")
            name, value = "kind", item
        name = plain(name.strip())
        if name in fields:
            raise ValueError(f"{name}: stands there twice")
        fields[name] = value.strip().removeprefix('"').removesuffix('"')
    return fields


def plain(name: str) -> str:
    """The name of a field as models have it: `retry-after` is `retry_after`."""
    return name.replace("-", "_")
