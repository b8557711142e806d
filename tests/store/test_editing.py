"""Changing recordings: what goes, what stays, and that nothing happens by halves."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.derive import derive
from harness.core.errors import BadInput
from harness.core.exchange import Exchange
from harness.store.capture import Capture
from harness.store.editing import changed, divided, merged, without
from harness.store.gpu_log import GpuWriter, Owner, gpus
from harness.store.load_runs import load_runs
from harness.store.migrations import migrate
from harness.store.open import open_recording
from harness.store.schema import APPLICATION_ID, FORMATS
from harness.store.writer import RecordingWriter
from tests.plugins.stored import CARD, stored_card, stored_run

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]
type FolderState = Callable[[Path], Any]

FORMS = ["a.db", "a.jsonl"]


def held(path: Path) -> dict[int, str]:
    """Id -> model of each exchange."""
    with open_recording(path) as recording:
        return {row.id: row.model or "" for row in recording.listing()}


def count(path: Path, table: str) -> int:
    connection = sqlite3.connect(path)
    try:
        (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(number)
    finally:
        connection.close()


@pytest.fixture
def three(make_exchange: MakeExchange, write: Write) -> Callable[[str], Path]:
    """A recording of three exchanges, each with a model of its own."""
    made = [make_exchange(f"secret{n}", model=f"model-{n}", start=n) for n in (1, 2, 3)]
    return lambda name: write(*made, name=name)


@pytest.mark.parametrize("name", FORMS)
def test_without_some(name: str, three: Callable[[str], Path]) -> None:
    path = three(name)
    mode = path.stat().st_mode
    output = path.with_name(f"b{path.suffix}")
    without(path, {2}, output)
    assert list(held(output).values()) == ["model-1", "model-3"]
    assert held(path) == {1: "model-1", 2: "model-2", 3: "model-3"}
    without(path, {2}, path)
    assert path.stat().st_mode == mode
    assert list(held(path).values()) == ["model-1", "model-3"]
    assert b"secret2" not in path.read_bytes()
    assert b"secret3" in path.read_bytes()
    assert sorted(file.name for file in path.parent.iterdir()) == sorted([path.name, output.name])


def test_ids_and_what_belongs_to_an_exchange(three: Callable[[str], Path]) -> None:
    path = three("a.db")
    before = count(path, "chunks")
    without(path, {1}, path)
    assert held(path) == {2: "model-2", 3: "model-3"}
    assert count(path, "chunks") == before // 3 * 2
    assert count(path, "events") == before // 3 * 2


def test_load_runs_and_gpu_logs_stay_when_exchanges_go(three: Callable[[str], Path]) -> None:
    path = three("a.db")
    run_id = stored_run(path, [])
    stored_card(path, run_id, [{"at_ms": 1, "power_mw": 5.0}])
    without(path, {1, 2, 3}, path)
    assert held(path) == {}
    assert [run["id"] for run in load_runs(path)] == [run_id]
    assert count(path, "gpu_samples") == 1


@pytest.mark.parametrize("name", FORMS)
def test_changes(name: str, three: Callable[[str], Path]) -> None:
    path = three(name)

    def change(exchange: Exchange) -> Exchange:
        assert exchange.response
        if exchange.id != 2:
            return exchange
        chunks = exchange.response.chunks[:2]
        return replace(exchange, response=replace(exchange.response, chunks=chunks))

    with open_recording(path) as recording:
        expected = [change(exchange) for exchange in recording.exchanges()]
    assert changed(path, change, path) == 1
    with open_recording(path) as recording:
        assert list(recording.exchanges()) == expected


def test_merged_recordings_keep_all_that_each_held(
    three: Callable[[str], Path], tmp_path: Path, make_exchange: MakeExchange, write: Write
) -> None:
    first, lines = three("a.db"), three("a.jsonl")
    second = write(make_exchange(model="other"), name="second.db")
    with GpuWriter(second, Owner(capture_id=1)) as writer:
        writer.add([CARD])
    stored_run(first, [])
    stored_card(second, stored_run(second, []), [{"at_ms": 1}])
    output = tmp_path / "merged.db"
    merged([first, second, lines], output)
    models = ["model-1", "model-2", "model-3"]
    assert list(held(output).values()) == [*models, "other", *models]
    with open_recording(output) as recording, open_recording(first) as one, open_recording(second) as two:
        everything = list(recording.exchanges())
        assert [exchange.capture for exchange in everything] == [1, 1, 1, 2, 3, 3, 3]
        originals = [*one.exchanges(), *two.exchanges()]
        assert [replace(e, id=0, capture=0) for e in everything[:4]] == [
            replace(e, id=0, capture=0) for e in originals
        ]
    assert [run["id"] for run in load_runs(output)] == [1, 2]
    assert [card["gpu"] for card in gpus(output, Owner(capture_id=2))] == ["GPU-1"]
    assert [card["gpu"] for card in gpus(output, Owner(run_id=2))] == ["GPU-1"]


def test_merged_lines_stay_lines(three: Callable[[str], Path], tmp_path: Path) -> None:
    lines, output = three("a.jsonl"), tmp_path / "merged.jsonl"
    merged([lines, lines], output)
    assert output.read_bytes() == lines.read_bytes() * 2
    with pytest.raises(BadInput, match=r"a\.db is a database, and merged\.jsonl would be lines"):
        merged([lines, three("a.db")], output)


@pytest.mark.parametrize("name", FORMS)
def test_divided(name: str, three: Callable[[str], Path], tmp_path: Path) -> None:
    path = three(name)
    parts = {tmp_path / f"one{path.suffix}": {1, 3}, tmp_path / f"two{path.suffix}": {2}}
    divided(path, parts)
    one, two = parts
    assert list(held(one).values()) == ["model-1", "model-3"]
    assert list(held(two).values()) == ["model-2"]


def test_a_part_has_its_own_captures_and_their_cards(make_exchange: MakeExchange, tmp_path: Path) -> None:
    path, output = tmp_path / "a.db", tmp_path / "part.db"
    with RecordingWriter(path) as writer:
        for model in ("one", "two"):
            writer.start_capture(Capture("2026-01-01T00:00:00Z", host=model))
            exchange = make_exchange(model=model)
            writer.add(exchange, derive(exchange))
    for number in (1, 2):
        with GpuWriter(path, Owner(capture_id=number)) as gpu:
            gpu.add([CARD], [("GPU-1", {"at_ns": number})])
    stored_run(path, [])
    divided(path, {output: {2}})
    with open_recording(output) as recording:
        assert [(capture.id, capture.host) for capture in recording.captures()] == [(2, "two")]
    connection = sqlite3.connect(output)
    assert connection.execute("SELECT at_ns FROM gpu_samples").fetchall() == [(2,)]
    connection.close()
    assert load_runs(output) == []


def test_an_older_format_is_brought_up(tmp_path: Path) -> None:
    path, output = tmp_path / "old.db", tmp_path / "new.db"
    oldest = next(iter(FORMATS))
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    migrate(connection, {oldest: FORMATS[oldest]})
    columns = "started_at, upstreams, versions, clock, host"
    connection.execute(f"INSERT INTO captures ({columns}) VALUES ('', '{{}}', '{{}}', '{{}}', 'h')")
    connection.commit()
    connection.close()
    merged([path], output)
    with open_recording(output) as recording:
        assert [capture.host for capture in recording.captures()] == ["h"]


def test_nothing_is_changed_while_another_program_has_the_file(
    three: Callable[[str], Path], folder_state: FolderState
) -> None:
    path = three("a.db")
    other = sqlite3.connect(path)
    try:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("SELECT count(*) FROM exchanges").fetchone()
        with pytest.raises(BadInput, match="is in use by another program: close that first"):
            without(path, {1}, path)
        assert other.execute("SELECT count(*) FROM exchanges").fetchone() == (3,)
        without(path, {1}, path.with_name("b.db"))  # reading it is fine
    finally:
        other.close()
    assert held(path.with_name("b.db")) == {2: "model-2", 3: "model-3"}


def test_no_other_recording_is_replaced(three: Callable[[str], Path], folder_state: FolderState) -> None:
    path, other = three("a.db"), three("b.db")
    before = folder_state(path.parent)
    with pytest.raises(BadInput, match=r"b\.db exists: name a new file"):
        without(path, {1}, other)
    assert folder_state(path.parent) == before
    link = path.with_name("link.db")
    link.symlink_to(path)
    without(path, {1}, link)
    assert held(path) == {2: "model-2", 3: "model-3"}


def test_a_change_that_fails_leaves_the_file(three: Callable[[str], Path], folder_state: FolderState) -> None:
    path = three("a.db")
    before = folder_state(path.parent)

    def fail(_: Exchange) -> Exchange:
        raise BadInput("no")

    with pytest.raises(BadInput, match="no"):
        changed(path, fail, path)
    assert folder_state(path.parent) == before
