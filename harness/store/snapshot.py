"""Reading a database without changing a byte of its folder.

The law of this file: a database at rest is read where it lies. One with a write-ahead log (a live
recorder's, or a killed one's), a rollback journal or an older format is copied to a temporary
folder, brought into shape there, and removed at the end; SQLite itself would write beside it.

A copy made without locks is consistent because of what a write-ahead log is
(https://www.sqlite.org/fileformat.html#walformat): pages of the database change only by a checkpoint,
which takes them from the log. A log copied after the database holds each such page again, unless the
log was restarted meanwhile, and then the salts in its header differ. Its unfinished end is ignored
by its checksums.

Opening and closing a file drops this process's POSIX locks on it (https://www.sqlite.org/howtocorrupt.html,
2.2): read a recording in another process than the one that writes it.
"""

import shutil
import sqlite3
import tempfile
from pathlib import Path

from harness import __version__
from harness.core.errors import BadInput
from harness.store.place import beside
from harness.store.schema import APPLICATION_ID, FORMATS, MIGRATION_SET, Formats

MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
WAL_HEADER_BYTES = 32
WAL_FORMAT = 2
"""Value of the "file format read version" (offset 19) of a database in WAL mode."""
ATTEMPTS = 100
"""Copies that may turn out torn: each needs a recorder that restarts its log within the copying."""

type State = tuple[bytes, int, int]


class Snapshot:
    """A connection for reading, and the temporary folder behind it if there is one."""

    def __init__(self, path: Path, formats: Formats = FORMATS) -> None:
        """Raises BadInput: no database, no recording, damaged, or a newer format than `formats`."""
        self._path, self._formats = path, formats
        self._file = path.resolve()  # SQLite keeps the log beside what a symbolic link points to
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        try:
            self.connection = self._in_place() or self._from_copy()
        except (sqlite3.Error, OSError) as error:
            self._remove()
            raise BadInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        except BaseException:
            self._remove()
            raise
        self.connection.row_factory = sqlite3.Row

    def close(self) -> None:
        """Close the connection; remove the copy."""
        self.connection.close()
        self._remove()

    @property
    def file(self) -> Path:
        """The file that is read: the recording's own, or the temporary copy."""
        return Path(self.connection.execute("PRAGMA database_list").fetchone()["file"])

    @property
    def copied(self) -> bool:
        """Whether a temporary copy is read."""
        return self._folder is not None

    def _in_place(self) -> sqlite3.Connection | None:
        """A connection to the file itself; None where only a copy will do."""
        check_header(self._file, self._path)
        if needs_copy(self._file):
            return None
        connection = sqlite3.connect(f"{self._file.as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            if not pending(connection, self._path, self._formats):
                return connection
        except sqlite3.OperationalError:  # a rollback journal that SQLite would have to play back
            pass
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def _from_copy(self) -> sqlite3.Connection:
        """A connection to a temporary copy in the newest format."""
        self._folder = tempfile.TemporaryDirectory(prefix="harness-")
        target = Path(self._folder.name) / self._file.name
        copy_database(self._file, target)
        connection = sqlite3.connect(target, isolation_level=None)
        try:
            if pending(connection, self._path, self._formats):
                from harness.store.migrations import migrate  # noqa: PLC0415  imports sqlite-utils

                migrate(connection, self._formats)
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _remove(self) -> None:
        if self._folder:
            self._folder.cleanup()


def check_header(file: Path, path: Path) -> None:
    """Raise BadInput, naming `path`, unless the file begins as an SQLite database that harness made."""
    with file.open("rb") as opened:
        header = opened.read(HEADER_BYTES)
    if not header.startswith(MAGIC) or len(header) < HEADER_BYTES:
        raise BadInput(f"{path} is no recording: it is no SQLite database")
    if int.from_bytes(header[68:72]) != APPLICATION_ID:
        raise BadInput(f"{path} is an SQLite database, but no recording of harness")


def needs_copy(path: Path) -> bool:
    """Whether SQLite would have to write, or to trust a log, in order to read this database."""
    with path.open("rb") as file:
        return file.read(HEADER_BYTES)[19] == WAL_FORMAT or beside(path, "-wal").exists()


def copy_database(source: Path, target: Path) -> None:
    """Copy a database with its log or journal, consistent though a recorder may write meanwhile."""
    for _ in range(ATTEMPTS):
        before = state_of(source)
        for suffix in ("", "-wal", "-journal"):
            copy_or_remove(beside(source, suffix), beside(target, suffix))
        if state_of(source) == before:
            return
    raise BadInput(f"{source} changes too fast to be read: try again")


def copy_or_remove(source: Path, target: Path) -> None:
    """Copy a file; where there is none, there is none afterwards."""
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        target.unlink(missing_ok=True)


def state_of(path: Path) -> State:
    """What stays the same while a copy can be trusted: the log's header, or the database's own state."""
    try:
        with beside(path, "-wal").open("rb") as log:
            header = log.read(WAL_HEADER_BYTES)
    except FileNotFoundError:
        header = b""
    stat = path.stat()
    return header, *((0, 0) if header else (stat.st_mtime_ns, stat.st_size))


def pending(connection: sqlite3.Connection, path: Path, formats: Formats) -> bool:
    """Whether migrations are missing. Raises BadInput where the file has one that we do not know."""
    applied = applied_formats(connection)
    unknown = [name for name in applied if name not in formats]
    if unknown:
        newest = list(formats)[-1]
        raise BadInput(
            f"{path} has the newer format {unknown[-1]}; harness {__version__} reads up to {newest}: "
            "update harness"
        )
    return len(applied) < len(formats)


def applied_formats(connection: sqlite3.Connection) -> list[str]:
    """Names of the migrations that were applied; read without sqlite-utils, whose import takes long."""
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = '_sqlite_migrations'").fetchone()
    if not found:
        return []
    rows = connection.execute(
        "SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY id", [MIGRATION_SET]
    )
    return [name for (name,) in rows]
