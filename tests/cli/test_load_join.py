"""Workers that join a run: all that they measure is in the one recording, also of one that is killed."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.load.child import free_port
from tests.plugins.load import LoadCommand, paced_recording, replayed


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paced_recording(tmp_path_factory.mktemp("recording") / "paced.jsonl")


@pytest.fixture(scope="module")
def server(recording: Path) -> Iterator[str]:
    """Streams of 0.42 s."""
    with replayed(recording) as url:
        yield url


@pytest.fixture
def place() -> str:
    return f"127.0.0.1:{free_port()}"


def folder_of(path: Path) -> Path:
    path.mkdir()
    return path


def locust_of(joined: LoadCommand) -> int:
    """The process that a `harness load --join` has started."""
    return psutil.Process(joined.process.pid).children()[0].pid


def leading(tmp_path: Path, server: str, recording: Path, place: str, *more: str) -> LoadCommand:
    """The run that others join."""
    sent = ["--target", server, "--from", str(recording), "--concurrency", "4", "--save-events"]
    return LoadCommand(tmp_path, *sent, "--expect-workers", "2", "--bind", place, *more)


def test_both_workers_data_are_in_one_recording(
    server: str, recording: Path, place: str, tmp_path: Path
) -> None:
    workers = [LoadCommand(folder_of(tmp_path / name), "--join", place) for name in ("one", "two")]
    lead = leading(folder_of(tmp_path / "lead"), server, recording, place, "--request-count", "8")
    lead.ends_with(0)
    assert [worker.wait() for worker in workers] == [0, 0], workers[0].err
    run, rows = lead.run(), lead.requests()
    assert (run["sent"], run["recorded"]) == (12, 12)
    assert sorted(row["number"] for row in rows) == list(range(12))
    assert Counter(row["worker"] for row in rows) == {0: 6, 1: 6}
    assert {len(row["offsets"]) for row in rows} == {22}
    processes = {row["pid"] for row in lead.worker_rows()}
    assert len(processes) == 2
    assert [worker.left_over() for worker in (lead, *workers)] == [[], [], []]


def test_a_joined_worker_that_is_killed_is_accounted_for(
    server: str, recording: Path, place: str, tmp_path: Path, wait_until: Any
) -> None:
    workers = [LoadCommand(folder_of(tmp_path / name), "--join", place) for name in ("one", "two")]
    lead = leading(folder_of(tmp_path / "lead"), server, recording, place, "--benchmark-duration", "2")
    wait_until(
        lambda: len({row["worker"] for row in lead.records() if row["kind"] == "tick"}) == 2, "no ticks"
    )
    number = next(index for index, pid in lead.workers().items() if pid == locust_of(workers[1]))
    os.kill(locust_of(workers[1]), signal.SIGKILL)
    assert lead.wait() == 3, lead.err
    assert workers[0].wait() == 0, workers[0].err
    assert workers[1].wait() != 0
    run, rows = lead.run(), lead.requests()
    assert run["verdict"] == "invalid"
    assert any(f"worker {number} did not end in order" in reason for reason in run["reasons"])
    assert run["recorded"] == len(rows) <= run["sent"]
    assert {row["worker"] for row in rows} == {0, 1}
    assert (lead.left_over(), workers[0].left_over()) == ([], [])
    [kept] = workers[1].left_over()
    assert kept in workers[1].err


def test_ctrl_c_at_a_joined_worker_ends_its_part_in_order(
    server: str, recording: Path, place: str, tmp_path: Path, wait_until: Any
) -> None:
    workers = [LoadCommand(folder_of(tmp_path / name), "--join", place) for name in ("one", "two")]
    lead = leading(folder_of(tmp_path / "lead"), server, recording, place, "--benchmark-duration", "2")
    wait_until(lambda: lead.results() >= 4, "no results")
    workers[0].signal(signal.SIGINT)
    assert workers[0].wait() == 0, workers[0].err
    lead.ends_with(0)
    assert workers[1].wait() == 0
    run, rows = lead.run(), lead.requests()
    assert run["sent"] == run["recorded"] == len(rows)
    assert sorted(row["why"] for row in lead.worker_rows()) == ["done", "stopped"]
    assert workers[0].left_over() == []
