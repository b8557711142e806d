"""`harness scan`: what secrets are left in recordings."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.output import Column, print_json, print_rows
from harness.cli.progress import progress_bar
from harness.core.visible import counted, visible

if TYPE_CHECKING:
    from harness.core.scan import Leak
    from harness.store.recording import Recording

LISTED = 1000
"""Leaks that are listed; all are counted."""

COLUMNS = [
    Column("file", rank=4, folds=True),
    Column("exchange", right=True),
    Column("place", folds=True, asks=48),
    Column("rule", rank=1, folds=True),
    Column("severity", rank=3),
    Column("excerpt", rank=2, folds=True),
]


@dataclass(slots=True)
class Found:
    """What was found so far."""

    scanned: int = 0
    severities: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, recording: Path, leak: "Leak") -> None:
        """Count a leak, and list it while there is room."""
        self.severities[leak.severity.value] += 1
        self.rules[leak.rule] += 1
        if len(self.rows) < LISTED:
            self.rows.append(row_of(recording, leak))

    def document(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "exchanges": self.scanned,
            "found": self.severities["high"],
            "suspicious": self.severities["low"],
            "rules": dict(self.rules.most_common()),
            "places": self.rows,
        }

    def summary(self) -> str:
        """The closing line."""
        left = sum(self.severities.values()) - len(self.rows)
        more = f"; {left} more are not listed" if left else ""
        low = self.severities["low"]
        suspicious = f" and {counted(low, 'suspicious text')}" if low else ""
        secrets = counted(self.severities["high"], "secret")
        return f"{secrets}{suspicious} in {counted(self.scanned, 'exchange')}{more}"


def scan(
    recordings: Annotated[
        list[Path],
        typer.Argument(help="Recordings (.db) or interchange files (.jsonl).", metavar="RECORDING..."),
    ],
    strict: Annotated[
        bool, typer.Option("--strict", help="Texts that only look random count as well.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> int:
    """Look for secrets that are left in recordings, and say where; never what they are.

    Looked for is all that the recorder masks by default and by the rules of the recording (headers,
    queries, fields, keys of providers, credentials in URLs and texts, also what a stream says piece by
    piece), and the values of this environment's *_API_KEY variables, as they are, percent-encoded and in
    base64. What only looks random is suspicious: severity low. Exit code 1: there are secrets, or with
    --strict suspicious texts.
    """
    found = Found()
    for recording in recordings:
        scan_one(recording, found)
    if as_json:
        print_json(found.document())
    else:
        if found.rows:
            print_rows(COLUMNS, found.rows, as_json=False)
        print(found.summary())
    return int(found.severities["high"] > 0 or (strict and found.severities["low"] > 0))


def scan_one(recording: Path, found: Found) -> None:
    """Scan a recording, one exchange in memory at a time."""
    from harness.store.open import open_recording  # noqa: PLC0415

    with open_recording(recording) as opened, progress_bar(f"scanning {recording.name}") as progress:
        for leak in leaks(opened, found, progress):
            found.add(recording, leak)


def leaks(
    recording: "Recording", found: Found, progress: Callable[[int, int | None], None]
) -> "Iterator[Leak]":
    """What is left in the exchanges of a recording, and in what its captures say of themselves."""
    from harness.core.redaction import Redactor, Rules  # noqa: PLC0415
    from harness.core.run_secrets import RunSecrets, secrets_of  # noqa: PLC0415
    from harness.core.scan import Scanner  # noqa: PLC0415

    rules = Rules.default()
    for own in recording.rules():
        rules |= own
    redactor = Redactor(rules, RunSecrets(secrets_of(os.environ)))
    redactor.learn_all(recording.exchanges())
    scanner = Scanner(redactor)
    for capture in recording.captures():
        for name, url in capture.upstreams.items():
            yield from scanner.text(0, f"capture {capture.id} upstream {name}", url)
    count = recording.count()
    for done, exchange in enumerate(recording.exchanges(), 1):
        yield from scanner.exchange(exchange)
        found.scanned += 1
        progress(done, count)


def row_of(recording: Path, leak: "Leak") -> dict[str, Any]:
    """What the columns show; exchange None: no exchange's."""
    return {
        "file": str(recording),
        "exchange": leak.exchange or None,
        "place": visible(leak.place),
        "rule": leak.rule,
        "severity": leak.severity.value,
        "excerpt": visible(leak.excerpt),
    }
