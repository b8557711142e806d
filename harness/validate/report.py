"""Findings of a recording put together, so that a person sees what matters first.

The law of this file: memory grows with the number of different findings and never with the number of
exchanges or events; beyond `GROUPS` of them, the rest of a rule is one group. Nothing is kept of an
exchange but its id and where a finding is.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from harness.core.exchange import Exchange
from harness.validate.finding import SEVERITIES, Finding, Kind, Part, Profile, Severity
from harness.validate.place import endpoint_of, general, host_of, shown

GROUPS = 10_000
ENDPOINTS = 1_000
ELSEWHERE = "(elsewhere)"
"""The pointer or endpoint of what came after those that are told one by one."""

ORDER = {severity: place for place, severity in enumerate(Severity)}
"""Severity -> its place in a report, errors first."""


class Verdict(StrEnum):
    """What a validation comes to."""

    PASSED = "passed"
    FAILED = "failed"


class Call(NamedTuple):
    """Whom an exchange spoke to, and what it asked for."""

    host: str
    endpoint: str


class Key(NamedTuple):
    """What the findings of a group share. `pointer` has `*` for the elements of lists."""

    call: Call
    rule: str
    kind: Kind
    part: Part
    pointer: str
    message: str


class Example(NamedTuple):
    """The place of one finding. `exchange` is an id, `event` a number from 1 (None: in no event)."""

    exchange: int
    event: int | None
    pointer: str


@dataclass(slots=True)
class Group:
    """Findings of one kind at one place: in how many exchanges, how many times, and the first of them."""

    key: Key
    severity: Severity
    example: Example
    exchanges: int = 0
    times: int = 0
    last: int = 0


class Told(NamedTuple):
    """A finding with what it means under the profile."""

    finding: Finding
    severity: Severity


def rank(group: Group) -> tuple[Any, ...]:
    """What groups are sorted by."""
    frequency = (-group.exchanges, -group.times)
    often = reversed(frequency) if group.severity is Severity.DRIFT else frequency
    return ORDER[group.severity], *often, group.key


class Report:
    """What was found in the exchanges so far, under one profile.

    - `exchanges`, `events`: how many were looked at; `not_checked`: those whose endpoint has no schema.
    - `calls`: exchanges by host and endpoint.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.exchanges = self.events = self.not_checked = self._ignored = 0
        self.calls: Counter[Call] = Counter()
        self._severities = {kind: SEVERITIES[kind][profile] for kind in Kind}
        self._groups: dict[tuple[Call, str, Kind, Part, str, str], Group] = {}  # of `Key`s

    def add(
        self, exchange: Exchange, findings: Iterable[Finding], *, events: int = 0, checked: bool = True
    ) -> None:
        """Count an exchange and its findings."""
        self.exchanges += 1
        self.events += events
        self.not_checked += not checked
        call = self._call(exchange)
        for finding in findings:
            if self._severities[finding.kind] is Severity.IGNORED:
                self._ignored += 1
            else:
                self._count(call, finding, exchange.id)

    def told(self, findings: Iterable[Finding]) -> Iterator[Told]:
        """The findings that are told under the profile."""
        for finding in findings:
            severity = self._severities[finding.kind]
            if severity is not Severity.IGNORED:
                yield Told(finding, severity)

    def counts(self) -> Counter[Severity]:
        """Findings by severity, ignored ones included."""
        found = Counter({Severity.IGNORED: self._ignored})
        for group in self._groups.values():
            found[group.severity] += group.times
        return found

    @property
    def verdict(self) -> Verdict:
        """Errors fail a validation, and nothing else does."""
        return Verdict.FAILED if self.counts()[Severity.ERROR] else Verdict.PASSED

    def groups(self) -> list[Group]:
        """All groups: errors first; those in most exchanges first, of drift the most frequent ones."""
        return sorted(self._groups.values(), key=rank)

    def _call(self, exchange: Exchange) -> Call:
        call = Call(host_of(exchange.request.url), endpoint_of(exchange.request))
        if call not in self.calls and len(self.calls) >= ENDPOINTS:
            call = Call("", ELSEWHERE)
        self.calls[call] += 1
        return call

    def _count(self, call: Call, finding: Finding, exchange_id: int) -> None:
        pointer = general(finding.pointer)
        key = (call, finding.rule, finding.kind, finding.part, pointer, finding.message)
        group = self._groups.get(key) or self._begun(Key(*key), finding, exchange_id)
        group.times += 1
        if group.last != self.exchanges:
            group.last = self.exchanges
            group.exchanges += 1

    def _begun(self, key: Key, finding: Finding, exchange_id: int) -> Group:
        if len(self._groups) >= GROUPS:
            key = Key(Call("", ELSEWHERE), key.rule, key.kind, key.part, ELSEWHERE, "")
        example = Example(exchange_id, finding.event, shown(finding.pointer))
        return self._groups.setdefault(key, Group(key, self._severities[key.kind], example))
