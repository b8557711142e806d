"""Telling recordings apart by content, and saying what is none."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.core.exchange import Exchange
from harness.store.database import DatabaseRecording
from harness.store.lines import LinesRecording
from harness.store.open import open_recording
from harness.store.recording import Recording


@pytest.mark.parametrize(("name", "kind"), [("a.db", DatabaseRecording), ("a.jsonl", LinesRecording)])
def test_content_and_not_the_name_tells_the_form(
    name: str, kind: type[Recording], write: Callable[..., Path], make_exchange: Callable[..., Exchange]
) -> None:
    path = write(make_exchange(), name=name).rename(Path(write(name="b.db").parent / "other"))
    with open_recording(path) as recording:
        assert isinstance(recording, kind)
        assert [exchange.id for exchange in recording.exchanges()] == [1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello", "is no recording: neither an SQLite database nor JSON Lines"),
        (b"SQLite format 3\0", "is no recording: it is no SQLite database"),
        (b"SQLite format 3\0" + b"x" * 100, "is an SQLite database, but no recording of harness"),
    ],
)
def test_what_is_no_recording(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(content)
    with pytest.raises(BadInput) as refused:
        open_recording(path)
    assert str(refused.value) == f"{path} {words}"


@pytest.mark.parametrize("content", [b"", b"\n \r\n"])
def test_nothing_is_the_export_of_no_exchanges(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with open_recording(tmp_path / "a.jsonl") as recording:
        assert list(recording.exchanges()) == []


def test_a_database_of_somebody_else(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE captures (id)")
    with pytest.raises(BadInput, match="no recording of harness"):
        open_recording(tmp_path / "a.db")


def test_no_such_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        open_recording(tmp_path / "none.db")
    with pytest.raises(BadInput, match="is no plain file"):
        open_recording(tmp_path)
    with pytest.raises(BadInput, match="name a recording: an empty name"):
        open_recording(Path())


def test_a_pipe_is_said_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="is no plain file"):
        open_recording(tmp_path / "pipe")
