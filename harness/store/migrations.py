"""Bringing a database to the newest format, through sqlite-utils (imported only when that is needed)."""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.store.schema import FORMATS, MIGRATION_SET, Formats


@contextmanager
def without(name: str) -> Iterator[None]:
    """Import as if this module were not installed, unless it is there already."""
    modules: dict[str, Any] = sys.modules
    hidden = modules.setdefault(name, None) is None
    try:
        yield
    finally:
        if hidden:
            del modules[name]


# It stores NumPy's types too, and imports that for it: half of its time, at every start of a command.
with without("numpy"):
    from sqlite_utils import Database, Migrations


def migrations_of(formats: Formats) -> Migrations:
    """The formats as a migration set of sqlite-utils."""
    migrations = Migrations(MIGRATION_SET)
    for name, statements in formats.items():
        migrations(name=name)(applying(statements))
    return migrations


def applying(statements: tuple[str, ...]) -> Callable[[Database], None]:
    """A migration that executes these statements."""

    def migration(db: Database) -> None:
        for statement in statements:
            db.execute(statement.strip())

    return migration


def migrate(connection: sqlite3.Connection, formats: Formats = FORMATS) -> None:
    """Apply what is missing; inside a transaction of the caller, all of it becomes part of that."""
    migrations_of(formats).apply(Database(connection, execute_plugins=False))
