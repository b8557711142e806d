"""Findings wait in a file, as rows of the table."""

from collections.abc import Callable

from harness.validate.finding import Finding, Kind, Part, Severity
from harness.validate.report import Told
from harness.validate.spool import Spool

type MakeFinding = Callable[..., Finding]


def test_rows_come_out_as_they_went_in(finding: MakeFinding) -> None:
    first = finding(event=1, pointer="/a/0/tell me")
    second = finding(Kind.SOFT_RULE, "chat.one-done", part=Part.STREAM, message="é\n\ud800")
    with Spool() as spool:
        spool.add(7, [Told(first, Severity.ERROR)])
        spool.add(8, [])
        spool.add(9, [Told(second, Severity.WARNING)])
        expected = [
            (7, 0, "schema.type", "type", "error", "event", "/a/0/*", "null instead of string"),
            (9, None, "chat.one-done", "soft rule", "warning", "stream", "", "é\n\ud800"),
        ]
        assert list(spool.violations()) == expected
        assert list(spool.violations()) == expected
