"""Writing GPU logs: with their owner, batch by batch, into recordings of any known format."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import BadInput, NotRecorded
from harness.core.exchange import Exchange
from harness.store.gpu_log import GpuWriter, Owner, gpu_events, gpu_samples, gpus
from harness.store.migrations import migrate
from harness.store.schema import APPLICATION_ID, FORMATS
from harness.store.snapshot import applied_formats

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]

CAPTURE = Owner(capture_id=1)
CARD: dict[str, Any] = {"gpu": "GPU-1", "host": "here", "number": 0, "name": "Card", "mig": 0}
EVENT: dict[str, Any] = {"at_ns": 5, "error_ns": 0, "what": "unreachable", "detail": "refused"}


@pytest.fixture
def path(write: Write, make_exchange: MakeExchange) -> Path:
    """A recording with one capture."""
    return write(make_exchange())


def test_batches_follow_each_other(path: Path) -> None:
    with GpuWriter(path, CAPTURE) as writer:
        writer.add([CARD], [("GPU-1", {"at_ns": 2, "power_mw": 7})])
        writer.add((), [("GPU-1", {"at_ns": 1, "energy_mj": 8})], [(None, EVENT), ("GPU-1", EVENT)])
    (card,) = gpus(path, CAPTURE)
    assert {name: card[name] for name in CARD} == CARD
    assert (card["run_id"], card["capture_id"]) == (None, 1)
    samples = list(gpu_samples(path, card["id"]))
    assert [(s["at_ns"], s["power_mw"], s["energy_mj"]) for s in samples] == [(1, None, 8), (2, 7, None)]
    assert [event["gpu_id"] for event in gpu_events(path, CAPTURE)] == [None, card["id"]]
    assert [found.name for found in path.parent.iterdir()] == ["a.db"]


def test_a_batch_is_kept_whole_or_not_at_all(path: Path) -> None:
    with GpuWriter(path, CAPTURE) as writer:
        samples: list[tuple[str, dict[str, Any]]] = [("GPU-1", {"at_ns": 1}), ("GPU-1", {"at_ns": "soon"})]
        with pytest.raises(NotRecorded, match="cannot store TEXT value"):
            writer.add([CARD], samples)
    assert gpus(path, CAPTURE) == []


def test_an_older_file_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    older = dict(list(FORMATS.items())[:-1])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        migrate(connection, older)
    assert gpus(path, CAPTURE) == []  # reading it changes nothing
    with closing(sqlite3.connect(path)) as connection:
        assert applied_formats(connection) == list(older)
    GpuWriter(path, CAPTURE).close()
    with closing(sqlite3.connect(path)) as connection:
        assert applied_formats(connection) == list(FORMATS)


def test_what_is_no_recording_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("my thesis")
    with pytest.raises(BadInput, match="is no recording"):
        GpuWriter(tmp_path / "a.db", CAPTURE)
    assert (tmp_path / "a.db").read_text() == "my thesis"
