"""Keeping what a validation found in the recording itself.

The law of this file: one transaction a run, and nothing but places and names: no text of a prompt or
an answer reaches these tables (`harness.validate.finding`).
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.core.errors import BadInput, NotRecorded
from harness.store.appender import BUSY_S, cannot_be_written, check_appendable, immediate, opened, settle
from harness.store.rows import insert

VIOLATION = """
INSERT INTO violations (run_id, exchange_id, event_seq, rule, kind, severity, part, pointer, message)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

type Violation = tuple[int, int | None, str, str, str, str, str, str]
"""A row of `violations` without its run: exchange_id, event_seq (from 0), rule, kind, severity, part,
pointer, message."""


@dataclass(frozen=True, slots=True)
class ValidationRun:
    """A row of `validation_runs` without its id. `overlay` None: chosen for each exchange."""

    started_at: str
    harness_version: str
    profile: str
    overlay: str | None
    exchanges: int
    not_checked: int
    errors: int
    warnings: int
    drift: int


def save_run(path: Path, run: ValidationRun, violations: Iterable[Violation]) -> int:
    """Store a run with its violations, all of it or nothing; a file of an older format is migrated.

    Returns the run's id. Close every reader of the file in this process before (`store.snapshot`).
    Raises BadInput where the file cannot be written, NotRecorded where writing fails later.
    """
    check_appendable(path)
    try:
        connection = opened(path, BUSY_S)
    except (OSError, sqlite3.Error) as error:
        raise BadInput(f"{path} {cannot_be_written(error)}") from None
    with closing(connection):
        try:
            with immediate(connection):
                number = inserted(connection, run, violations)
        except sqlite3.Error as error:
            raise NotRecorded(f"{path} {cannot_be_written(error)}") from error
        finally:
            settle(connection)
    return number


def inserted(connection: sqlite3.Connection, run: ValidationRun, violations: Iterable[Violation]) -> int:
    """Insert a run and its violations; returns the run's id."""
    row = asdict(run)
    number = connection.execute(insert("validation_runs", row), row).lastrowid
    assert number is not None
    connection.executemany(VIOLATION, ((number, *violation) for violation in violations))
    return number
