"""Whether a database that is being written is still where its path says.

SQLite goes on writing into a file that was removed or replaced, and what it writes is then nobody's.
"""

from pathlib import Path
from typing import Self

SUFFIXES = ("", "-wal")
"""The files that hold what is stored: the database, and its write-ahead log while it is written."""

type Identity = tuple[int, int] | None
"""Device and inode of a file; None: there is none."""


class Place:
    """What stands at a path, by identity: take it once the database has been written to."""

    def __init__(self, path: Path, found: dict[str, Identity]) -> None:
        self.path = path
        self.found = found

    @classmethod
    def of(cls, path: Path) -> Self:
        """The files of the database at this path."""
        resolved = path.resolve()  # SQLite keeps the log beside what a symbolic link points to
        return cls(resolved, {suffix: identity(beside(resolved, suffix)) for suffix in SUFFIXES})

    def holds(self) -> bool:
        """Whether the same files still stand there."""
        return all(identity(beside(self.path, suffix)) == then for suffix, then in self.found.items())

    def clear(self) -> None:
        """Remove the log that a removed database has left: SQLite would take it for the next one's."""
        log = beside(self.path, "-wal")
        if self.found["-wal"] and identity(log) == self.found["-wal"]:
            log.unlink(missing_ok=True)
            beside(self.path, "-shm").unlink(missing_ok=True)


def beside(path: Path, suffix: str) -> Path:
    """The file that SQLite keeps beside a database."""
    return path.with_name(path.name + suffix)


def identity(path: Path) -> Identity:
    """What tells a file from every other one that exists now."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
