"""Load runs in a recording: appended to while they go on, completed when they end, read back.

The law of this file: what arrives together is stored together (a transaction a batch), so that a
killed run leaves all that it had been given; a run's row says `ended_at` only once it was completed.
Rows are mappings from the columns of `harness.store.schema` to values; what is JSON in a column is
the value itself here. Nothing of prompts and answers reaches these tables.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput
from harness.store.appender import BUSY_S, Appender
from harness.store.capture import now
from harness.store.rows import Row
from harness.store.snapshot import Snapshot

RUN_JSON = ("plan", "versions", "clock", "reasons", "checks", "slos", "null_test", "figures")
JSON_COLUMNS = frozenset((*RUN_JSON, "icl", "violations", "cores"))
EVENT = "INSERT INTO load_events (request_id, seq, offset_ns, content) VALUES (?, ?, ?, ?)"

type Offsets = Iterable[tuple[int, bool]]
"""Of each event: ns from the request's sending, and whether it carried content."""


@dataclass(frozen=True, slots=True)
class LoadRun:
    """A row of `load_runs` as a run begins; `started_at` is RFC 3339 with a `Z`, the others as there."""

    started_at: str
    target: str
    loop: str
    workers: int
    host: str
    plan: Mapping[str, Any]
    clock: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    concurrency: int | None = None
    rate: float | None = None
    name: str | None = None
    sweep: str | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What a run's row gets when it ends: `verdict` is valid or invalid, the others as in `load_runs`."""

    verdict: str
    sent: int
    recorded: int
    figures: Mapping[str, Any]
    reasons: tuple[str, ...] = ()
    checks: tuple[Mapping[str, Any], ...] = ()
    slos: tuple[Mapping[str, Any], ...] = ()
    null_test: Mapping[str, Any] | None = None


class LoadWriter(Appender):
    """Appends runs with their requests, workers and samples. `run_id`: the one that was started last."""

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        super().__init__(path, busy_s)
        self.run_id = 0

    def start(self, run: LoadRun) -> int:
        """Note that a run begins; what is added from now on belongs to it. Returns its id."""
        with self._transaction():
            self.run_id = self._inserted("load_runs", asdict(run))
        return self.run_id

    def add_requests(self, requests: Iterable[tuple[Row, Offsets]]) -> None:
        """Store results with their events (none where they were not kept)."""
        with self._transaction():
            for row, offsets in requests:
                number = self._inserted("load_requests", {"run_id": self.run_id} | row)
                events = ((number, seq, *event) for seq, event in enumerate(offsets))
                self._connection.executemany(EVENT, events)

    def add_samples(self, samples: Iterable[Row]) -> None:
        """Store samples of a host."""
        with self._transaction():
            for row in samples:
                self._inserted("host_samples", {"run_id": self.run_id} | row)

    def complete(self, completion: Completion, workers: Iterable[Row]) -> None:
        """End the run: its verdict and figures, and what is known of its workers."""
        row = encoded({"ended_at": now()} | asdict(completion))
        columns = ", ".join(f"{name} = :{name}" for name in row)
        with self._transaction():
            for worker in workers:
                self._inserted("load_workers", {"run_id": self.run_id} | worker)
            self._connection.execute(
                f"UPDATE load_runs SET {columns} WHERE id = :id",  # noqa: S608  names of ours
                row | {"id": self.run_id},
            )

    def _inserted(self, table: str, row: Row) -> int:
        return super()._inserted(table, encoded(row))


def load_runs(path: Path) -> list[Row]:
    """All runs of a recording, with their ids, as they began. BadInput: no recording, or damaged."""
    return list(rows_of(path, "SELECT * FROM load_runs ORDER BY id"))


def load_run(path: Path, run_id: int | None = None) -> Row:
    """One run, the last one where none is named; BadInput if there is none."""
    runs = load_runs(path)
    found = [run for run in runs if run_id in (None, run["id"])]
    if not found:
        known = f"it holds {', '.join(str(run['id']) for run in runs)}" if runs else "it holds no load run"
        raise BadInput(f"{path} has no load run{'' if run_id is None else f' {run_id}'}: {known}")
    return found[-1]


def load_workers(path: Path, run_id: int) -> list[Row]:
    """The workers of a run."""
    return list(rows_of(path, "SELECT * FROM load_workers WHERE run_id = ? ORDER BY worker", run_id))


def host_samples(path: Path, run_id: int) -> list[Row]:
    """The samples of a run's hosts, in the order of time."""
    return list(rows_of(path, "SELECT * FROM host_samples WHERE run_id = ? ORDER BY at_ns", run_id))


def load_requests(path: Path, run_id: int) -> Iterator[Row]:
    """The requests of a run as they were sent, one in memory at a time; `offsets` are their events.

    `offsets` is a list of (offset_ns, content), empty where events were not kept.
    """
    events = "SELECT offset_ns, content FROM load_events WHERE request_id = ? ORDER BY seq"
    with reading(path) as connection:
        found = connection.execute(
            "SELECT * FROM load_requests WHERE run_id = ? ORDER BY sent_ns, id", [run_id]
        )
        for row in found:
            offsets = connection.execute(events, [row["id"]]).fetchall()
            yield decoded(row) | {"offsets": [(offset_ns, bool(content)) for offset_ns, content in offsets]}


def rows_of(path: Path, statement: str, *values: Any) -> Iterator[Row]:
    """The rows that a statement finds, read without changing the file."""
    with reading(path) as connection:
        yield from map(decoded, connection.execute(statement, values))


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for reading; damage that shows is told as one line."""
    if not path.exists():
        raise BadInput(f"{path} does not exist: is the path right?")
    with closing(Snapshot(path)) as snapshot:
        try:
            yield snapshot.connection
        except (sqlite3.Error, ValueError) as error:
            raise BadInput(f"{path} is damaged: {error}") from None


def encoded(row: Row) -> Row:
    """A row with its JSON columns as text."""
    return {name: json.dumps(value) if is_json(name, value) else value for name, value in row.items()}


def decoded(row: sqlite3.Row) -> Row:
    """A row with the values of its JSON columns."""
    values = dict(row)
    return {name: json.loads(value) if is_json(name, value) else value for name, value in values.items()}


def is_json(name: str, value: Any) -> bool:
    """Whether a column holds JSON; null stays null."""
    return name in JSON_COLUMNS and value is not None
