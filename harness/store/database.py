"""A recording in an SQLite file, open for reading."""

import json
import sqlite3
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from itertools import batched
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput
from harness.core.exchange import Exchange
from harness.core.visible import visible
from harness.store.capture import Capture
from harness.store.listing import Listed, gaps_from
from harness.store.recording import Recording
from harness.store.rows import MAX_INTEGER, capture_of, exchange_of
from harness.store.schema import FORMATS, Formats
from harness.store.snapshot import Snapshot

WITHOUT_CLOCK = "SELECT id FROM captures WHERE clock = '{}'"
IN_ORDER = f"""
ORDER BY capture_id,
    CASE WHEN capture_id IN ({WITHOUT_CLOCK}) THEN '' ELSE rtrim(started_at, 'Z') END,
    position
"""
"""Captures as they began; within one by t0, or as it was stored where no clock of ours gave the times
(an import, which so keeps the order of its file). Without its Z, a time with fewer decimals sorts
before one with more."""

AT_ONCE = 100
"""Exchanges that are read at once,"""
HELD_BYTES = 500_000
"""as long as they are no larger than this together."""
GIVEN = "(SELECT value FROM json_each(?))"
SIZES_OF = f"""
SELECT id, length(request_body)
    + (SELECT coalesce(sum(length(data)), 0) FROM chunks WHERE exchange_id = exchanges.id) AS size
FROM exchanges WHERE id IN {GIVEN}
"""  # noqa: S608  ours
ROWS_OF = f"SELECT * FROM exchanges WHERE id IN {GIVEN}"  # noqa: S608  ours
CHUNKS_OF = f"""
SELECT exchange_id, offset_ns, data FROM chunks WHERE exchange_id IN {GIVEN} ORDER BY exchange_id, seq
"""  # noqa: S608  ours

EXPRESSIONS = {
    "path": "path || coalesce('?' || query, '')",
    "events": "coalesce((SELECT max(seq) + 1 FROM events WHERE exchange_id = exchanges.id), 0)",
    "chunks": "chunk_count",
}
"""Field of a listing -> its expression, where that is not the column of the same name."""

STEPS = 100_000
"""Steps of SQLite's machine, some ms, between two looks at our signals."""
DECLARING = "SELECT 1 FROM json_each('[]'), json_tree('[]')"
"""Has SQLite declare these tables, which it does when they are first used, and which is no reading."""
READING = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
"""What an expression of a user may do (https://www.sqlite.org/c3ref/c_alter_table.html)."""


def only_reading(action: int, *_: object) -> int:
    """The authorizer of such an expression."""
    return sqlite3.SQLITE_OK if action in READING else sqlite3.SQLITE_DENY


def no_expression(expression: str, why: str) -> BadInput:
    """What to tell a user whose SQL does not work."""
    return BadInput(
        f"--where {visible(expression)!r}: {why}; it is an SQL expression over the columns of the table "
        "'exchanges', such as \"tokens_out > 100\" (docs/recordings.md lists them)"
    )


class DatabaseRecording(Recording):
    """Captures and exchanges of one SQLite file. `formats` are those that it may have."""

    def __init__(self, path: Path, formats: Formats = FORMATS) -> None:
        self.path = path
        self._snapshot = Snapshot(path, formats)

    def close(self) -> None:
        """Close the connection; remove the temporary copy."""
        self._snapshot.close()

    def captures(self) -> list[Capture]:
        """All captures by id."""
        with self._telling():
            return [capture_of(row) for row in self._rows("SELECT * FROM captures ORDER BY id")]

    def count(self) -> int:
        """How many exchanges there are."""
        with self._telling():
            (row,) = self._rows("SELECT count(*) AS count FROM exchanges")
            return int(row["count"])

    def states(self, capture: int) -> dict[str, int]:
        """How many exchanges of a capture ended in each state, most first."""
        counted = "SELECT state, count(*) FROM exchanges WHERE capture_id = ? GROUP BY state ORDER BY 2 DESC"
        with self._telling():
            return {row["state"]: row["count(*)"] for row in self._rows(counted, capture)}

    def exchanges(self, only: Container[int] | None = None) -> Iterator[Exchange]:
        """Exchanges in recorded order. Ids and a few are held, so no lock is kept while the caller works."""
        with self._telling():
            ids = [row["id"] for row in self._rows(f"SELECT id FROM exchanges {IN_ORDER}")]  # noqa: S608  ours
        wanted = (one for one in ids if only is None or one in only)
        for some in batched(wanted, AT_ONCE):
            for few in self._light(some):
                yield from self._few(few)

    def _light(self, ids: Sequence[int]) -> Iterator[list[int]]:
        """Ids as they are, in lists of those that may be held at once: one, or several that are small."""
        with self._telling():
            sizes = {row["id"]: row["size"] for row in self._rows(SIZES_OF, json.dumps(ids))}
        few: list[int] = []
        held = 0
        for one in (one for one in ids if one in sizes):
            held += sizes[one]
            if few and held > HELD_BYTES:
                yield few
                few, held = [], sizes[one]
            few.append(one)
        if few:
            yield few

    def _few(self, ids: list[int]) -> Iterator[Exchange]:
        """Some exchanges, in the order of their ids here: two queries cost less than two for each."""
        wanted = json.dumps(ids)
        with self._telling():
            chunks: dict[int, list[tuple[int, bytes]]] = {one: [] for one in ids}
            for exchange_id, offset_ns, data in self._rows(CHUNKS_OF, wanted):
                chunks[exchange_id].append((offset_ns, data))
            rows = {row["id"]: row for row in self._rows(ROWS_OF, wanted)}
        for one in ids:
            if one in rows:
                with self._telling():
                    made = exchange_of(rows.pop(one), tuple(chunks.pop(one)))
                yield made

    def exchange(self, exchange_id: int) -> Exchange:
        """One exchange with its chunks."""
        if abs(exchange_id) > MAX_INTEGER:
            raise BadInput(self.missing(exchange_id))
        with self._telling():
            row = next(iter(self._rows("SELECT * FROM exchanges WHERE id = ?", exchange_id)), None)
            if row is None:
                raise BadInput(self.missing(exchange_id))
            chunks = self._rows(
                "SELECT offset_ns, data FROM chunks WHERE exchange_id = ? ORDER BY seq", exchange_id
            )
            return exchange_of(row, tuple((offset_ns, data) for offset_ns, data in chunks))

    def listing(self) -> Iterator[Listed]:
        """All exchanges at a glance, from the derived columns."""
        names = [field.name for field in fields(Listed) if field.name != "gaps_ns"]
        columns = ", ".join(f"{EXPRESSIONS.get(name, name)} AS {name}" for name in names)
        with self._telling():
            rows = self._rows(f"SELECT {columns} FROM exchanges {IN_ORDER}")  # noqa: S608  ours
        for row in rows:
            yield Listed(**dict(row), gaps_ns=self._gaps(row["id"], row["ttft_ns"]))

    def _gaps(self, exchange_id: int, ttft_ns: int | None) -> tuple[int, ...]:
        if ttft_ns is None:
            return ()
        with self._telling():
            rows = self._rows("SELECT offset_ns FROM events WHERE exchange_id = ? ORDER BY seq", exchange_id)
            return gaps_from([offset_ns for (offset_ns,) in rows], ttft_ns)

    def ids_where(self, expression: str) -> frozenset[int]:
        """The ids for which an expression is true. A long search can be broken off (Ctrl-C)."""
        connection = self._snapshot.connection
        self._rows(DECLARING)
        connection.set_authorizer(only_reading)
        connection.set_progress_handler(lambda: 0, STEPS)  # lets Python look at its signals
        try:
            rows = self._rows(f"SELECT id FROM exchanges WHERE ({expression}\n)")  # noqa: S608  may only read
        except (sqlite3.Error, ValueError) as error:
            raise no_expression(expression, visible(str(error))) from None
        finally:
            connection.set_authorizer(None)
            connection.set_progress_handler(None, 0)
        return frozenset(row["id"] for row in rows)

    def _rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        return self._snapshot.connection.execute(statement, values).fetchall()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Damage that SQLite or a value shows, as one line."""
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            raise BadInput(f"{self.path} is damaged: {error}") from None
