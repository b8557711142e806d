"""Load runs in real files: appended to, completed, read back, and asked about in SQL."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import BadInput, NotRecorded
from harness.core.exchange import Exchange
from harness.store.database import DatabaseRecording
from harness.store.load_runs import (
    Completion,
    LoadRun,
    LoadWriter,
    host_samples,
    load_requests,
    load_run,
    load_runs,
    load_workers,
)
from harness.store.migrations import migrate
from harness.store.schema import APPLICATION_ID, FORMATS
from harness.store.snapshot import applied_formats

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]
type FolderState = Callable[[Path], dict[str, tuple[int, int, str]]]

RUN = LoadRun(
    "2026-01-02T03:04:05Z",
    "http://127.0.0.1:1",
    "closed",
    2,
    "here",
    {"loop": {"kind": "closed"}},
    {"wall_ns": 1},
    {"harness": "1"},
    concurrency=8,
    name="first",
)
DONE = Completion("valid", 3, 3, {"requests": 3}, checks=({"name": "lag"},), null_test={"p99_us": 7.0})
REQUEST: dict[str, Any] = {
    "number": 0,
    "worker": 0,
    "call": 0,
    "phase": "measured",
    "outcome": "complete",
    "error": None,
    "status": 200,
    "scheduled_ns": None,
    "sent_ns": 5_000_000,
    "connect_ns": 0,
    "first_byte_ns": 6_000_000,
    "first_token_ns": 25_000_000,
    "second_token_ns": None,
    "last_token_ns": 25_000_000,
    "end_ns": 30_000_000,
    "dialect": "openai_chat",
    "model": None,
    "stream": True,
    "finish_reason": "stop",
    "tokens_in": 1,
    "tokens_out": 1,
    "tokens_cached": None,
    "tokens_reasoning": None,
    "events": 3,
    "content_events": 1,
    "shared_reads": 0,
    "stamps": "kernel",
    "stamp_error_ns": 10,
    "request_bytes": 100,
    "response_bytes": 200,
    "icl": [],
    "violations": None,
}
WORKER: dict[str, Any] = {
    "worker": 0,
    "host": "here",
    "pid": 7,
    "start_ns": 1,
    "monotonic_ns": 2,
    "wall_ns": 3,
    "anchor_error_ns": 4,
    "carry_error_ns": 0,
    "recorded": 3,
}
SAMPLE: dict[str, Any] = {
    "host": "here",
    "at_ns": 1,
    "monotonic_ns": 2,
    "wall_ns": 3,
    "anchor_error_ns": 4,
    "cpu_percent": 50.5,
    "cores": (1.0, 100.0),
    "memory_used_bytes": 5,
    "memory_total_bytes": 6,
    "received_bytes": 7,
    "sent_bytes": 8,
}


def request(number: int, sent_ns: int, **changes: Any) -> dict[str, Any]:
    """A row of a request."""
    return REQUEST | {"number": number, "sent_ns": sent_ns} | changes


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.db"
    with LoadWriter(path) as writer:
        assert writer.start(RUN) == 1
        writer.add_requests([(request(1, 9_000_000), ()), (request(0, 5_000_000), [(1, False), (20, True)])])
        writer.add_requests([(request(2, 7_000_000, icl=[[20, 2]], violations=["a"]), ())])
        writer.add_samples([SAMPLE, SAMPLE | {"at_ns": 0}])
        writer.complete(DONE, [WORKER | {"worker": 1}, WORKER | {"sent": 3}])
        assert writer.start(RUN) == 2
    assert [found.name for found in path.parent.iterdir()] == ["a.db"]
    first, second = load_runs(path)
    assert {name: first[name] for name in asdict(RUN)} == asdict(RUN)
    assert {name: first[name] for name in ("verdict", "sent", "recorded", "figures", "null_test")} == {
        "verdict": "valid",
        "sent": 3,
        "recorded": 3,
        "figures": {"requests": 3},
        "null_test": {"p99_us": 7.0},
    }
    assert (first["reasons"], first["checks"], first["slos"]) == ([], [{"name": "lag"}], [])
    assert first["ended_at"].endswith("Z")
    assert second["ended_at"] is second["verdict"] is second["figures"] is None
    requests = list(load_requests(path, 1))
    assert [row["number"] for row in requests] == [0, 2, 1]
    assert [row["offsets"] for row in requests] == [[(1, False), (20, True)], [], []]
    assert (requests[1]["icl"], requests[1]["violations"], requests[0]["violations"]) == (
        [[20, 2]],
        ["a"],
        None,
    )
    assert {name: requests[0][name] for name in REQUEST} == request(0, 5_000_000) | {"stream": 1}
    assert list(load_requests(path, 2)) == []
    assert [(row["worker"], row["sent"], row["cpu_s"]) for row in load_workers(path, 1)] == [
        (0, 3, None),
        (1, None, None),
    ]
    assert [(row["at_ns"], row["cores"]) for row in host_samples(path, 1)] == [
        (0, [1.0, 100.0]),
        (1, [1.0, 100.0]),
    ]


def test_times_are_differences_in_sql(tmp_path: Path) -> None:
    with LoadWriter(tmp_path / "a.db") as writer:
        writer.start(RUN)
        writer.add_requests([(REQUEST, ())])
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        found = connection.execute("SELECT (first_token_ns - sent_ns) / 1e6 FROM load_requests").fetchall()
    assert found == [(20.0,)]


def test_runs_stand_beside_recorded_traffic(
    write: Write, make_exchange: MakeExchange, folder_state: FolderState
) -> None:
    path = write(make_exchange(), make_exchange())
    with LoadWriter(path) as writer:
        writer.start(RUN)
    before = folder_state(path.parent)
    assert len(load_runs(path)) == 1
    with DatabaseRecording(path) as recording:
        assert recording.count() == 2
    assert folder_state(path.parent) == before  # reading changes nothing


@pytest.mark.parametrize("known", [1, 2])
def test_an_older_file_is_read_and_migrated(tmp_path: Path, known: int) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        migrate(connection, dict(list(FORMATS.items())[:known]))
    assert load_runs(path) == []
    with closing(sqlite3.connect(path)) as connection:
        assert applied_formats(connection) == list(FORMATS)[:known]
    with LoadWriter(path) as writer:
        writer.start(RUN)
    assert len(load_runs(path)) == 1
    with closing(sqlite3.connect(path)) as connection:
        assert applied_formats(connection) == list(FORMATS)


def test_a_batch_is_stored_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    with LoadWriter(tmp_path / "a.db") as writer:
        writer.start(RUN)
        with pytest.raises(NotRecorded, match="NOT NULL"):
            writer.add_requests([(REQUEST, ()), (REQUEST | {"end_ns": None}, ())])
        writer.add_requests([(REQUEST, ())])
    assert len(list(load_requests(tmp_path / "a.db", 1))) == 1


def test_removing_a_run_removes_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with LoadWriter(path) as writer:
        writer.start(RUN)
        writer.add_requests([(REQUEST, [(1, True)])])
        writer.add_samples([SAMPLE])
        writer.complete(DONE, [WORKER])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM load_runs")
        tables = ("load_workers", "load_requests", "load_events", "host_samples")
        assert [connection.execute(f"SELECT count(*) FROM {name}").fetchone() for name in tables] == [
            (0,)
        ] * 4


KILLED = """
import os, signal, sys
from pathlib import Path
from harness.store.load_runs import LoadRun, LoadWriter
writer = LoadWriter(Path(sys.argv[1]))
writer.start(LoadRun("2026-01-02T03:04:05Z", "http://a", "closed", 1, "here", {}, {}))
writer.add_samples([eval(sys.argv[2])])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_what_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    assert subprocess.run([sys.executable, "-c", KILLED, path, repr(SAMPLE)], check=False).returncode == -9
    (run,) = load_runs(path)
    assert run["ended_at"] is None
    assert len(host_samples(path, 1)) == 1


def test_one_run_is_the_last_or_the_named(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with LoadWriter(path) as writer:
        with pytest.raises(BadInput, match="has no load run: it holds no load run"):
            load_run(path)
        writer.start(RUN)
        writer.start(RUN)
    assert (load_run(path)["id"], load_run(path, 1)["id"]) == (2, 1)
    with pytest.raises(BadInput, match="has no load run 7: it holds 1, 2"):
        load_run(path, 7)


def test_what_is_no_recording_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with pytest.raises(BadInput, match="does not exist"):
        load_runs(path)
    path.write_text("my thesis")
    with pytest.raises(BadInput, match="is no recording"):
        LoadWriter(path)
    with pytest.raises(BadInput, match="is no recording"):
        load_runs(path)
    assert path.read_text() == "my thesis"


def test_a_file_that_others_hold_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    LoadWriter(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BadInput, match="in use by another program"):
            LoadWriter(path, busy_s=0.01)


def test_damage_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with LoadWriter(path) as writer:
        writer.start(RUN)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE load_runs SET plan = '{'")
    with pytest.raises(BadInput, match=r"a\.db is damaged"):
        load_runs(path)
