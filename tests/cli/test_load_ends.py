"""How a load run ends that does not end by itself: signals, workers that die, a disk that is full."""

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.load.child import free_port
from tests.plugins.load import LoadCommand, paced_recording, replayed

type Served = tuple[str, Path]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with streams of 0.42 s, and the recording of its requests."""
    recording = paced_recording(tmp_path_factory.mktemp("recording") / "paced.jsonl")
    with replayed(recording) as url:
        yield url, recording


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 2), (signal.SIGTERM, 1)])
def test_a_signal_ends_a_run_in_order(
    number: signal.Signals, workers: int, served: Served, tmp_path: Path, wait_until: Any
) -> None:
    server, recording = served
    line = ["--target", server, "--from", str(recording), "--workers", str(workers), "--no-null-test"]
    load = LoadCommand(tmp_path, *line, "--concurrency", "4", "--request-count", "10000")
    wait_until(lambda: load.results() >= 8, "no results")
    started = load.processes()
    load.signal(number)
    load.ends_with(0)
    assert load.out.startswith(("VALID", "INVALID"))
    assert "TTFT" in load.out
    run, rows = load.run(), load.requests()
    assert run["ended_at"]
    assert (run["sent"], run["recorded"]) == (len(rows), len(rows))
    assert {row["outcome"] for row in rows} == {"complete"}
    assert [row["why"] for row in load.worker_rows()] == ["stopped"] * workers
    assert not [process for process in started if process.is_running()]
    assert load.left_over() == []


def test_a_signal_before_a_worker_came(served: Served, tmp_path: Path, wait_until: Any) -> None:
    server, recording = served
    line = ["--target", server, "--from", str(recording), "--no-null-test"]
    load = LoadCommand(tmp_path, *line, "--expect-workers", "1", "--bind", f"127.0.0.1:{free_port()}")
    wait_until(lambda: list(load.temporary.glob("harness-load-*/locust.log")), "no Locust")
    load.signal(signal.SIGINT)
    assert load.wait() == 3
    assert "stopped before a worker began: nothing was sent" in load.err
    assert load.left_over() == []


def test_a_killed_worker_makes_the_run_invalid_and_is_accounted_for(
    served: Served, tmp_path: Path, wait_until: Any
) -> None:
    server, recording = served
    line = ["--target", server, "--from", str(recording), "--workers", "2", "--no-null-test"]
    load = LoadCommand(tmp_path, *line, "--concurrency", "6", "--benchmark-duration", "2")
    wait_until(lambda: load.results() >= 6 and len(load.workers()) == 2, "no results")
    victim = load.workers()[1]
    os.kill(victim, signal.SIGKILL)
    assert load.wait() == 3, load.err
    run, rows = load.run(), load.requests()
    assert run["verdict"] == "invalid"
    assert load.out.startswith("INVALID")
    lost = [reason for reason in run["reasons"] if "worker 1" in reason]
    assert "worker 1 did not end in order" in lost[0]
    assert "worker 1 sent 3 requests whose answers are lost" in lost[1]
    assert run["sent"] == run["recorded"] + 3
    assert run["recorded"] == len(rows)
    assert {row["worker"] for row in rows} == {0, 1}
    assert [row["why"] for row in load.worker_rows()] == ["done", None]
    assert load.left_over() == []


def test_a_full_disk_is_said_at_once(
    served: Served, tmp_path: Path, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # its file would be too large as well
    server, recording = served
    line = ["--target", server, "--from", str(recording), "--no-null-test", "--concurrency", "4"]
    load = LoadCommand(tmp_path, *line, "--request-count", "10000")
    wait_until(lambda: load.results() >= 4, "no results")
    started = load.processes()
    resource.prlimit(load.process.pid, resource.RLIMIT_FSIZE, (4096, 4096))  # of the parent alone
    assert load.wait() == 4
    assert load.err.startswith(f"harness: error: {load.db} cannot be written")
    assert load.err.count("\n") == 1
    assert not [process for process in started if process.is_running()]
    assert load.left_over() == []


def test_a_journal_that_cannot_be_written_is_said(
    served: Served, tmp_path: Path, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # its file would be too large as well
    server, recording = served
    line = ["--target", server, "--from", str(recording), "--no-null-test", "--concurrency", "4"]
    load = LoadCommand(tmp_path, *line, "--request-count", "10000")
    wait_until(lambda: load.results() >= 4, "no results")
    resource.prlimit(load.workers()[0], resource.RLIMIT_FSIZE, (4096, 4096))
    assert load.wait() == 3, load.err
    [said] = [reason for reason in load.run()["reasons"] if "journal" in reason]
    assert said == "worker 0 cannot write its journal (File too large) and stops"


def test_nothing_goes_on_where_the_command_itself_is_killed(
    served: Served, tmp_path: Path, wait_until: Any
) -> None:
    server, recording = served
    line = ["--target", server, "--from", str(recording), "--no-null-test", "--concurrency", "4"]
    load = LoadCommand(tmp_path, *line, "--request-count", "10000")
    wait_until(lambda: load.results() >= 4 and load.requests(), "no results")
    started = load.processes()
    load.signal(signal.SIGKILL)
    assert load.wait() == -signal.SIGKILL
    _, alive = psutil.wait_procs(started, 20)
    assert not alive
    assert load.run()["ended_at"] is None
    assert len(load.requests()) >= 1
