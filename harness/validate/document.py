"""What `harness validate --json` prints."""

from typing import Self

from harness.core.document import Document
from harness.validate.baseline import Change, Difference, Tally
from harness.validate.finding import Kind, Part, Profile, Severity
from harness.validate.outline import Outline
from harness.validate.report import Group, Report, Verdict


class ExampleDocument(Document):
    """Where one finding is: id of the exchange, number of the event from 1, JSON pointer."""

    exchange: int
    event: int | None
    pointer: str


class GroupDocument(Document):
    """Findings of one kind at one place; `pointer` has `*` for the elements of lists."""

    severity: Severity
    rule: str
    kind: Kind
    part: Part
    pointer: str
    message: str
    host: str
    endpoint: str
    exchanges: int
    times: int
    example: ExampleDocument

    @classmethod
    def of(cls, group: Group) -> Self:
        """A group of a report."""
        key, example = group.key, ExampleDocument(**group.example._asdict())
        return cls(
            severity=group.severity,
            rule=key.rule,
            kind=key.kind,
            part=key.part,
            pointer=key.pointer,
            message=key.message,
            host=key.call.host,
            endpoint=key.call.endpoint,
            exchanges=group.exchanges,
            times=group.times,
            example=example,
        )


class CountsDocument(Document):
    """Findings by severity."""

    errors: int
    warnings: int
    drift: int
    ignored: int


class ReportDocument(Document):
    """A whole report; `groups` are in the order of the tables. `overlay` None: chosen for each exchange."""

    recording: str
    profile: Profile
    overlay: str | None
    verdict: Verdict
    exchanges: int
    not_checked: int
    events: int
    counts: CountsDocument
    groups: tuple[GroupDocument, ...]

    @classmethod
    def of(cls, report: Report, recording: str, overlay: str | None) -> Self:
        """The report of a recording."""
        counts = report.counts()
        return cls(
            recording=recording,
            profile=report.profile,
            overlay=overlay,
            verdict=report.verdict,
            exchanges=report.exchanges,
            not_checked=report.not_checked,
            events=report.events,
            counts=CountsDocument(
                errors=counts[Severity.ERROR],
                warnings=counts[Severity.WARNING],
                drift=counts[Severity.DRIFT],
                ignored=counts[Severity.IGNORED],
            ),
            groups=tuple(GroupDocument.of(group) for group in report.groups()),
        )


class TallyDocument(Document):
    """In how many messages of how many something was seen, and with which JSON types."""

    seen: int
    of: int
    types: tuple[str, ...]


class DifferenceDocument(Document):
    """What differs at one place. `breaks`: programs may depend on how it was."""

    change: Change
    breaks: bool
    endpoint: str
    part: str
    where: str
    before: TallyDocument
    now: TallyDocument


class SideDocument(Document):
    """One of the two recordings."""

    recording: str
    exchanges: int


class ComparisonDocument(Document):
    """How two recordings differ in shape."""

    before: SideDocument
    now: SideDocument
    verdict: str
    differences: tuple[DifferenceDocument, ...]


def side(recording: str, outline: Outline) -> SideDocument:
    """One side of a comparison."""
    return SideDocument(recording=recording, exchanges=outline.exchanges)


def difference(one: Difference) -> DifferenceDocument:
    """A difference with all that is known of it."""
    return DifferenceDocument(
        change=one.change,
        breaks=one.breaks,
        endpoint=one.place.endpoint,
        part=one.place.part,
        where=one.place.where,
        before=tally(one.before),
        now=tally(one.now),
    )


def tally(counted: Tally) -> TallyDocument:
    """One side of a difference."""
    return TallyDocument(seen=counted.seen, of=counted.of, types=tuple(counted.types))
