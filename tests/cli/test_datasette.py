"""Recordings in the real Datasette, with our metadata and its saved queries."""

import json
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any
from urllib.error import HTTPError

import pytest

from harness.child import Child, harness_command
from harness.record.ports import free_ports

type Environment = Callable[..., dict[str, str]]
type Rows = list[dict[str, Any]]

ROOT = Path(__file__).parents[2]
DATASETTE = ROOT / "docs" / "datasette"
QUERIES = (
    "runs",
    "slowest_ttft",
    "worst_gaps",
    "failures_by_kind",
    "gpu_power_and_tokens",
    "gpu_trouble",
    "slowest_recorded_ttft",
    "worst_recorded_gaps",
    "recorded_failures",
)
START_S = 60
WATTS_OF_BOTH = 301
"""Of this moment, which these cards say is half a watt more than the average."""


@pytest.fixture(scope="module")
def recording(cards: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real traffic, and a load run of it with a GPU log, in one file."""
    path = tmp_path_factory.mktemp("explored") / "last night.db"
    shutil.copy(ROOT / "recordings" / "tiny-llama.db", path)
    counts = ("--concurrency", "4", "--request-count", "50", "--warmup-request-count", "0")
    with Child(harness_command("replay", str(path), "--port", "0"), quiet=True) as server:
        options = ("--target", server.url, "--from", str(path), "--db", str(path), "--no-null-test", *counts)
        command = harness_command("load", *options, "--gpu", "nvml", "--gpu-rate", "10", "--quiet")
        environment = cards(NVML_XID="0:79@0.2")
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=100, check=False
        )
    assert done.returncode in (0, 1, 3), done.stderr
    return path


@pytest.fixture(scope="module")
def url(recording: Path) -> Iterator[str]:
    """Datasette, as the docs say to start it."""
    (port,) = free_ports("127.0.0.1", 0, 1)
    told = ("-m", str(DATASETTE / "metadata.yaml"), "--plugins-dir", str(DATASETTE / "plugins"))
    where = ("-h", "127.0.0.1", "-p", str(port), "--setting", "sql_time_limit_ms", "20000")
    log = recording.with_suffix(".log")
    with log.open("wb") as output:
        command = [sys.executable, "-m", "datasette", str(recording), *told, *where]
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        base = f"http://127.0.0.1:{port}"
        wait_for(f"{base}/-/versions.json", server, log)
        yield base
    finally:
        server.terminate()
        server.wait(30)


def wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until something answers."""
    for _ in range(START_S * 10):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            Event().wait(0.1)
        else:
            return
    pytest.fail(f"nothing answers at {url}")


def page(url: str) -> str:
    """What is at a URL; the test fails with what was said of an error."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        pytest.fail(f"{url}: {error.code} {error.read().decode()[:500]}")


@pytest.fixture
def database(url: str) -> str:
    """The URL of the recording."""
    (found,) = json.loads(page(f"{url}/-/databases.json"))
    assert found["name"] == "last night"
    return f"{url}/{json.loads(page(f'{url}/.json'))['last night']['path'].strip('/')}"


@pytest.fixture
def answer(database: str) -> Callable[..., Rows]:
    """`answer("runs", run="1")`: the rows of a saved query."""

    def ask(query: str, run: str = "") -> Rows:
        rows: Rows = json.loads(page(f"{database}/{query}.json?_shape=array&run={run}"))
        return rows

    return ask


@pytest.mark.parametrize("query", QUERIES)
def test_saved_queries_have_rows(query: str, answer: Callable[..., Rows], database: str) -> None:
    assert answer(query)
    assert "<table" in page(f"{database}/{query}")


def test_these_are_all(database: str) -> None:
    known = json.loads(page(f"{database}.json"))["queries"]
    assert {query["name"] for query in known} == set(QUERIES)
    assert all(query["title"] and query["description"] for query in known)


def test_slowest_first(answer: Callable[..., Rows]) -> None:
    for query, column in (
        ("slowest_ttft", "ttft_ms"),
        ("worst_gaps", "worst_gap_ms"),
        ("slowest_recorded_ttft", "ttft_ms"),
        ("worst_recorded_gaps", "gap_ms"),
    ):
        values = [row[column] for row in answer(query)]
        assert values == sorted(values, reverse=True), query
        assert values[0] > 1, query
    assert all(row["mean_gap_ms"] <= row["worst_gap_ms"] * 1.001 for row in answer("worst_gaps"))
    (slowest, *_) = answer("slowest_recorded_ttft")
    assert (slowest["exchange"], slowest["ttft_ms"]) == (8, pytest.approx(660.046, abs=0.001))


def test_power_and_tokens_fit_what_is_known(answer: Callable[..., Rows], recording: Path) -> None:
    seconds = answer("gpu_power_and_tokens")
    assert [row["second"] for row in seconds] == list(range(seconds[0]["second"], seconds[-1]["second"] + 1))
    assert all(row["watts"] == pytest.approx(WATTS_OF_BOTH) for row in seconds)
    with closing(sqlite3.connect(recording)) as db:
        tokens = "SELECT sum(tokens_out) FROM load_requests WHERE first_token_ns IS NOT NULL"
        ((known,),) = db.execute(tokens).fetchall()
    assert sum(row["tokens_per_s"] for row in seconds) == pytest.approx(known, rel=0.01)
    assert sum(row["tokens_per_joule"] * row["watts"] for row in seconds) == pytest.approx(known, rel=0.02)
    (run,) = answer("runs")
    assert (run["run"], run["requests"], run["failures"]) == (1, 50, 4)


def test_a_run_can_be_named(answer: Callable[..., Rows]) -> None:
    assert answer("slowest_ttft", run="1") == answer("slowest_ttft")
    assert answer("slowest_ttft", run="2") == []


def test_failures_and_trouble(answer: Callable[..., Rows]) -> None:
    assert {(row["outcome"], row["status"]) for row in answer("failures_by_kind")} == {("truncated", 200)}
    assert sum(row["exchanges"] for row in answer("recorded_failures")) == 4
    assert ("xid", 79, 0) in {(row["what"], row["code"], row["gpu"]) for row in answer("gpu_trouble")}


def test_tables_have_units_and_words(database: str) -> None:
    tables = json.loads(page(f"{database}.json?_shape=objects"))["tables"]
    ours = [table["name"] for table in tables if not table["name"].startswith("_")]
    shown = {name: page(f"{database}/{name}") for name in ours}
    assert len(shown) == 14
    assert "the provider&#39;s own count" in shown["load_requests"]
    assert "&nbsp;ms" in shown["load_requests"]
    assert "100.0&nbsp;W" in shown["gpu_samples"] or "100&nbsp;W" in shown["gpu_samples"]
