"""The command `harness load`: real runs against a real replay server, and what is left of them."""

import json
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.child import Child, harness_command
from tests.plugins.cards import without_cards

type Environment = Callable[..., dict[str, str]]

MS = 1_000_000
EVENTS = 6


def stream(*, ends: int = 1) -> list[tuple[int, str]]:
    """A chat stream with its offsets: a token every 5 ms, the usage, and so many terminators."""
    values: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": f" t{number}"}}]} for number in range(EVENTS)
    ]
    values.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    values.append(
        {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": EVENTS, "total_tokens": 13}}
    )
    about = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    datas = [*(json.dumps(about | value) for value in values), *["[DONE]"] * ends]
    return [(20 * MS + 5 * MS * number, f"data: {data}\n\n") for number, data in enumerate(datas)]


def line(prompt: str, chunks: list[tuple[int, str]], end: str = "complete") -> str:
    """A line of interchange."""
    messages = [{"role": "user", "content": prompt}]
    body = json.dumps({"model": "m", "stream": True, "messages": messages, "max_tokens": EVENTS})
    headers = [["content-type", "text/event-stream"]]
    request = {"method": "POST", "url": "http://x/v1/chat/completions", "body": body}
    response = {"status": 200, "headers": headers, "chunks": chunks}
    return json.dumps({"request": request, "response": response, "end": end}) + "\n"


KINDS = {
    "good": line("good", stream()),
    "cut": line("cut", stream()[:3], "upstream_cut"),
    "twice": line("twice", stream(ends=2)),
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A recording of each kind of stream, and one of all."""
    folder = tmp_path_factory.mktemp("recordings")
    texts = {**KINDS, "all": "".join(KINDS.values())}
    for name, text in texts.items():
        (folder / f"{name}.jsonl").write_text(text)
    return {name: folder / f"{name}.jsonl" for name in texts}


@pytest.fixture(scope="module")
def target(recordings: dict[str, Path]) -> Iterator[str]:
    """A server that plays them all."""
    with Child(harness_command("replay", str(recordings["all"]), "--port", "0"), quiet=True) as server:
        yield server.url


type Load = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def load(target: str, tmp_path: Path) -> Load:
    """Run `harness load` on the server, in a folder of its own, without the null test."""

    def run(*arguments: str, env: Mapping[str, str] = os.environ) -> subprocess.CompletedProcess[str]:
        command = harness_command("load", "--target", target, "--no-null-test", *arguments)
        environment = {**env, "TMPDIR": str(tmp_path)}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment, check=False
        )

    return run


def of(recordings: dict[str, Path], kind: str, *arguments: str) -> tuple[str, ...]:
    """Options of a short run of one kind of stream."""
    counts = ("--concurrency", "2", "--request-count", "6", "--warmup-request-count", "2")
    return ("--from", str(recordings[kind]), *counts, "--db", "run.db", *arguments)


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """What a statement finds in a recording."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_a_run_is_told_and_kept(load: Load, recordings: dict[str, Path], tmp_path: Path) -> None:
    done = load(*of(recordings, "good", "--save-events", "--json", "--quiet", "--null-test"))
    assert done.returncode in (0, 3), done.stderr  # a machine may be too busy to be trusted
    told = json.loads(done.stdout)
    assert told["verdict"] == ("valid" if done.returncode == 0 else "invalid")
    assert told["null_test"]["events"] == told["null_test"]["streams"] * 100
    figures = told["figures"]
    assert (figures["requests"], figures["successes"], figures["warmup_requests"]) == (6, 6, 2)
    assert (figures["tokens_out"], figures["icl_ms"]["count"]) == (6 * EVENTS, 6 * (EVENTS - 1))
    assert figures["ttft_ms"]["p50"] >= 19
    path = tmp_path / "run.db"
    assert rows(path, "SELECT verdict, sent, recorded FROM load_runs") == [(told["verdict"], 8, 8)]
    counts = "SELECT phase, outcome, count(*) FROM load_requests GROUP BY 1, 2 ORDER BY 1"
    assert rows(path, counts) == [("measured", "complete", 6), ("warmup", "complete", 2)]
    assert rows(path, "SELECT count(*), sum(content) FROM load_events") == [(8 * (EVENTS + 3), 8 * EVENTS)]
    assert rows(path, "SELECT count(*) FROM load_workers WHERE why = 'done'") == [(1,)]
    assert sorted(child.name for child in tmp_path.iterdir()) == ["run.db"]


def test_a_person_reads_the_verdict_first(load: Load, recordings: dict[str, Path]) -> None:
    done = load(*of(recordings, "good", "--slo", "ttft:p50<5s", "--goodput", "ttft:1000", "tpot:1000"))
    assert done.returncode in (0, 3), done.stderr
    first, *rest = done.stdout.splitlines()
    assert first.startswith(("VALID", "INVALID"))
    assert any(text.startswith("6 requests") and "6 succeeded, 0 failed" in text for text in rest)
    assert "met     ttft:p50<5s" in done.stdout
    assert "100 % good" in done.stdout


@pytest.mark.parametrize(
    ("kind", "options", "code"),
    [
        ("good", ("--slo", "ttft:p50<1ms"), 1),
        ("cut", (), 1),
        ("cut", ("--slo", "error_rate<=100%"), 0),
        ("twice", (), 0),
        ("twice", ("--validate",), 1),
    ],
    ids=["a limit that is not met", "failures", "failures that may be", "unchecked", "a broken rule"],
)
def test_exit_codes(
    kind: str, options: tuple[str, ...], code: int, load: Load, recordings: dict[str, Path]
) -> None:
    done = load(*of(recordings, kind, *options))
    assert done.returncode in (code, 3), done.stdout + done.stderr
    if kind == "cut":
        assert "6 failed (100 %): truncated" in done.stdout
    if "--validate" in options:
        assert "rule broken in 6 answers: chat.one-done" in done.stdout


def test_a_sweep_is_a_run_for_each_value(load: Load, recordings: dict[str, Path], tmp_path: Path) -> None:
    options = ("--from", str(recordings["good"]), "--sweep", "concurrency=1,2", "--request-count", "4")
    done = load(*options, "--db", "run.db", "--quiet")
    assert done.returncode in (0, 3), done.stderr
    head, first, second = done.stdout.splitlines()[-3:]
    assert head.split()[:4] == ["load", "verdict", "requests", "failed"]
    assert first.startswith("1 at once")
    assert second.startswith("2 at once")
    runs = rows(tmp_path / "run.db", "SELECT name, sweep, concurrency FROM load_runs")
    assert runs == [("concurrency 1", "concurrency=1,2", 1), ("concurrency 2", "concurrency=1,2", 2)]


def test_exports(load: Load, recordings: dict[str, Path], tmp_path: Path) -> None:
    files = ("--export-jsonl", "r.jsonl", "--export-vllm", "v.json", "--export-aiperf", "aiperf")
    done = load(*of(recordings, "good", "--save-events", *files))
    assert done.returncode in (0, 3), done.stderr
    requests = [json.loads(text) for text in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert sorted(request["number"] for request in requests) == list(range(8))
    vllm = json.loads((tmp_path / "v.json").read_text())
    assert (vllm["completed"], vllm["output_lens"], len(vllm["itls"][0])) == (6, [EVENTS] * 6, EVENTS - 1)
    records = (tmp_path / "aiperf" / "profile_export.jsonl").read_text().splitlines()
    assert len(records) == 8
    whole = json.loads((tmp_path / "aiperf" / "profile_export_aiperf.json").read_text())
    assert whole["request_count"]["avg"] == 6


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--slo", "ttft:p99<soon"), "--slo ttft:p99<soon"),
        (("--goodput", "speed:5"), "--goodput speed:5"),
        (("stray",), "'stray' is no option"),
        (("--sweep", "rate=1,2", "--export-jsonl", "x"), "exports are of one run"),
        (("--expect-workers", "2", "--workers", "2"), "--expect-workers"),
        (("--expect-workers", "2", "--bind", "here"), "'here' is no HOST:PORT"),
        (("--price", "cheap"), "--price 'cheap'"),
        (("--export-jsonl", "no/such/folder/x"), "no folder no/such/folder"),
        (("--concurrency", "0"), "--concurrency 0"),
    ],
)
def test_bad_options_are_one_line(
    options: tuple[str, ...], named: str, load: Load, recordings: dict[str, Path], tmp_path: Path
) -> None:
    done = load("--from", str(recordings["good"]), *options)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("harness: error: ")
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("**/*.db"))


LOGGED = ("--gpu", "nvml", "--gpu-rate", "10")
WATTS_OF_BOTH = 300


def test_cards_are_logged_on_the_runs_clock(
    load: Load, recordings: dict[str, Path], tmp_path: Path, cards: Environment
) -> None:
    environment = cards(NVML_XID="0:79@0.2")
    done = load(*of(recordings, "good", *LOGGED, "--request-count", "40", "--json"), env=environment)
    assert done.returncode in (0, 3), done.stderr
    told = json.loads(done.stdout)
    figures, gpu = told["figures"], told["figures"]["gpu"]
    joules = WATTS_OF_BOTH * figures["window_s"]
    assert gpu["energy_joules"] == pytest.approx(joules, rel=0.1)
    assert gpu["output_tokens_per_joule"] == pytest.approx(40 * EVENTS / joules, rel=0.1)
    assert [card["energy_source"] for card in gpu["gpus"]] == ["counter", "counter"]
    path = tmp_path / "run.db"
    (kept,) = rows(path, "SELECT figures FROM load_runs")[0]
    assert json.loads(kept) == figures
    ended_s = "(julianday(ended_at) - julianday(started_at)) * 86400"
    ((first_s, last_s, sent_s, end_s, run_s),) = rows(
        path,
        "SELECT min(at_ns) / 1e9, max(at_ns) / 1e9, (SELECT min(sent_ns) / 1e9 FROM load_requests),"
        f" (SELECT max(end_ns) / 1e9 FROM load_requests), (SELECT {ended_s} FROM load_runs) FROM gpu_samples",
    )
    assert 0 < first_s < sent_s < end_s < last_s < run_s
    assert rows(path, "SELECT count(*) FROM gpus WHERE run_id = 1") == [(2,)]
    assert rows(path, "SELECT code FROM gpu_events WHERE what = 'xid'") == [(79,)]
    assert sorted(child.name for child in tmp_path.iterdir()) == ["run.db"]


def test_a_person_reads_of_cards_too(load: Load, recordings: dict[str, Path], cards: Environment) -> None:
    options = ("--gpu", "nvml", "--gpus", "1", "--request-count", "600", "--concurrency", "8")
    done = load(*of(recordings, "good", *options), env=cards())
    assert done.returncode in (0, 3), done.stderr
    energy, card = (line for line in done.stdout.splitlines() if line.startswith(("energy ", "GPU ")))
    assert "output tokens/J" in energy
    assert card.startswith("GPU 1 Test Card B on ")
    assert "power 200 W" in card
    assert "| GPU 200 W busy " in done.stderr  # while it goes on


def test_a_sweep_compares_tokens_a_joule(
    load: Load, recordings: dict[str, Path], tmp_path: Path, cards: Environment
) -> None:
    options = ("--sweep", "concurrency=1,4", "--request-count", "20", "--db", "run.db", "--quiet")
    done = load("--from", str(recordings["good"]), *options, *LOGGED, env={**cards(), "COLUMNS": "250"})
    assert done.returncode in (0, 3), done.stderr
    head, first, second = done.stdout.splitlines()[-3:]
    assert head.split()[-3:] == ["tokens", "per", "joule"]
    assert float(first.split()[-1]) < float(second.split()[-1])
    counts = rows(tmp_path / "run.db", "SELECT run_id, count(*) FROM gpus GROUP BY 1")
    assert counts == [(1, 2), (2, 2)]


def test_cards_of_another_host(
    load: Load, recordings: dict[str, Path], tmp_path: Path, cards: Environment
) -> None:
    serve = harness_command("gpu", "--serve", "127.0.0.1:0", "--rate", "10")
    with subprocess.Popen(serve, env=cards(), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[4]
        options = ("--request-count", "40", "--json", "--quiet", "--gpu-rate", "10")
        done = load(*of(recordings, "good", *options, "--gpu", url), env=without_cards())
        server.terminate()
        server.stdout.read()
    assert (done.returncode in (0, 3), done.stderr) == (True, "")
    figures = json.loads(done.stdout)["figures"]
    assert figures["gpu"]["energy_joules"] == pytest.approx(WATTS_OF_BOTH * figures["window_s"], rel=0.2)
    assert rows(tmp_path / "run.db", "SELECT count(*) FROM gpu_samples WHERE error_ns > 0")[0][0] > 5


@pytest.mark.parametrize("source", ["nvml", "http://127.0.0.1:1"])
def test_without_cards_the_run_goes_on_and_one_line_says_so(
    source: str, load: Load, recordings: dict[str, Path], tmp_path: Path, cards: Environment
) -> None:
    environment = cards(NVML_INIT="9")
    with_log = load(*of(recordings, "good", "--quiet", "--json", "--gpu", source), env=environment)
    (line,) = with_log.stderr.splitlines()
    assert line.endswith(": the run goes on without a GPU log")
    assert with_log.returncode in (0, 3)
    assert json.loads(with_log.stdout)["figures"]["gpu"] is None
    assert rows(tmp_path / "run.db", "SELECT count(*) FROM load_requests") == [(8,)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--gpu", "dcgm"), "there is no GPU source 'dcgm': 'nvml', a URL, or 'off'"),
        (("--gpu", "nvml", "--gpus", "7"), "there is no GPU '7'; there are 0 (GPU-00000000-aaaa)"),
        (("--gpu", "nvml", "--gpu-rate", "20"), "20 samples a second is out of bounds"),
        (("--gpu", "ftp://host"), "'ftp://host' is no URL to read GPU metrics from"),
        (("--gpus", "0"), "--gpus needs --gpu"),
        (("--gpu-rate", "2"), "--gpu-rate needs --gpu"),
    ],
)
def test_cards_that_are_asked_for_wrongly(
    options: tuple[str, ...], said: str, load: Load, tmp_path: Path, cards: Environment
) -> None:
    done = load(*options, env=cards())
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_no_target_is_one_line() -> None:
    done = subprocess.run(harness_command("load"), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "--target" in done.stderr
