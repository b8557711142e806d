"""Formats are applied in order, each once, as a whole or not at all."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from harness.store.migrations import migrate
from harness.store.schema import Formats
from harness.store.snapshot import applied_formats

FIRST: Formats = {"m0001_first": ("CREATE TABLE one (a INTEGER) STRICT",)}
BOTH: Formats = {**FIRST, "m0002_second": ("ALTER TABLE one ADD COLUMN b TEXT", "CREATE TABLE two (c)")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be made."""
    return tmp_path / "a.db"


def test_what_is_missing_is_applied_once(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert applied_formats(connection) == []
        migrate(connection, FIRST)
        assert applied_formats(connection) == ["m0001_first"]
        connection.execute("INSERT INTO one VALUES (7)")
        migrate(connection, BOTH)
        migrate(connection, BOTH)
        assert applied_formats(connection) == ["m0001_first", "m0002_second"]
        assert connection.execute("SELECT a, b FROM one").fetchall() == [(7, None)]


def test_a_migration_that_fails_leaves_nothing_of_itself(path: Path) -> None:
    damaged: Formats = {**FIRST, "m0002_bad": ("CREATE TABLE two (c)", "CREATE TABLE one (a)")}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            migrate(connection, damaged)
        assert applied_formats(connection) == ["m0001_first"]
        assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'two'").fetchall() == []
