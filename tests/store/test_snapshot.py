"""Reading changes nothing on disk, whatever state the file is in, and sees whole exchanges."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import BadInput
from harness.core.exchange import Exchange
from harness.store.database import DatabaseRecording
from harness.store.migrations import migrate
from harness.store.schema import FORMATS, Formats
from harness.store.snapshot import ATTEMPTS, Snapshot, copy_database

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]
type Writing = Callable[[Path], Any]
type FolderState = Callable[[Path], dict[str, tuple[int, int, str]]]

NEXT: Formats = {**FORMATS, "m9999_next": ("ALTER TABLE captures ADD COLUMN note TEXT",)}


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own for temporary copies."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def read_all(path: Path, formats: Formats = FORMATS) -> list[Exchange]:
    """Every exchange, captures and rules on the way."""
    with DatabaseRecording(path, formats) as recording:
        recording.captures()
        recording.rules()
        list(recording.listing())
        return list(recording.exchanges())


def test_a_file_at_rest_is_read_where_it_lies(
    write: Write, make_exchange: MakeExchange, folder_state: FolderState
) -> None:
    path = write(make_exchange())
    before = folder_state(path.parent)
    snapshot = Snapshot(path)
    assert not snapshot.copied
    assert folder_state(path.parent) == before
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        snapshot.connection.execute("DELETE FROM exchanges")
    snapshot.close()
    assert len(read_all(path)) == 1
    assert folder_state(path.parent) == before


def test_an_older_file_is_read_from_a_migrated_copy(
    write: Write, make_exchange: MakeExchange, folder_state: FolderState, temporary: Path
) -> None:
    path = write(make_exchange())
    before = folder_state(path.parent)
    snapshot = Snapshot(path, NEXT)
    assert snapshot.copied
    assert snapshot.connection.execute("SELECT note FROM captures").fetchall()[0]["note"] is None
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        snapshot.connection.execute("DELETE FROM captures")
    assert len(list(temporary.iterdir())) == 1
    snapshot.close()
    assert list(temporary.iterdir()) == []
    assert len(read_all(path, NEXT)) == 1
    assert folder_state(path.parent) == before


def test_a_newer_file_is_refused_with_both_versions(
    write: Write, make_exchange: MakeExchange, folder_state: FolderState, temporary: Path
) -> None:
    path = write(make_exchange())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, NEXT)
    before = folder_state(path.parent)
    with pytest.raises(
        BadInput, match=r"newer format m9999_next; harness .* reads up to m0007_masked: update"
    ):
        Snapshot(path)
    assert folder_state(path.parent) == before
    assert list(temporary.iterdir()) == []


def test_the_log_of_a_killed_recorder_is_read_and_left(
    tmp_path: Path, writing: Writing, folder_state: FolderState, temporary: Path
) -> None:
    path = tmp_path / "a.db"
    with writing(path) as program:
        program.add(10_000)
        for _ in range(20):
            program.hear("one")
        program.kill()
    before = folder_state(tmp_path)
    assert before["a.db-wal"][0] > 0
    exchanges = read_all(path)
    assert len(exchanges) >= 20
    link = temporary.with_name("link")
    link.symlink_to(path)
    assert read_all(link) == exchanges
    link.unlink()
    assert all(exchange.response and len(exchange.response.chunks) == 20 for exchange in exchanges)
    assert folder_state(tmp_path) == before
    assert list(temporary.iterdir()) == []


def test_a_file_in_wal_mode_without_its_log(
    write: Write, make_exchange: MakeExchange, folder_state: FolderState
) -> None:
    path = write(make_exchange())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    before = folder_state(path.parent)
    assert list(before) == ["a.db"]
    assert len(read_all(path)) == 1
    assert folder_state(path.parent) == before


def test_a_live_recorder_is_read_consistently_and_not_disturbed(tmp_path: Path, writing: Writing) -> None:
    path = tmp_path / "a.db"
    with writing(path) as program:
        program.hear("started")
        assert read_all(path) == []
        program.add(600)
        seen = []
        for _ in range(8):
            for _ in range(50):
                program.hear("one")
            exchanges = read_all(path)
            seen.append(len(exchanges))
            assert {len(e.response.chunks) for e in exchanges if e.response} == {20}
            assert [e.request.path for e in exchanges] == [f"/{number}" for number in range(len(exchanges))]
        assert seen == sorted(seen)
        assert seen[0] >= 50
        program.hear("all")
        program.close()
    assert [found.name for found in tmp_path.iterdir()] == ["a.db"]
    assert len(read_all(path)) == 600


def hot_journal(path: Path) -> None:
    """Leave the file as a program leaves it that dies inside of a transaction: changed, with a journal."""
    original = path.with_name("original")
    path.rename(original)
    with closing(sqlite3.connect(original, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        connection.execute("UPDATE chunks SET data = zeroblob(5000)")
        connection.execute("DELETE FROM exchanges")
        shutil.copyfile(original, path)
        shutil.copyfile(f"{original}-journal", f"{path}-journal")
        connection.rollback()
    original.unlink()


def test_a_transaction_that_never_ended_is_undone_in_the_copy(
    write: Write, make_exchange: MakeExchange, folder_state: FolderState
) -> None:
    expected = read_all(write(*[make_exchange("word") for _ in range(30)]))
    path = write(*[make_exchange("word") for _ in range(30)], name="b.db")
    hot_journal(path)
    before = folder_state(path.parent)
    assert before["b.db-journal"][0] > 0
    assert read_all(path) == expected
    assert folder_state(path.parent) == before


def test_damage_is_one_line(write: Write, make_exchange: MakeExchange) -> None:
    path = write(*[make_exchange() for _ in range(200)])
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.db (is damaged|cannot be read): "):
        read_all(path)


def test_a_copy_takes_what_lies_beside_and_removes_what_does_not(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"database")
    (tmp_path / "a-wal").write_bytes(b"log")
    (tmp_path / "b-journal").write_bytes(b"of an earlier attempt")
    copy_database(source, target)
    names = ["a", "a-wal", "b", "b-wal"]
    assert sorted(found.name for found in tmp_path.iterdir()) == names
    assert (tmp_path / "b-wal").read_bytes() == b"log"
    assert ATTEMPTS > 1
