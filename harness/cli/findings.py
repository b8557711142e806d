"""What a validation found, as tables for people."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.cli.output import Column, print_rows
from harness.core.visible import counted
from harness.validate.finding import Severity

if TYPE_CHECKING:
    from harness.validate.report import Group, Report

COLUMNS = (
    Column("rule"),
    Column("where", folds=True, asks=24),
    Column("exchanges", right=True),
    Column("times", right=True, rank=1),
    Column("example"),
    Column("endpoint", folds=True, asks=28, rank=2),
    Column("pointer", folds=True, asks=24, rank=5),
    Column("what", folds=True, rank=3),
    Column("host", rank=4),
)
DRIFT_COLUMNS = (
    Column("host"),
    Column("endpoint", folds=True, asks=20),
    Column("where", folds=True, asks=24),
    Column("kind", folds=True, asks=20, rank=2),
    Column("times", right=True),
    Column("exchanges", right=True, rank=1),
    Column("example", rank=3),
    Column("pointer", folds=True, asks=24, rank=4),
)
TITLES = {Severity.ERROR: "errors", Severity.WARNING: "warnings", Severity.DRIFT: "drift"}


def print_report(report: "Report") -> None:
    """A table for each severity, what was looked at, and the verdict."""
    for severity, title in TITLES.items():
        columns = DRIFT_COLUMNS if severity is Severity.DRIFT else COLUMNS
        print_groups(title, columns, [group for group in report.groups() if group.severity is severity])
    looked_at = f"{counted(report.exchanges, 'exchange')} with {counted(report.events, 'event')}"
    print(f"{looked_at}{not_checked(report)}")
    print(f"verdict: {report.verdict.value} (profile {report.profile.value}): {told(report.counts())}")


def told(counts: Mapping[Severity, int]) -> str:
    """How many findings there are of each severity."""
    failing = f"{counted(counts[Severity.ERROR], 'error')}, {counted(counts[Severity.WARNING], 'warning')}"
    return f"{failing}, {counts[Severity.DRIFT]} drift, {counts[Severity.IGNORED]} ignored"


def print_groups(title: str, columns: Sequence[Column], groups: Sequence["Group"]) -> None:
    """A table of groups; nothing where there are none."""
    if groups:
        print(f"{title}:")
        print_rows(columns, [row_of(group) for group in groups], as_json=False)
        print()


def not_checked(report: "Report") -> str:
    """What to say of exchanges that no schema is about."""
    few = report.not_checked
    return f", {few} of them not checked: no schema knows their endpoint" if few else ""


def row_of(group: "Group") -> dict[str, Any]:
    """A group as people read it."""
    key, example = group.key, group.example
    _, mark, value = key.message.partition(": ")
    event = "" if example.event is None else f" event {example.event}"
    return {
        "severity": group.severity.value,
        "rule": key.rule,
        "where": f"{key.part.value} {key.pointer}".rstrip(),
        "exchanges": group.exchanges,
        "times": group.times,
        "example": f"{example.exchange}{event}",
        "pointer": example.pointer,
        "endpoint": key.call.endpoint,
        "host": key.call.host,
        "what": key.message,
        "kind": f"{key.kind.value}{mark}{value}",
    }
