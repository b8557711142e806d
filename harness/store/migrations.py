"""Bringing a database to the newest format, through sqlite-utils (imported only when that is needed)."""

import sqlite3
from collections.abc import Callable

from sqlite_utils import Database, Migrations

from harness.store.schema import FORMATS, MIGRATION_SET, Formats


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
