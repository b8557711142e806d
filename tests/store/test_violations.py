"""Keeping a validation run: all of it or nothing, in files of any known format."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import BadInput, NotRecorded
from harness.core.exchange import Exchange
from harness.store.database import DatabaseRecording
from harness.store.migrations import migrate
from harness.store.schema import APPLICATION_ID, FORMATS
from harness.store.snapshot import applied_formats
from harness.store.violations import ValidationRun, Violation, save_run

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]

RUN = ValidationRun("2026-01-02T03:04:05Z", "1.2", "strict", None, 2, 1, 3, 4, 5)
FOUND: list[Violation] = [
    (1, None, "schema.type", "type", "error", "request", "/a", "string instead of integer"),
    (2, 0, "chat.one-done", "rule", "error", "stream", "", "two"),
]


def rows(path: Path, table: str) -> list[Any]:
    """All rows of a table."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def test_runs_are_kept_one_after_another(write: Write, make_exchange: MakeExchange) -> None:
    path = write(make_exchange(), make_exchange())
    assert save_run(path, RUN, FOUND) == 1
    assert save_run(path, RUN, []) == 2
    assert rows(path, "validation_runs") == [(number, *astuple(RUN)) for number in (1, 2)]
    assert rows(path, "violations") == [(1, *violation) for violation in FOUND]
    assert [found.name for found in path.parent.iterdir()] == ["a.db"]


def test_an_older_file_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    oldest = dict(list(FORMATS.items())[:1])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        migrate(connection, oldest)
    assert save_run(path, RUN, []) == 1
    with closing(sqlite3.connect(path)) as connection:
        assert applied_formats(connection) == list(FORMATS)


def test_a_run_that_fails_half_way_leaves_nothing(write: Write, make_exchange: MakeExchange) -> None:
    path = write(make_exchange())

    def failing() -> Iterator[Violation]:
        yield FOUND[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_run(path, RUN, failing())
    with pytest.raises(NotRecorded, match="FOREIGN KEY"):  # there is no exchange 2
        save_run(path, RUN, FOUND)
    assert rows(path, "validation_runs") == rows(path, "violations") == []
    with DatabaseRecording(path) as recording:
        assert len(list(recording.exchanges())) == 1


def test_a_run_ends_with_its_exchanges(write: Write, make_exchange: MakeExchange) -> None:
    path = write(make_exchange(), make_exchange())
    save_run(path, RUN, FOUND)
    save_run(path, RUN, FOUND)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM exchanges WHERE id = 1")
        connection.execute("DELETE FROM validation_runs WHERE id = 1")
    assert rows(path, "violations") == [(2, *FOUND[1])]


def test_what_is_no_recording_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("my thesis")
    with pytest.raises(BadInput, match="is no recording"):
        save_run(tmp_path / "a.db", RUN, [])
    assert (tmp_path / "a.db").read_text() == "my thesis"
