"""Changing recordings: take exchanges out, put others in their place, join files, divide them.

The law of this file: what comes out is a new file that takes its name when it is whole, so that a
change happened or did not, and what was removed is in no free page of it. Exchanges keep their ids.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from os import getpid
from pathlib import Path
from shutil import copymode

from harness.core.derive import derive
from harness.core.errors import BadInput
from harness.core.exchange import Exchange
from harness.core.interchange import to_line
from harness.core.masks import Tally
from harness.core.redaction import Redactor
from harness.store.appender import Appender, cannot_be_written, settle
from harness.store.capture import Capture
from harness.store.files import replaced
from harness.store.open import head_of, open_recording
from harness.store.rows import Row, capture_of, exchange_row
from harness.store.snapshot import MAGIC, Snapshot, state_of
from harness.store.transfer import SOURCE, transfer
from harness.store.writer import append, insert_pieces

type Change = Callable[[Exchange], Exchange]

REDACTED = """
UPDATE captures SET upstreams = :upstreams, redaction = :redaction, masked = :masked WHERE id = :id
"""

KEPT = ("capture_id", "position")
"""Columns of an exchange that stay as they are when another takes its place."""


class Editor(Appender):
    """A recording that one may change."""

    def take(self, path: Path, ids: Iterable[int] | None = None) -> None:
        """Add what another recording holds: all of it, or some exchanges and what belongs to them."""
        with closing(Snapshot(path)) as snapshot:
            self._connection.execute(f"ATTACH ? AS {SOURCE}", [str(snapshot.file)])
            try:
                with self._transaction():
                    transfer(self._connection, ids)
            finally:
                self._connection.execute(f"DETACH {SOURCE}")

    def remove(self, ids: Iterable[int]) -> None:
        """Take exchanges out, with all that belongs to them."""
        with self._transaction():
            self._connection.executemany("DELETE FROM exchanges WHERE id = ?", ((number,) for number in ids))

    def replace(self, exchange: Exchange) -> None:
        """Put an exchange in the place of the one with its id."""
        derived = derive(exchange)
        row = exchange_row(exchange, derived, 0, 0)
        columns = ", ".join(f"{name} = :{name}" for name in row if name not in KEPT)
        update = f"UPDATE exchanges SET {columns} WHERE id = :id"  # noqa: S608  names of ours
        with self._transaction():
            self._connection.execute(update, row | {"id": exchange.id})
            for table in ("chunks", "events"):
                self._connection.execute(f"DELETE FROM {table} WHERE exchange_id = ?", [exchange.id])  # noqa: S608  ours
            insert_pieces(self._connection, exchange.id, exchange, derived)

    def note_redaction(self, redactor: Redactor, tallies: Mapping[int, Tally]) -> None:
        """Note in the captures by which rules they are redacted now, with what was masked (by capture)."""
        with self._transaction():
            cursor = self._connection.cursor()
            cursor.row_factory = sqlite3.Row
            rows = cursor.execute("SELECT * FROM captures").fetchall()
            noted = (redacted_columns(capture_of(row), redactor, tallies) for row in rows)
            self._connection.executemany(REDACTED, noted)

    def close(self) -> None:
        """Leave one file, without a byte of what was there before."""
        try:
            settle(self._connection)
            self._connection.execute("VACUUM")
        except sqlite3.Error as error:
            raise BadInput(f"{self.path} {cannot_be_written(error)}") from None
        finally:
            self._connection.close()


type Finish = Callable[[Editor], None]


def nothing(_: Editor) -> None:
    """No more is to be done."""


def without(path: Path, ids: Collection[int], output: Path) -> None:
    """Write a recording without some exchanges; `output` may be the recording itself."""
    if is_database(path):
        with new_database(output, [path]) as editor:
            editor.take(path)
            editor.remove(ids)
        return
    with replaced(output) as file:
        file.writelines(line for number, line in numbered_lines(path) if number not in ids)


def changed(path: Path, change: Change, output: Path, finish: Finish = nothing) -> int:
    """Write a recording with its exchanges changed, and say how many were; `output` may be itself.

    `finish` may do more to a database once they all are.
    """
    with open_recording(path) as recording:
        different = (
            (after, after != before) for before in recording.exchanges() for after in [change(before)]
        )
        if not is_database(path):
            return changed_lines(path, different, output)
        count = 0
        with new_database(output, [path]) as editor:
            editor.take(path)
            for exchange, differs in different:
                if differs:
                    editor.replace(exchange)
                    count += 1
            finish(editor)
        return count


def changed_lines(path: Path, different: Iterable[tuple[Exchange, bool]], output: Path) -> int:
    """The same for an interchange file, whose other lines stay as they were written."""
    count = 0
    with replaced(output) as file:
        for (_, line), (exchange, differs) in zip(numbered_lines(path), different, strict=True):
            file.write(to_line(exchange).encode() + b"\n" if differs else line)
            count += differs
    return count


def merged(paths: Sequence[Path], output: Path) -> None:
    """Write the exchanges of several recordings, one after the other, into a new one.

    Captures and load runs come with them; an interchange file becomes a capture. Only of interchange
    files, and where its name ends so, the output is one as well.
    """
    if output.suffix == ".jsonl":
        if database := next(filter(is_database, paths), None):
            raise BadInput(
                f"{database} is a database, and {output.name} would be lines: name a .db, or export it before"
            )
        with replaced(output) as file:
            file.writelines(line for path in paths for _, line in numbered_lines(path))
        return
    with new_database(output, paths) as editor:
        for path in paths:
            if is_database(path):
                editor.take(path)
            else:
                with open_recording(path) as lines:
                    append(lines.exchanges(), editor.path)


def divided(path: Path, parts: Mapping[Path, Collection[int]]) -> None:
    """Write parts of a recording into files of their own: output -> the ids of its exchanges."""
    for output, ids in parts.items():
        if is_database(path):
            with new_database(output, [path]) as editor:
                editor.take(path, ids)
        else:
            with replaced(output) as file:
                file.writelines(line for number, line in numbered_lines(path) if number in ids)


def redacted_columns(capture: Capture, redactor: Redactor, tallies: Mapping[int, Tally]) -> Row:
    """What a capture says of its redaction afterwards."""
    rules = redactor.rules if capture.redaction is None else capture.redaction | redactor.rules
    masked = Counter(capture.masked) + Counter(tallies.get(capture.id, {}))
    upstreams = {name: redactor.text(url)[0] for name, url in capture.upstreams.items()}
    return {
        "id": capture.id,
        "upstreams": json.dumps(upstreams),
        "redaction": rules.to_json(),
        "masked": json.dumps(masked) if masked else None,
    }


def is_database(path: Path) -> bool:
    """Whether a recording is an SQLite file. BadInput where it cannot be read."""
    return head_of(path).startswith(MAGIC)


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of an interchange file with the ids of their exchanges, each ended by a line feed."""
    with path.open("rb") as file:
        lines = (line.rstrip(b"\r\n") + b"\n" for line in file if line.strip())
        yield from enumerate(lines, 1)


@contextmanager
def new_database(output: Path, sources: Sequence[Path]) -> Iterator[Editor]:
    """A recording to fill, which takes the name `output` when it is whole.

    `output` may be one of the sources, and no other file that is there; BadInput where another program
    has that open, or changed it meanwhile.
    """
    place = output.resolve()
    if not place.parent.is_dir():
        raise BadInput(f"{output} cannot be written: there is no folder {output.parent}")
    if output.exists() and not any(map(output.samefile, sources)):
        raise BadInput(f"{output} exists: name a new file")
    before = state_if_alone(output) if output.exists() else None
    temporary = place.with_name(f".{place.name}.{getpid()}")
    try:
        with Editor(temporary) as editor:
            yield editor
        copymode(sources[0], temporary)
        if before is not None and state_of(place) != before:
            raise BadInput(f"{output} changed meanwhile, and was left as it is: try again")
        temporary.replace(place)
    except OSError as error:
        raise BadInput(f"{output} cannot be written: {error.strerror}") from None
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)


def state_if_alone(path: Path) -> tuple[bytes, int, int]:
    """The state of a database that nobody else has open; BadInput where somebody has.

    SQLite ends the log only for the last program that has the file open.
    """
    connection = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.Error as error:
        raise BadInput(f"{path} {cannot_be_written(error)}") from None
    finally:
        connection.close()
    if mode == "wal":
        raise BadInput(f"{path} is in use by another program: close that first")
    return state_of(path.resolve())
