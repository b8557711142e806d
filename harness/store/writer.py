"""Writing a recording: append exchanges, leave one file that can be committed.

The law of this file: one transaction an exchange, so that a reader sees all of it or nothing, and a
killed writer loses only what it had not been given yet. Several writers may append to one file.
Times are the caller's; the wall clock is read only to note when a capture ended.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

from harness import __version__
from harness.core.derive import Derived, derive
from harness.core.errors import NotRecorded
from harness.core.exchange import Exchange
from harness.core.masks import Tally
from harness.core.redaction import Redactor
from harness.store.appender import BUSY_S, Appender, cannot_be_written, opened, settle
from harness.store.capture import Capture, now
from harness.store.place import Place
from harness.store.rows import capture_row, event_rows, exchange_row

CHUNK = "INSERT INTO chunks (exchange_id, seq, offset_ns, data) VALUES (?, ?, ?, ?)"
UPSTREAM = "UPDATE captures SET upstreams = json_patch(upstreams, json_object(?, ?)) WHERE id = ?"
EVENT = "INSERT INTO events (exchange_id, seq, offset_ns, name, data) VALUES (?, ?, ?, ?, ?)"

MASKED = "UPDATE captures SET masked = ? WHERE id = ?"


class RecordingWriter(Appender):
    """Appends captures and their exchanges."""

    def __init__(self, path: Path, busy_s: float = BUSY_S) -> None:
        super().__init__(path, busy_s)
        self._capture = 0
        self._started: list[int] = []
        self._position = 0
        self._place: Place | None = None

    def start_capture(self, capture: Capture) -> int:
        """Note that a capture begins; what is added from now on belongs to it. Returns its id."""
        with self._transaction():
            self._capture = self._inserted("captures", capture_row(capture))
        self._started.append(self._capture)
        self._place = Place.of(self.path)
        self._position = 0
        return self._capture

    def add_upstream(self, name: str, url: str) -> None:
        """Note one more upstream of the capture that was started last."""
        with self._transaction():
            self._connection.execute(UPSTREAM, (name, url, self._capture))

    def add(self, exchange: Exchange, derived: Derived, masked: Mapping[str, int] | None = None) -> int:
        """Store an exchange of the capture that was started last, all of it or nothing. Returns its id.

        `masked` is what was masked in this capture by now: rule -> places.
        """
        row = exchange_row(exchange, derived, self._capture, self._position + 1)
        with self._transaction():
            exchange_id = self._inserted("exchanges", row)
            insert_pieces(self._connection, exchange_id, exchange, derived)
            if masked:
                self._connection.execute(MASKED, (json.dumps(masked), self._capture))
        self._position += 1
        return exchange_id

    @property
    def in_place(self) -> bool:
        """Whether the file is still where it was when the capture was started."""
        return self._place is None or self._place.holds()

    def move(self) -> Path:
        """Copy all that was stored to a new file beside the old one, and go on there; its path.

        For a file that was removed or replaced: only this connection still holds what was stored.
        NotRecorded: that cannot be done either.
        """
        path = self.path
        try:
            path = vacant(self.path)
            with closing(sqlite3.connect(path)) as copy:
                self._connection.backup(copy)
            connection = opened(path, BUSY_S)
        except (OSError, sqlite3.Error) as error:
            raise NotRecorded(f"{path} {cannot_be_written(error)}") from error
        self._connection.close()
        if self._place:
            self._place.clear()
        self.path, self._connection, self._place = path, connection, Place.of(path)
        return path

    def close(self) -> None:
        """End the captures, and leave one file without log where no other program has it open."""
        try:
            with self._transaction():
                ended = [(now(), number) for number in self._started]
                self._connection.executemany("UPDATE captures SET ended_at = ? WHERE id = ?", ended)
            settle(self._connection)
        finally:
            self._connection.close()


def vacant(path: Path) -> Path:
    """A new empty file beside this one, which nobody else was given; OSError where there can be none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        name = path.with_name(f"{path.stem}.rescued-{number}{path.suffix}")
        with suppress(FileExistsError), name.open("xb"):
            return name
    raise AssertionError


def insert_pieces(
    connection: sqlite3.Connection, exchange_id: int, exchange: Exchange, derived: Derived
) -> None:
    """Insert the chunks and events of an exchange whose row is there."""
    chunks = exchange.response.chunks if exchange.response else ()
    numbered = ((exchange_id, seq, *chunk) for seq, chunk in enumerate(chunks))
    connection.executemany(CHUNK, numbered)
    connection.executemany(EVENT, event_rows(exchange_id, derived))


def append(exchanges: Iterable[Exchange], db: Path, redactor: Redactor | None = None) -> Tally:
    """Add exchanges that harness did not record, in their order, to a capture of their own.

    `redactor` masks them before they are stored. Returns at how many places each rule did.
    """
    rules = redactor.rules if redactor else None
    masked: Tally = Counter()
    with RecordingWriter(db) as writer:
        writer.start_capture(Capture(now(), versions={"harness": __version__}, redaction=rules))
        for exchange in exchanges:
            if redactor:
                done, derived, found = redactor.whole(exchange)
                masked += found
                writer.add(done, derived, masked)
            else:
                writer.add(exchange, derive(exchange))
    return masked
