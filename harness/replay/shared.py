"""What several processes of a server count together: repeats, rules of faults, limits.

The law of this file: a count takes some 10 µs, and whoever waits for another waits in the kernel, never by
asking again and again, since streams are played by the same thread. So an SQLite file in memory holds the
counts, and a lock that the kernel takes back from a process that dies stands before it. Sessions and keys
are digests there. The file has no name any more once all processes have opened it.
"""

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO

from harness.core.limits import Bucket, Limiter, Standing

if sys.platform != "win32":
    import fcntl

IN_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of ours is made in it
TABLES = """
CREATE TABLE cursors (session BLOB, key BLOB, count INTEGER, PRIMARY KEY (session, key))
    STRICT, WITHOUT ROWID;
CREATE TABLE counts (name TEXT PRIMARY KEY, count INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE buckets (key BLOB, name TEXT, level TEXT, at_ns INTEGER, PRIMARY KEY (key, name))
    STRICT, WITHOUT ROWID;
"""
ADVANCE = """
INSERT INTO cursors VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET count = count + 1 RETURNING count - 1
"""
ADD = """
INSERT INTO counts VALUES (?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count RETURNING count
"""


class Shared:
    """Counts that are shared by the processes that are forked after this was made (the protocol `Cursors`).

    Each of them calls `open` once; then the files may be forgotten.
    """

    def __init__(self) -> None:
        place = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
        self.folder = tempfile.mkdtemp(prefix="harness-", dir=place)
        self.file = Path(self.folder) / "counts.db"
        self.lock: IO[bytes] = (Path(self.folder) / "lock").open("wb")
        self.open()
        self.connection.executescript(TABLES)
        self.connection.close()  # a connection must not be carried over a fork

    def open(self) -> None:
        """Open the counts in this process."""
        self.connection = sqlite3.connect(self.file, isolation_level=None)
        with self.alone() as counts:
            for pragma in ("journal_mode = OFF", "synchronous = OFF"):  # nothing here outlives the server
                counts.execute(f"PRAGMA {pragma}")

    def forget_files(self) -> None:
        """Take the names of the files away: what is open stays so."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """The counts while no other process has them."""
        fcntl.lockf(self.lock, fcntl.LOCK_EX)
        try:
            yield self.connection
        finally:
            fcntl.lockf(self.lock, fcntl.LOCK_UN)

    def advance(self, session: str, key: str) -> int:
        """How often this session asked this before; counts it."""
        with self.alone() as counts:
            [(before,)] = counts.execute(ADVANCE, (digest(session), digest(key))).fetchall()
        return int(before)

    def reset(self, session: str | None = None) -> None:
        """Begin repeats again: one session's, or all."""
        with self.alone() as counts:
            if session is None:
                counts.execute("DELETE FROM cursors")
            else:
                counts.execute("DELETE FROM cursors WHERE session = ?", (digest(session),))

    def reset_limits(self) -> None:
        """No limit was used yet."""
        with self.alone() as counts:
            counts.execute("DELETE FROM buckets")

    def add(self, name: str, amount: int) -> int:
        """Add to a count; the sum."""
        with self.alone() as counts:
            [(total,)] = counts.execute(ADD, (name, amount)).fetchall()
        return int(total)

    def limiter(self, requests: int | None, tokens: int | None) -> "SharedLimiter":
        """Limits that are shared."""
        return SharedLimiter(self, Limiter(requests, tokens))


class SharedLimiter:
    """A limiter whose buckets are taken out of the counts for as long as one is looked at."""

    def __init__(self, shared: Shared, limiter: Limiter) -> None:
        self.shared = shared
        self.limiter = limiter

    def admit(self, key: bytes | None, now_ns: int) -> Standing | None:
        """Let a request in and count it; else the limit that keeps it out for the longest time."""
        with self.buckets(key):
            return self.limiter.admit(key, now_ns)

    def charge(self, key: bytes | None, tokens: int, now_ns: int) -> None:
        """Take the tokens of an answer."""
        with self.buckets(key):
            self.limiter.charge(key, tokens, now_ns)

    def standing(self, key: bytes | None, now_ns: int) -> list[Standing]:
        """What is left of each limit."""
        with self.buckets(key):
            return self.limiter.standing(key, now_ns)

    def reset(self) -> None:
        """Nobody used anything of theirs yet."""
        self.shared.reset_limits()

    @contextmanager
    def buckets(self, key: bytes | None) -> Iterator[None]:
        """Have the buckets of a key in the limiter."""
        name, limits = key or b"", {"requests": self.limiter.requests, "tokens": self.limiter.tokens}
        with self.shared.alone() as counts:
            rows = counts.execute("SELECT name, level, at_ns FROM buckets WHERE key = ?", (name,)).fetchall()
            if rows:
                self.limiter.buckets[key] = {
                    what: bucket_of(limits[what] or 0, int(level), at_ns) for what, level, at_ns in rows
                }
            yield
            made = self.limiter.buckets.pop(key)
            counts.executemany(
                "INSERT OR REPLACE INTO buckets VALUES (?, ?, ?, ?)",
                [(name, what, str(one.level), one.at_ns) for what, one in made.items()],
            )


def bucket_of(limit: int, level: int, at_ns: int) -> Bucket:
    """A bucket as it was left."""
    bucket = Bucket(limit, at_ns)
    bucket.level = level
    return bucket


def digest(text: str) -> bytes:
    """What is kept of a session or a key."""
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
