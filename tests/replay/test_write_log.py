"""The write log: what a replay wrote when, whether or not the client stayed for it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import run
from typing import Any

from harness.child import Child, harness_command


def test_every_write_has_its_moment(
    make_exchange: Callable[..., Any],
    write: Callable[..., Path],
    connect: Any,
    tmp_path: Path,
    wait_until: Any,
) -> None:
    recording, log = write(make_exchange()), tmp_path / "writes.jsonl"
    command = harness_command("replay", str(recording), "--port", "0", "--write-log", str(log))
    body = json.dumps({"model": "tiny", "stream": True, "messages": []}).encode()
    before_ns = time.monotonic_ns()
    with Child(command, quiet=True) as server:
        port = int(server.url.rpartition(":")[2])
        with connect(port) as client:
            client.send("POST", "/v1/chat/completions", body, "X-Harness-Request: 17", "Connection: close")
            received = client.read_all()
        wait_until(lambda: log.read_bytes().endswith(b"\n"), "no line")
        with connect(port) as client:
            client.send("POST", "/v1/chat/completions", body)
            client.socket.recv(1)
            last_ns = time.monotonic_ns()
        wait_until(lambda: log.read_bytes().count(b"\n") == 2, "no line of the client that left")
        left_by_ns = time.monotonic_ns()
    whole, broken = (json.loads(line) for line in log.read_text().splitlines())
    assert (whole["request"], whole["exchange"]) == ("17", "1")
    assert whole["writes"][-1][1] == len(received)
    times = [at_ns for at_ns, _ in whole["writes"]]
    assert times == sorted(times)
    assert before_ns < whole["t0_ns"] < times[0] < last_ns
    assert times[0] - whole["t0_ns"] > 50_000_000
    assert whole["chunked"]
    assert whole["head_bytes"] == received.index(b"\r\n\r\n") + 4
    assert times[-1] <= whole["end_ns"] < last_ns
    assert (whole["left_ns"], broken["end_ns"]) == (None, None)
    assert last_ns <= broken["left_ns"] <= left_by_ns
    assert broken["request"] is None
    assert 1 <= len(broken["writes"]) < len(whole["writes"])


def test_a_log_that_cannot_be_written(
    make_exchange: Callable[..., Any], write: Callable[..., Path], tmp_path: Path
) -> None:
    log = tmp_path / "missing" / "log"
    command = harness_command("replay", str(write(make_exchange())), "--port", "0", "--write-log", str(log))
    done = run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "No such file or directory" in done.stderr
