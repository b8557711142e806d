"""`harness record --validate`: errors are told and counted, and recording does not depend on them."""

import json
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.validate.finding import Part
from harness.validate.live import ExchangeDocument

if TYPE_CHECKING:
    from tests.plugins.wire import Recorder, Upstream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the recorder's processes in /proc")

type Start = Callable[..., "Recorder"]

PATH = "/v1/embeddings"
JSON = "Content-Type: application/json"
SECRET = "the text of a prompt"
GOOD = {"model": "m", "input": SECRET}
BAD = {"model": 5, "input": SECRET}
VECTOR = {"object": "embedding", "index": 0, "embedding": [0.5]}
ANSWER = {
    "object": "list",
    "model": "m",
    "data": [VECTOR],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}


def ask(recorder: "Recorder", upstream: "Upstream", body: object, answer: object = ANSWER) -> None:
    data = json.dumps(answer).encode()
    upstream.on(PATH, upstream.head(200, JSON, f"Content-Length: {len(data)}"), data)
    with recorder.client() as client:
        client.send("POST", PATH, json.dumps(body).encode(), JSON)
        client.read_until(data)


def checker_of(recorder: "Recorder") -> int:
    writer = recorder.children()["writer"]
    pids = [
        int(pid)
        for task in Path(f"/proc/{writer}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]
    [pid] = pids
    return pid


def test_errors_are_told_under_their_exchange(start_recorder: Start, upstream: "Upstream") -> None:
    recorder = start_recorder("--upstream", upstream.url, "--validate").listen()
    for body in (GOOD, BAD):
        ask(recorder, upstream, body)
    assert recorder.stop() == 1
    errors = recorder.errors()
    assert re.findall(r"^  (exchange .*)\n    (.*)$", errors, re.MULTILINE) == [
        (f"exchange 2 (POST {PATH}) breaks:", "schema.type: request /model: integer instead of string")
    ]
    assert "harness record: checked 2: 1 with errors\n" in errors
    assert SECRET not in errors


def test_errors_as_json(start_recorder: Start, upstream: "Upstream") -> None:
    recorder = start_recorder("--upstream", upstream.url, "--validate", "--json").listen()
    answer = ANSWER | {"data": [VECTOR | {"index": "no"}, VECTOR | {"index": "no"}]}
    ask(recorder, upstream, GOOD, answer)
    assert recorder.stop() == 1
    lines = [json.loads(line) for line in recorder.errors().splitlines() if line.startswith("{")]
    [told] = [ExchangeDocument.model_validate(line) for line in lines if "errors" in line]
    assert told.id == 1
    [error] = [error for error in told.errors if error.rule == "schema.type"]
    assert (error.part, error.pointer, error.times) == (Part.RESPONSE, "/data/*/index", 2)


def test_nothing_wrong(start_recorder: Start, upstream: "Upstream") -> None:
    recorder = start_recorder("--upstream", upstream.url, "--validate", "--quiet").listen()
    ask(recorder, upstream, GOOD)
    assert recorder.stop() == 0
    assert "checked 1: 0 with errors" in recorder.errors()


def test_the_programs_own_failure_comes_first(start_recorder: Start, upstream: "Upstream") -> None:
    source = (
        "import os, urllib.request as u\n"
        f"u.urlopen(u.Request(os.environ['OPENAI_BASE_URL'] + '/embeddings', {json.dumps(BAD).encode()!r}))\n"
        "raise SystemExit(7)"
    )
    data = json.dumps(ANSWER).encode()
    upstream.on(PATH, upstream.head(200, JSON, f"Content-Length: {len(data)}"), data)
    upstream_option = f"openai={upstream.url}"
    recorder = start_recorder("--upstream", upstream_option, "--validate", "--", sys.executable, "-c", source)
    assert recorder.wait() == 7
    assert "checked 1: 1 with errors" in recorder.errors()


def test_a_killed_checker_changes_nothing_in_the_recording(
    start_recorder: Start, upstream: "Upstream", wait_until: Callable[..., None]
) -> None:
    recorder = start_recorder("--upstream", upstream.url, "--validate").listen()
    ask(recorder, upstream, GOOD)
    recorder.exchange(PATH)
    pid = checker_of(recorder)
    os.kill(pid, signal.SIGKILL)
    state = Path(f"/proc/{pid}/stat")
    wait_until(lambda: state.read_text().rpartition(")")[2].split()[0] == "Z", "it still runs")
    for count in (2, 3):
        ask(recorder, upstream, GOOD)
        recorder.exchange(PATH, count)
    assert recorder.stop() == 1
    errors = recorder.errors()
    assert errors.count("the checker is gone") == 1
    assert "checked 0: 0 with errors, 3 not checked" in errors
    assert "recorded 3 exchanges" in errors
    assert len(recorder.exchanges()) == 3
