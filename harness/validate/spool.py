"""Findings on their way into a recording, which must not be written to while it is read.

They wait in a temporary file, so memory stays flat; it holds places and names, and no text.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator
from typing import Self

from harness.store.violations import Violation
from harness.validate.place import shown
from harness.validate.report import Told


class Spool:
    """A temporary file of findings, removed at the end; a context manager."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  closed by `__exit__`

    def add(self, exchange_id: int, told: Iterable[Told]) -> None:
        """Put in the findings of an exchange."""
        for one in told:
            self._file.write(json.dumps(violation(exchange_id, one)) + "\n")

    def violations(self) -> Iterator[Violation]:
        """All that was put in, in its order."""
        self._file.seek(0)
        for line in self._file:
            exchange_id, event_seq, *texts = json.loads(line)
            yield exchange_id, event_seq, *texts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def violation(exchange_id: int, told: Told) -> Violation:
    """The row of a finding. Events are numbered from 1 for people, and from 0 in the table `events`."""
    finding = told.finding
    return (
        exchange_id,
        None if finding.event is None else finding.event - 1,
        finding.rule,
        finding.kind.value,
        told.severity.value,
        finding.part.value,
        shown(finding.pointer),
        finding.message,
    )
