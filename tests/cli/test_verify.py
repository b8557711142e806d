"""The command `harness verify` on recordings of every end."""

import json
import subprocess
from pathlib import Path

import pytest

from harness.child import harness_command
from harness.cli.verify import print_report, row_of, summary_of
from harness.core.admin import Timing
from harness.core.exchange import Exchange, Headers, Request, Response, State
from harness.core.interchange import to_line
from harness.verify.compare import Compared, Verdict
from harness.verify.document import VerificationDocument
from harness.verify.run import Verification

MS = 1_000_000
TIMING = Timing(writes=0, p50_ms=None, p99_ms=None, max_ms=None, held_by_slow_readers=0)
SSE: Headers = (("content-type", "text/event-stream"),)
EVENTS = tuple(
    (at * MS, b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n') for at in range(20, 220, 20)
)


def exchange(state: State, chunks: tuple[tuple[int, bytes], ...] = EVENTS, body: bytes = b"{}") -> Exchange:
    request = Request("POST", "http://u/v1/chat/completions", (("content-type", "application/json"),), body)
    return Exchange(request, Response(200, SSE, 10 * MS, chunks, 220 * MS), state)


def verify(path: Path, *options: str) -> tuple[int, dict[str, object]]:
    command = harness_command("verify", str(path), "--json", *options)
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    VerificationDocument.model_validate_json(done.stdout)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "rec.jsonl"
    repeats = [exchange(State.COMPLETE, ((10 * MS, text),)) for text in (b"first", b"second")]
    nothing = Exchange(Request("GET", "http://u/x"), None, State.UPSTREAM_CUT, end_ns=30 * MS)
    every_end = [exchange(state) for state in State]
    path.write_text("".join(to_line(one) + "\n" for one in (*every_end, *repeats, nothing)))
    return path


def test_every_end_and_every_repeat_is_replayed_with_equal_bytes(recording: Path) -> None:
    code, report = verify(recording, "--tolerance-ms", "10000")
    exchanges = report["exchanges"]
    assert isinstance(exchanges, list)
    assert [row["bytes"] for row in exchanges] == ["equal"] * (len(State) + 2)
    assert (code, report["verdict"]) == (0, "met")
    assert report["skipped"] == [list(State).index(State.INTERRUPTED) + 1]
    assert exchanges[0]["ttft_ms"] == 20.0
    assert {row["what"].split(":")[0] for row in report["summary"]} >= {"drift", "floor"}  # type: ignore[attr-defined]


def test_a_tolerance_that_no_machine_can_keep_is_not_met(recording: Path) -> None:
    code, report = verify(recording, "--tolerance-ms", "0.001")
    assert (code, report["verdict"]) in [(1, "not met"), (3, "machine too noisy to tell")]


def test_the_table_ends_with_the_verdict(recording: Path) -> None:
    command = harness_command("verify", str(recording), "--tolerance-ms", "10000")
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.splitlines()[-1] == "verdict: met (tolerance: p99 of 10000 ms)"
    assert done.stderr == ""


def test_the_working_directory_may_have_modules_of_any_name(recording: Path) -> None:
    (recording.parent / "json.py").write_text("raise SystemExit(1)")
    command = harness_command("verify", recording.name, "--tolerance-ms", "10000")
    done = subprocess.run(command, cwd=recording.parent, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    command = harness_command("verify", str(tmp_path / "none.db"))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize("verdict", Verdict)
def test_where_the_machine_is_too_noisy_it_says_how_noisy_and_what_to_try(
    verdict: Verdict, capsys: pytest.CaptureFixture[str]
) -> None:
    late = Compared(1, "GET /", "complete", 1, None, (9 * MS,), None, None)
    result = Verification((late,), (), (MS, 4 * MS), (3 * MS,), TIMING, verdict)
    print_report(result, [row_of(late)], summary_of(result), 5)
    told = "the machine itself stood still for up to 4.0 ms: try again" in capsys.readouterr().out
    assert told == (verdict is Verdict.TOO_NOISY)
