"""Appending to a recording: opened in the newest format, written in transactions, left as one file.

The law of this file: what is written together is there together or not at all, and whatever goes wrong
becomes one line for people. What is appended is the business of those who append: exchanges (`writer`),
load runs (`load_runs`), GPU logs (`gpu_log`), findings (`violations`).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from harness.core.errors import BadInput, NotRecorded
from harness.store.rows import Row, insert
from harness.store.schema import APPLICATION_ID, FORMATS
from harness.store.snapshot import Snapshot, pending

BUSY_S = 10.0
"""How long one writer waits for another, or for a reader of a database at rest."""

PRIMARY = 0xFF
"""The part of an SQLite error code that is the same for all its extended forms."""


class Appender:
    """Appends to a recording, which is created with its parent folders if there is none.

    Raises BadInput, and changes nothing, where the file is no recording, a newer one, or cannot be
    written; NotRecorded where writing fails later. Use it in one thread; a context manager.
    """

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        self.path = path
        check_appendable(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = opened(path, busy_s)
        except (OSError, sqlite3.Error) as error:
            raise BadInput(f"{path} {cannot_be_written(error)}") from None

    def close(self) -> None:
        """Leave one file without log where no other program has it open."""
        try:
            settle(self._connection)
        finally:
            self._connection.close()

    def _inserted(self, table: str, row: Row) -> int:
        number = self._connection.execute(insert(table, row), row).lastrowid
        assert number is not None
        return number

    def wait_at_most(self, seconds: float) -> None:
        """From now on, wait so long for another writer."""
        self._connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with immediate(self._connection):
                yield
        except sqlite3.Error as error:
            raise NotRecorded(f"{self.path} {cannot_be_written(error)}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_appendable(path: Path) -> None:
    """Raise BadInput where there is something that is no recording, or a newer one; change nothing."""
    try:
        if path.stat().st_size:
            Snapshot(path).close()
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None


def cannot_be_written(error: OSError | sqlite3.Error) -> str:
    """Why a file cannot be written, for people."""
    if is_busy(error):
        return "is in use by another program: close that first, or record to another file"
    return f"cannot be written: {getattr(error, 'strerror', None) or error}"


def is_busy(error: BaseException | None) -> bool:
    """Whether another program holds the file, which may pass."""
    code = getattr(error, "sqlite_errorcode", 0) & PRIMARY
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def opened(path: Path, busy_s: float) -> sqlite3.Connection:
    """A connection for appending to a recording in the newest format.

    The tables are made before the log is switched on, so that the application id stands in the file
    itself from its first commit on.
    """
    connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        with immediate(connection):
            if pending(connection, path, FORMATS):
                from harness.store.migrations import migrate  # noqa: PLC0415  imports sqlite-utils

                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                migrate(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction with the right to write from its start: it never fails half way for another's."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise


def settle(connection: sqlite3.Connection) -> None:
    """Move the log into the database and switch it off; while others have the file open, leave it to them."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError:
        return
