"""FakeAI, an OpenAI-compatible test server, as the upstream: recorded, listed, replayed, verified.

It lives in an environment of its own, made with uv: its many packages are none of ours.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from openai import OpenAI

from harness.child import Child, harness_command
from harness.record.ports import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PACKAGES = ("fakeai==0.3.2", "pillow")
TIMING = {
    "FAKEAI_GENERATION__TTFT_MS": "50",
    "FAKEAI_GENERATION__TTFT_VARIANCE_PERCENT": "0",
    "FAKEAI_GENERATION__ITL_MS": "20",
    "FAKEAI_GENERATION__ITL_VARIANCE_PERCENT": "0",
}
START_S = 60
MESSAGES: Any = [{"role": "user", "content": "Say something short."}]


@pytest.fixture(scope="module")
def fakeai(tmp_path_factory: pytest.TempPathFactory, require_tool: Callable[..., str]) -> Iterator[str]:
    """The URL of a running FakeAI."""
    uv, home = require_tool("uv", ".tools/bin/uv"), tmp_path_factory.mktemp("fakeai")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(home / "env")], check=True)
    python = str(home / "env/bin/python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PACKAGES], check=True)
    [port] = free_ports("127.0.0.1", 0, 1)
    command = [str(home / "env/bin/fakeai"), "server", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, env={**os.environ, **TIMING}, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def wait_for(url: str) -> None:
    for _ in range(START_S * 10):
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            Event().wait(0.1)
        else:
            return
    pytest.fail(f"nothing answers at {url}")


def converse(url: str) -> list[Any]:
    """Some calls of the official SDK, as plain data."""
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="openai/gpt-oss-120b",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
        )
        return [
            [chunk.model_dump() for chunk in stream],
            client.chat.completions.create(model="openai/gpt-oss-120b", messages=MESSAGES).model_dump(),
            client.embeddings.create(model="text-embedding-3-small", input="some words").model_dump(),
            [model.model_dump() for model in client.models.list()],
        ]


def command(*arguments: str) -> Any:
    done = subprocess.run(harness_command(*arguments), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_fakeai_is_recorded_listed_replayed_and_verified(fakeai: str, tmp_path: Path) -> None:
    recording = str(tmp_path / "fakeai.db")
    with Child(harness_command("record", "--upstream", fakeai, "--port", "0", "--db", recording)) as recorder:
        live = converse(recorder.url)
    assert recorder.process.returncode == 0

    rows = command("ls", recording, "--json")
    assert [row["state"] for row in rows] == ["complete"] * 4
    assert [row["dialect"] for row in rows[:3]] == ["openai.chat", "openai.chat", "openai.embeddings"]
    assert rows[0]["ttft_ms"] > 40

    with Child(harness_command("replay", recording, "--port", "0")) as replay:
        assert converse(replay.url) == live
    assert replay.process.returncode == 0

    report = command("verify", recording, "--tolerance-ms", "50", "--json")
    assert {row["bytes"] for row in report["exchanges"]} == {"equal"}
    assert report["verdict"] == "met"


def test_the_gaps_that_it_was_asked_for_are_seen_as_they_were(fakeai: str, tmp_path: Path) -> None:
    """Asked for 20 ms between tokens, it waits longer, since it sleeps after each: the recording says so."""
    recording = str(tmp_path / "fakeai.db")
    with Child(harness_command("record", "--upstream", fakeai, "--port", "0", "--db", recording)) as recorder:
        converse(recorder.url)
    rows = command("stats", recording, "--json")
    icl = next(row["icl_p50_ms"] for row in rows if row["icl_p50_ms"])
    assert 15 < icl < 60


def test_load_says_what_gap_it_really_keeps(fakeai: str, tmp_path: Path) -> None:
    """Asked for 20 ms, without variance; it sleeps so long after each token, so that gaps are longer."""
    line = ["load", "--target", fakeai, "--model", "openai/gpt-oss-120b", "--no-null-test", "--save-events"]
    db = str(tmp_path / "load.db")
    counts = ["--concurrency", "1", "--request-count", "10", "--output-tokens", "40", "--seed", "1"]
    found = command(*line, *counts, "--db", db, "--json")
    assert found["verdict"] == "valid"
    figures = found["figures"]
    assert (figures["successes"], figures["failures"]) == (10, 0)
    assert figures["ttft_ms"]["p50"] > 50
    assert 20 < figures["icl_ms"]["p50"] < 60
