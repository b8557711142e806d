"""Real Locust runs against real servers: what they record, how they end, and what is accounted for."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.child import Child, harness_command
from harness.load.accounts import accounts
from harness.load.child import LocustChild, free_port, locust_file
from harness.load.plan import Call, Closed, Open
from harness.load.records import Outcome, Phase

MS, S = 1_000_000, 1_000_000_000
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
ERROR = b'data: {"error":{"type":"server_error","code":"oom"}}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

type MakeCall = Callable[..., Call]


def is_fine(run: Any) -> bool:
    """Whether sent and recorded are equal."""
    found = accounts(run.folder)
    return bool(found) and all(account.is_equal for account in found)


def test_a_closed_loop_records_every_request(run: Any, server: str, call: MakeCall, tmp_path: Path) -> None:
    table = tmp_path / "table"
    run.lay_out(
        server,
        [call("fast")],
        loop=Closed(concurrency=4),
        request_count=20,
        warmup_requests=4,
        save_events=True,
    )
    assert run.finish(1, "--json-file", str(table)) == 0
    results = run.results()
    assert sorted(result.number for result in results) == list(range(24))
    assert Counter(result.phase for result in results) == {Phase.WARMUP: 4, Phase.MEASURED: 20}
    assert run.outcomes() == {"complete": 24}
    assert sum(result.connect_ns == 0 for result in results) == 20
    one = results[-1]
    assert (one.tokens_in, one.tokens_out, one.content_events, one.events) == (7, 20, 20, 22)
    assert one.offsets is not None
    assert [carried for _, carried in one.offsets] == [True] * 20 + [False] * 2
    assert sum(count for _, count in one.icl) == 19
    assert one.first_token_ns is not None
    assert 15 * MS < one.first_token_ns - one.sent_ns < 500 * MS
    assert [(end.sent, end.answered, end.unsent, end.why) for end in run.ends()] == [(24, 24, 0, "done")]
    assert run.ticks()[-1].received_bytes == sum(result.response_bytes for result in results)
    assert is_fine(run)
    [row] = json.loads(Path(f"{table}.json").read_text())
    assert (row["num_requests"], row["num_failures"], row["name"]) == (24, 0, "/v1/chat/completions")
    assert row["min_response_time"] > 100  # to the end, not to the headers


def test_failures_are_those_that_failed_by_kind(
    run: Any, upstream: Any, call: MakeCall, tmp_path: Path
) -> None:
    head, chunk, last = upstream.head(200, "Content-Type: text/event-stream"), upstream.chunk, upstream.LAST
    closing = upstream.head(200, "Content-Type: text/event-stream", "Connection: close")
    refusal = b'{"error":{"type":"rate_limit"}}'
    scripts = {
        "good": (head, chunk(EVENT), chunk(STOP), last),
        "truncated": (closing, EVENT, upstream.CLOSE),
        "error_event": (head, chunk(EVENT), chunk(ERROR), last),
        "stalled": (head, chunk(EVENT), threading.Event()),
        "reset": (head, chunk(EVENT), upstream.RESET),
        "http": (upstream.head(429, f"Content-Length: {len(refusal)}"), refusal),
    }
    for name, steps in scripts.items():
        upstream.on(f"/{name}/v1/chat/completions", *steps)
    bad = ["truncated", "error_event", "stalled", "reset", "http"]
    names = [bad[number // 4] if number % 4 == 0 else "good" for number in range(20)]
    calls = [call("x", f"/{name}/v1/chat/completions") for name in names]
    table = tmp_path / "table"
    run.lay_out(upstream.url, calls, loop=Closed(concurrency=8), request_count=60, stall_s=0.3)
    assert run.finish(1, "--json-file", str(table)) == 1
    scripts["stalled"][2].set()
    expected = {
        "good": Outcome.COMPLETE,
        "truncated": Outcome.TRUNCATED,
        "error_event": Outcome.ERROR_EVENT,
        "stalled": Outcome.TIMEOUT,
        "reset": Outcome.TRUNCATED,
        "http": Outcome.HTTP,
    }
    results = run.results()
    assert all(result.outcome is expected[names[result.call]] for result in results)
    assert run.outcomes() == {"complete": 45, "truncated": 6, "error_event": 3, "timeout": 3, "http": 3}
    errors = {result.error for result in results if result.outcome.is_failure}
    assert errors == {
        "no end of the stream",
        "server_error/oom",
        "silence",
        "connection reset",
        "429 rate_limit",
    }
    assert is_fine(run)
    assert sum(row["num_failures"] for row in json.loads(Path(f"{table}.json").read_text())) == 15


def test_an_open_loop_sends_at_its_times(run: Any, server: str, call: MakeCall) -> None:
    arrivals = [number * 25 * MS for number in range(40)]
    run.lay_out(server, [call("slow")], arrivals, loop=Open(), warmup_s=0.25, drain_s=10)
    assert run.finish() == 0
    results = sorted(run.results(), key=lambda result: result.number)
    [worker] = run.workers()
    assert [result.scheduled_ns - worker.start_ns for result in results] == arrivals
    assert all(result.sent_ns - result.scheduled_ns > -MS for result in results)
    assert Counter(result.phase for result in results) == {Phase.WARMUP: 10, Phase.MEASURED: 30}
    assert max(tick.under_way for tick in run.ticks()) > 10
    assert run.ends()[0].why == "done"


def test_a_bounded_open_loop_says_what_waited_and_what_was_not_sent(
    run: Any, server: str, call: MakeCall
) -> None:
    arrivals = [number * 10 * MS for number in range(50)]
    run.lay_out(server, [call("slow")], arrivals, loop=Open(most_open=2), drain_s=1.5)
    run.finish()
    results = sorted(run.results(), key=lambda result: result.number)
    [end] = run.ends()
    assert max(tick.under_way for tick in run.ticks()) <= 2
    assert 2 < len(results) == end.sent < 50
    assert end.unsent == 50 - len(results)
    assert results[2].sent_ns - results[2].scheduled_ns > 500 * MS


def test_tokens_stop_a_run(run: Any, server: str, call: MakeCall) -> None:
    run.lay_out(server, [call("fast")], max_tokens=100, drain_s=5)
    assert run.finish() == 0
    assert 4 <= len(run.results()) <= 8
    assert run.ends()[0].why == "limit"


def test_a_limit_of_tokens_that_is_far_holds_nobody_up(run: Any, server: str, call: MakeCall) -> None:
    calls = [call("fast", tokens_in=7, most_tokens_out=20)]
    run.lay_out(server, calls, loop=Closed(concurrency=1), max_tokens=27 * 20, drain_s=5)
    assert run.finish() == 0
    results = sorted(run.results(), key=lambda result: result.number)
    waits = [after.sent_ns - before.end_ns for before, after in pairwise(results[:16])]
    assert sorted(waits)[len(waits) // 2] < 20 * MS  # the reducer looks each 50 ms
    assert 20 <= len(results) <= 21


def test_a_reducer_that_fails_ends_the_run(run: Any, server: str, call: MakeCall) -> None:
    reducer = (sys.executable, "-c", "raise SystemExit('no more memory')")
    run.lay_out(server, [call("fast")], max_tokens=100_000, drain_s=5, reducer=reducer)
    with LocustChild(run.folder, 1) as child:
        assert child.wait(30) == 1, child.output_tail()
        assert "the reducer of worker 0 failed (exit code 1): no more memory" in child.complaints()


def test_two_workers_share_a_run(run: Any, server: str, call: MakeCall) -> None:
    run.lay_out(server, [call("fast")], loop=Closed(concurrency=4), request_count=21, workers=2)
    assert run.finish(2) == 0
    assert sorted(result.number for result in run.results()) == list(range(21))
    assert all(result.number % 2 == result.worker for result in run.results())
    one, two = run.workers()
    assert abs(one.start_ns - two.start_ns) < 10 * MS
    assert is_fine(run)


def test_a_killed_worker_is_accounted_for(run: Any, server: str, call: MakeCall, wait_until: Any) -> None:
    run.lay_out(server, [call("slow")], loop=Closed(concurrency=6), duration_s=2.5, workers=2)
    with LocustChild(run.folder, 2) as child:
        wait_until(lambda: len(run.results()) >= 6, child.output_tail())
        victim = run.workers()[1]
        os.kill(victim.pid, signal.SIGKILL)
        assert child.wait(30) == 1, child.output_tail()
    living, dead = accounts(run.folder)
    assert living.is_equal
    assert living.differences() == []
    assert dead.end is None
    assert dead.sent == dead.recorded + len(dead.unanswered)
    assert len(dead.unanswered) == 3
    assert not dead.unrecorded
    ended, lost = dead.differences()
    assert "worker 1 did not end in order" in ended
    assert "sent 3 requests whose answers are lost" in lost


def test_ctrl_c_ends_a_run_in_order(run: Any, server: str, call: MakeCall, wait_until: Any) -> None:
    run.lay_out(server, [call("slow")], loop=Closed(concurrency=4))
    with LocustChild(run.folder, 1) as child:
        wait_until(lambda: len(run.results()) >= 4, child.output_tail())
        assert child.stop() == 0, child.output_tail()
    assert run.outcomes().keys() == {"complete"}
    assert run.ends()[0].why == "stopped"
    assert is_fine(run)


def test_a_run_ends_with_the_process_that_started_it(
    run: Any, server: str, call: MakeCall, wait_until: Any
) -> None:
    run.lay_out(server, [call("fast")], loop=Closed(concurrency=2), drain_s=2)
    starter = "import sys; from pathlib import Path; from harness.load.child import LocustChild; "
    starter += "from harness.load.folder import Folder; LocustChild(Folder(Path(sys.argv[1])), 1).wait()"
    with subprocess.Popen([sys.executable, "-c", starter, str(run.folder.path)]) as process:
        wait_until(lambda: len(run.results()) >= 2, "no results")
        process.kill()
    wait_until(run.ends, "it goes on")
    assert run.ends()[0].why == "stopped"
    wait_until(lambda: not Path(f"/proc/{run.workers()[0].pid}").exists(), "the process is still there")


def test_what_takes_too_long_to_drain_is_cancelled(run: Any, server: str, call: MakeCall) -> None:
    run.lay_out(
        server, [call("slow")], loop=Closed(concurrency=3), duration_s=1.5, drain_s=0.1, save_events=True
    )
    assert run.finish() == 1
    assert run.outcomes()["cancelled"] == 3
    cut = next(result for result in run.results() if result.outcome is Outcome.CANCELLED)
    assert cut.offsets
    assert 0 < len(cut.offsets) < 22
    assert is_fine(run)


def test_an_unreachable_target_fails_every_request(run: Any, call: MakeCall) -> None:
    run.lay_out(f"http://127.0.0.1:{free_port()}", [call("fast")], request_count=3)
    assert run.finish() == 1
    assert {(result.outcome, result.error) for result in run.results()} == {
        (Outcome.HTTP, "connection refused")
    }


def test_a_key_that_is_not_set_is_told_in_one_line(run: Any, server: str, call: MakeCall) -> None:
    run.lay_out(server, [call("fast")], key_variable="NO_SUCH_KEY", request_count=1)
    with LocustChild(run.folder, 1) as child:
        assert child.wait(20) == 2
    assert "$NO_SUCH_KEY, which is to hold the API key, is not set" in child.output_tail()


def test_the_line_end_of_a_key_that_came_from_a_file_is_not_sent(
    run: Any, upstream: Any, call: MakeCall
) -> None:
    upstream.on("/keyed", upstream.head(200, "Content-Length: 2"), b"{}")
    run.lay_out(upstream.url, [call("x", "/keyed")], key_variable="FILE_KEY", request_count=1)
    with LocustChild(run.folder, 1, env={"FILE_KEY": "planted\n"}) as child:
        assert child.wait(20) is not None
    [request] = [one for one in upstream.requests if one.path == "/keyed"]
    assert b"authorization: Bearer planted" in request.head.split(b"\r\n")
    written = b"".join(path.read_bytes() for path in run.folder.path.iterdir())
    assert b"planted" not in written


def test_a_journal_that_cannot_be_written_stops_the_run(
    run: Any, server: str, call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # its file would be too large as well
    run.lay_out(server, [call("fast")], loop=Closed(concurrency=2))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # which the child inherits
    try:
        child = LocustChild(run.folder, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    with child:
        assert child.wait(30) == 1, child.output_tail()
        assert "cannot write its journal" in child.output_tail(60)
    [account] = accounts(run.folder)
    assert account.end is None
    assert 0 < account.recorded <= account.sent


def test_plain_locust_makes_the_requests_of_a_recording(tmp_path: Path) -> None:
    recording = Path("recordings/tiny-llama.db").resolve()
    table = tmp_path / "table"
    with Child(harness_command("replay", str(recording), "--port", "0"), quiet=True) as server:
        command = locust("--headless", "-u", "8", "-r", "8", "-t", "2s", "--from", str(recording))
        command += ["--model", ""]  # else the recorded requests would ask for another one
        command += ["--host", server.url, "--json-file", str(table)]
        env = {**os.environ, "TMPDIR": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)
    assert done.returncode == 1, done.stderr  # one of its streams was cut short when it was recorded
    rows = {row["name"]: row for row in json.loads(Path(f"{table}.json").read_text())}
    assert len(rows) > 1
    assert 0 < rows["/v1/chat/completions"]["num_failures"] < rows["/v1/chat/completions"]["num_requests"]
    assert rows["/v1/completions"]["num_failures"] == 0


def locust(*arguments: str) -> list[str]:
    """The command line of plain Locust."""
    return [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(locust_file()),
        "--model",
        "m",
        "--prompt",
        "plain",
        *arguments,
    ]


def table_of(path: Path) -> tuple[int, int]:
    """Requests and failures in Locust's own table."""
    rows = json.loads(Path(f"{path}.json").read_text())
    return sum(row["num_requests"] for row in rows), sum(row["num_failures"] for row in rows)


@pytest.mark.parametrize("processes", [1, 2])
def test_plain_locust_with_a_time_limit_loses_nothing(server: str, tmp_path: Path, processes: int) -> None:
    port = str(free_port())
    several = ["--processes", str(processes), "--master-port", port, "--master-bind-port", port]
    table = tmp_path / "table"
    command = locust(
        "--headless", "-u", "4", "-r", "4", "-t", "2s", "--host", server, "--json-file", str(table)
    )
    done = subprocess.run(
        [*command, *(several if processes > 1 else [])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    requests, failures = table_of(table)
    assert requests >= 4
    assert failures == 0
    [folder] = tmp_path.glob("harness-load-*")
    assert sum(map(len, (path.read_bytes().splitlines() for path in folder.glob("records-*")))) > requests


def test_workers_started_by_themselves_get_the_plan_and_forward_their_records(
    run: Any, server: str, call: MakeCall, tmp_path: Path
) -> None:
    port = str(free_port())
    calls = [call("fast")]
    run.lay_out(server, calls, loop=Closed(concurrency=2), request_count=9, workers=1)
    extra = ["--master", "--master-bind-port", port, "--expect-workers", "1"]
    worker = subprocess.Popen(
        locust("--worker", "--master-port", port),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        assert run.finish(1, *extra) == 0
        assert worker.wait(20) == 0
    finally:
        worker.kill()
        worker.wait()
    assert sorted(result.number for result in run.results()) == list(range(9))
    [account] = accounts(run.folder)
    assert (account.sent, account.recorded, account.has_journal) == (9, 9, False)
    assert account.is_equal
    assert not list(tmp_path.glob("harness-load-*")), "the master has it all"


@contextmanager
def web_ui(server: str, folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Plain Locust with its web UI; its URL, and the process."""
    port = free_port()
    command = locust("--web-host", "127.0.0.1", "--web-port", str(port), "--host", server)
    env = {**os.environ, "TMPDIR": str(folder)}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def get(url: str, data: bytes | None = None) -> Any:
    """JSON from Locust's web UI; None while it is not there."""
    try:
        with urllib.request.urlopen(url, data, timeout=20) as response:
            return json.load(response)
    except OSError:
        return None


def test_the_web_ui_starts_stops_and_starts_again(server: str, tmp_path: Path, wait_until: Any) -> None:
    def results(number: int) -> list[str]:
        """Outcomes in the folder of the test's start of this number."""
        folders = sorted(tmp_path.glob("harness-load-*"), key=lambda path: path.stat().st_ctime_ns)
        files = [path for folder in folders[number : number + 1] for path in folder.glob("records-*")]
        lines = [json.loads(line) for path in files for line in path.read_bytes().splitlines()]
        return [line["outcome"] for line in lines if line["kind"] == "result"]

    with web_ui(server, tmp_path) as (url, process):
        wait_until(lambda: get(f"{url}/stats/requests"), "no web UI")
        for start in range(2):
            get(f"{url}/swarm", f"user_count=3&spawn_rate=3&host={server}".encode())
            wait_until(lambda start=start: len(results(start)) >= 3, "no requests")
            assert get(f"{url}/stop", b"")["success"]
            ended = results(start)
            assert len(ended) >= 6
            assert set(ended) == {"complete"}
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert results(1) == ended
