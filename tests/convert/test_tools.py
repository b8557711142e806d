"""Both directions against the real tools: VCR.py and mitmproxy write what we read, and read what we write."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import vcr
from mitmproxy.http import HTTPFlow

from harness.child import Child, harness_command
from harness.cli.app import main
from harness.core.canonical import plain_body
from harness.core.exchange import Exchange, State
from harness.demo.conversations import CONVERSATIONS
from harness.demo.sdks import play, sync_clients
from harness.record.flows import FlowReader
from harness.store.open import open_recording

RECORDING = Path(__file__).parents[2] / "recordings" / "tiny-llama.db"
CALLS = [call for call in CONVERSATIONS if call.take is None and "asked twice" not in call.name]


@pytest.fixture(scope="module")
def replay() -> Iterator[str]:
    """The URL of a replay of the committed recording, as the API that other tools record."""
    with Child(harness_command("replay", str(RECORDING), "--port", "0", "--speed", "0")) as child:
        yield child.url


def answers(url: str) -> dict[str, Any]:
    """What the official SDKs get there."""
    with sync_clients(f"{url}/v1", url) as clients:
        return {call.name: play(call, clients) for call in CALLS}


def held(path: Path) -> list[Exchange]:
    with open_recording(path) as recording:
        return list(recording.exchanges())


def test_we_replay_what_vcrpy_recorded(replay: str, tmp_path: Path) -> None:
    cassette, database = tmp_path / "calls.yaml", tmp_path / "calls.db"
    with vcr.use_cassette(str(cassette)):
        live = answers(replay)
    assert main(["import", str(cassette), "--db", str(database)]) == 0
    exchanges = held(database)
    assert len(exchanges) == len(CALLS)
    assert not any(exchange.timing_known for exchange in exchanges)
    with Child(harness_command("replay", str(database), "--port", "0")) as again:
        assert answers(again.url) == live


def test_vcrpy_replays_what_we_export(tmp_path: Path) -> None:
    cassette = tmp_path / "ours.yaml"
    assert main(["export", str(RECORDING), "--format", "vcr", "-o", str(cassette)]) == 0
    match_on = ["method", "uri", "raw_body"]
    with (
        vcr.use_cassette(str(cassette), record_mode="none", match_on=match_on) as used,
        httpx.Client() as client,
    ):
        for exchange in held(RECORDING):
            request, response = exchange.request, exchange.response
            assert response
            got = client.request(request.method, request.url, content=request.body)
            assert got.status_code == response.status
            assert got.content == plain_body(response.body, response.headers)
        assert used.all_played


@pytest.fixture(scope="module")
def saved(replay: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Flows and a HAR that mitmdump wrote of the same calls."""
    folder = tmp_path_factory.mktemp("mitm")
    flows, har = folder / "a.flow", folder / "a.har"
    mitmdump = Path(sys.executable).with_name("mitmdump")
    options = ["--set", f"hardump={har}", "--set", f"confdir={folder}", "-w", str(flows)]
    command = [
        str(mitmdump),
        "--mode",
        f"reverse:{replay}",
        "--listen-host",
        "127.0.0.1",
        "-p",
        "0",
        *options,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = next(line for line in process.stdout if "listening at" in line)
        answers(f"http://{line.split()[-1].strip('.').removeprefix('http://')}")
        process.terminate()
        process.communicate(timeout=30)
    return flows, har


@pytest.mark.parametrize("which", [0, 1])
def test_what_mitmproxy_saved_says_what_we_recorded(
    which: int, saved: tuple[Path, Path], tmp_path: Path
) -> None:
    database = tmp_path / "a.db"
    assert main(["import", str(saved[which]), "--db", str(database)]) == 0
    found = held(database)
    assert len(found) == len(CALLS)
    bodies = {exchange.response.body for exchange in held(RECORDING) if exchange.response}
    assert {exchange.response.body for exchange in found if exchange.response} <= bodies
    assert all(
        exchange.started_at.startswith("20") and exchange.state is State.COMPLETE for exchange in found
    )
    assert len({exchange.request.path for exchange in found}) == len(
        {e.request.path for e in held(RECORDING)}
    )


def test_mitmproxy_reads_the_har_that_we_export(tmp_path: Path) -> None:
    har = tmp_path / "ours.har"
    assert main(["export", str(RECORDING), "--format", "har", "-o", str(har)]) == 0
    with har.open("rb") as file:
        flows = [flow for flow in FlowReader(file).stream() if isinstance(flow, HTTPFlow)]
    exchanges = held(RECORDING)
    assert len(flows) == len(exchanges)
    for flow, exchange in zip(flows, exchanges, strict=True):
        assert flow.response
        assert exchange.response
        assert flow.request.url == exchange.request.url
        assert flow.response.status_code == exchange.response.status
        assert flow.response.content == exchange.response.body
    (entry, *_) = json.loads(har.read_text())["log"]["entries"]
    assert entry["time"] == pytest.approx(sum(entry["timings"].values()))


def test_times_on_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cassette, database = tmp_path / "a.yaml", tmp_path / "a.db"
    assert main(["export", str(RECORDING), "--format", "vcr", "-o", str(cassette)]) == 0
    given = ["import", str(cassette), "--db", str(database)]
    assert main([*given, "--timing", "ttft=50,icl=2", "--timing-from", str(RECORDING)]) == 2
    assert main([*given, "--timing-from", str(cassette)]) == 2
    assert main([*given, "--timing", "ttft=50,icl=2"]) == 0
    assert main([*given, "--timing-from", str(RECORDING), "--seed", "3"]) == 0
    first, second = held(database)[1], held(database)[len(held(RECORDING)) + 1]
    assert first.response
    assert second.response
    assert first.response.headers_ns == 50_000_000
    assert second.response.headers_ns != 50_000_000
    assert second.response.end_ns > second.response.headers_ns
    errors = capsys.readouterr().err
    assert "--timing and --timing-from exclude each other" in errors
    assert f"{cassette} is no recording: neither an SQLite database nor JSON Lines" in errors
