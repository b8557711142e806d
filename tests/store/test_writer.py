"""Appending: whole exchanges, one file at the end, several writers, and nothing done to other files."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from harness.core.derive import derive
from harness.core.errors import BadInput, NotRecorded
from harness.core.exchange import Exchange
from harness.core.redaction import Rules
from harness.store.capture import Capture
from harness.store.database import DatabaseRecording
from harness.store.migrations import migrate
from harness.store.schema import FORMATS
from harness.store.writer import RecordingWriter

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]
type Writing = Callable[[Path], Any]

CAPTURE = Capture(
    "2026-01-02T03:04:05Z", {"openai": "http://a.test"}, {"harness": "1"}, {"wall": 1}, "host", Rules()
)


def counts(path: Path) -> dict[str, int]:
    """How many rows the tables have."""
    with closing(sqlite3.connect(path)) as connection:
        tables = ("captures", "exchanges", "chunks", "events")
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def test_one_file_remains_and_folders_are_made(tmp_path: Path, make_exchange: MakeExchange) -> None:
    path = tmp_path / "new" / "folder" / "a.db"
    exchange = make_exchange()
    with RecordingWriter(path) as writer:
        assert writer.start_capture(CAPTURE) == 1
        assert writer.add(exchange, derive(exchange)) == 1
        assert writer.add(exchange, derive(exchange)) == 2
    assert [found.name for found in path.parent.iterdir()] == ["a.db"]
    assert counts(path) == {"captures": 1, "exchanges": 2, "chunks": 10, "events": 10}


def test_a_capture_is_kept_with_its_end(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "a.db") as writer:
        writer.start_capture(CAPTURE)
    with DatabaseRecording(tmp_path / "a.db") as recording:
        (capture,) = recording.captures()
        assert recording.rules() == (Rules(),)
    assert capture.ended_at is not None
    assert datetime.fromisoformat(capture.ended_at).tzinfo is not None
    assert capture.ended_at.endswith("Z")
    assert (capture.upstreams, capture.versions, capture.clock) == (
        {"openai": "http://a.test"},
        {"harness": "1"},
        {"wall": 1},
    )
    assert (capture.id, capture.host, capture.redaction) == (1, "host", Rules())


def test_appending_begins_a_capture_of_its_own(tmp_path: Path, make_exchange: MakeExchange) -> None:
    exchange = make_exchange()
    for _ in range(2):
        with RecordingWriter(tmp_path / "a.db") as writer:
            writer.start_capture(CAPTURE)
            writer.add(exchange, derive(exchange))
            writer.start_capture(CAPTURE)
            writer.add(exchange, derive(exchange))
            writer.add(exchange, derive(exchange))
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        rows = connection.execute("SELECT capture_id, position FROM exchanges ORDER BY id").fetchall()
    assert rows == [(1, 1), (2, 1), (2, 2), (3, 1), (4, 1), (4, 2)]


def test_an_exchange_is_stored_as_a_whole_or_not_at_all(tmp_path: Path, make_exchange: MakeExchange) -> None:
    path = tmp_path / "a.db"
    exchange = make_exchange()
    with RecordingWriter(path) as writer:
        writer.start_capture(CAPTURE)
        damaged = make_exchange(response=None, end_ns=2**63)
        with pytest.raises(OverflowError):
            writer.add(damaged, derive(damaged))
        writer.add(exchange, derive(exchange))
    assert counts(path) == {"captures": 1, "exchanges": 1, "chunks": 5, "events": 5}


def test_an_empty_file_becomes_a_recording(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    RecordingWriter(tmp_path / "a.db").close()
    assert counts(tmp_path / "a.db")["captures"] == 0


def somebody_elses(path: Path) -> None:
    """A database that is no recording, with a log of its own."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE exchanges (id)")


def newer(path: Path) -> None:
    """A recording with a migration that this version does not know."""
    RecordingWriter(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, {**FORMATS, "m9999_future": ("CREATE TABLE future (a)",)})


def text(path: Path) -> None:
    """No database at all."""
    path.write_text("my thesis")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (somebody_elses, "is an SQLite database, but no recording of harness"),
        (text, "is no recording: it is no SQLite database"),
        (newer, "has the newer format m9999_future; harness"),
        (Path.mkdir, "cannot be read: Is a directory"),
    ],
)
def test_what_is_not_appended_to_is_not_touched(
    make: Callable[[Path], None], words: str, tmp_path: Path, folder_state: Callable[[Path], Any]
) -> None:
    make(tmp_path / "a.db")
    before = folder_state(tmp_path)
    with pytest.raises(BadInput, match=words):
        RecordingWriter(tmp_path / "a.db")
    assert folder_state(tmp_path) == before


def test_a_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(BadInput, match="cannot be"):
        RecordingWriter(tmp_path / "a" / "b.db")


def test_a_file_that_another_program_reads_is_not_taken_over(
    write: Write, make_exchange: MakeExchange
) -> None:
    path = write(make_exchange())
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM captures").fetchall()
        with pytest.raises(BadInput, match="is in use by another program"):
            RecordingWriter(path, busy_s=0.05)
    RecordingWriter(path, busy_s=0.05).close()


def test_two_writers_at_once(tmp_path: Path, writing: Writing) -> None:
    path = tmp_path / "a.db"
    with ExitStack() as stack:
        programs = [stack.enter_context(writing(path)) for _ in range(2)]
        for program in programs:
            program.hear("started")
            program.add(100)
        for program in programs:
            program.hear("all")
            program.close()
    assert [found.name for found in tmp_path.iterdir()] == ["a.db"]
    assert counts(path) == {"captures": 2, "exchanges": 200, "chunks": 4000, "events": 4000}
    with DatabaseRecording(path) as recording:
        assert all(capture.ended_at for capture in recording.captures())
        assert sorted(e.request.path for e in recording.exchanges()) == sorted(
            f"/{n}" for n in [*range(100)] * 2
        )


def test_what_a_killed_writer_had_stored_is_appended_to(tmp_path: Path, writing: Writing) -> None:
    path = tmp_path / "a.db"
    with writing(path) as program:
        program.add(10_000)
        for _ in range(30):
            program.hear("one")
        program.kill()
    with RecordingWriter(path) as writer:
        writer.start_capture(CAPTURE)
    assert [found.name for found in tmp_path.iterdir()] == ["a.db"]
    kept = counts(path)
    assert kept["captures"] == 2
    assert 30 <= kept["exchanges"] < 10_000
    assert kept["chunks"] == kept["events"] == 20 * kept["exchanges"]


# A limit on the size of files stands for a full disk.
FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from harness.core.derive import derive
from harness.core.errors import NotRecorded
from harness.core.exchange import Exchange, Request, Response
from harness.store.capture import Capture
from harness.store.writer import RecordingWriter

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = RecordingWriter(Path(sys.argv[1]))
writer.start_capture(Capture("2026-01-01T00:00:00Z"))
exchange = Exchange(Request("GET", "http://a.test/"), Response(200, (), 0, ((1, bytes(200_000)),), 2))
writer.add(exchange, derive(exchange))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
try:
    while True:
        writer.add(exchange, derive(exchange))
except NotRecorded as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.close()
"""


def test_a_full_disk_is_said_and_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{path} cannot be written: ")
    assert counts(path)["exchanges"] >= 1


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_what_was_stored_in_a_file_that_is_gone_moves_to_another(
    replaced: bool, tmp_path: Path, make_exchange: MakeExchange
) -> None:
    path, exchange = tmp_path / "a.db", make_exchange()
    with RecordingWriter(path) as writer:
        writer.start_capture(CAPTURE)
        writer.add(exchange, derive(exchange))
        in_place = [writer.in_place]
        path.unlink()
        if replaced:
            path.write_text("my thesis")
        in_place.append(writer.in_place)
        kept = writer.move()
        assert (kept, *in_place, writer.in_place) == (tmp_path / "a.rescued-1.db", True, False, True)
        assert writer.add(exchange, derive(exchange)) == 2
    assert counts(kept) == {"captures": 1, "exchanges": 2, "chunks": 10, "events": 10}
    with DatabaseRecording(kept) as recording:
        assert recording.states(1) == {"complete": 2}
        assert recording.captures()[0].ended_at
    left = {found.name: found.read_bytes() for found in tmp_path.iterdir() if found != kept}
    assert left == ({"a.db": b"my thesis"} if replaced else {})


def test_a_log_that_is_gone_is_noticed_too(tmp_path: Path, make_exchange: MakeExchange) -> None:
    exchange = make_exchange()
    with RecordingWriter(tmp_path / "a.db") as writer:
        writer.start_capture(CAPTURE)
        writer.add(exchange, derive(exchange))
        (tmp_path / "a.db-wal").unlink()
        assert not writer.in_place
        (tmp_path / "a.rescued-1.db").touch()  # somebody else's
        assert writer.move() == tmp_path / "a.rescued-2.db"
    assert counts(tmp_path / "a.rescued-2.db")["exchanges"] == 1


def test_a_folder_that_cannot_take_what_was_stored(tmp_path: Path, make_exchange: MakeExchange) -> None:
    folder = tmp_path / "folder"
    exchange = make_exchange()
    with RecordingWriter(folder / "a.db") as writer:
        writer.start_capture(CAPTURE)
        writer.add(exchange, derive(exchange))
        folder.rename(tmp_path / "elsewhere")
        folder.touch()
        with pytest.raises(NotRecorded, match=r"a\.db cannot be written"):
            writer.move()
    assert counts(tmp_path / "elsewhere" / "a.db")["exchanges"] == 1
