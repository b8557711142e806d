"""`harness report`: pages, JSON and Markdown of runs and recordings."""

import json
from pathlib import Path

import pytest

from harness.cli.app import main
from tests.plugins.probes import made_probe
from tests.plugins.results import made_result
from tests.plugins.stored import stored_run

RECORDING = Path(__file__).parents[2] / "recordings" / "tiny-llama.db"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A recording of two runs, in the working directory."""
    monkeypatch.chdir(tmp_path)
    stored_run(tmp_path / "runs.db", [made_result(0)], name="first")
    stored_run(tmp_path / "runs.db", [made_result(0, first_token=50)], name="second")
    return "runs.db"


def test_a_page_of_the_last_run_is_written_here(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", runs]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("runs.html: ")
    assert "<h1>second</h1>" in Path("runs.html").read_text(encoding="utf-8")


def test_json_is_the_document_and_writes_no_page(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", runs, "--run", "1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["about"]["name"]) == ("run", "first")
    assert not Path("runs.html").exists()


def test_markdown_and_a_page_go_together(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", runs, "--markdown", "-o", "page.html"]) == 0
    assert "**✅ VALID** `second`" in capsys.readouterr().out
    assert Path("page.html").exists()


@pytest.mark.parametrize(
    "chosen", [["runs.db", "--run", "1", "--run", "2"], ["runs.db", "runs.db", "--run", "1", "--run", "2"]]
)
def test_two_runs_are_compared(runs: str, chosen: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", *chosen, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["a"]["about"]["name"], document["b"]["about"]["name"]) == (
        "comparison",
        "first",
        "second",
    )


def test_a_recording_without_runs_is_told_by_its_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(RECORDING), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "recording"


def test_a_probe_is_told_by_what_it_said(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("probe.json").write_text(made_probe().model_dump_json(indent=1), encoding="utf-8")
    assert main(["report", "probe.json", "--json", "-o", "page.html"]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "probe"
    assert "<h1>http://gateway/seen</h1>" in Path("page.html").read_text(encoding="utf-8")
    for arguments in (["probe.json", runs], ["probe.json", "--run", "1"]):
        assert main(["report", *arguments]) == 2
        assert "a report of a probe is of that alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.db"], "missing.db does not exist"),
        (["runs.db", "--run", "7"], "runs.db has no load run 7: it holds 1, 2"),
        (["runs.db", "runs.db", "--run", "1"], "--run must name a run of each"),
        (["runs.db", "runs.db", "runs.db"], "one run, or two side by side"),
        (["runs.db", "--json", "--markdown"], "ask for one of them"),
        (["runs.db", "-o", "runs.db"], "runs.db is a database"),
        (["runs.db", str(RECORDING)], "has no load run: it holds no load run"),
        (["broken.json"], "broken.json is no whole JSON document"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    runs: str, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken.json").write_text(made_probe().model_dump_json()[:300], encoding="utf-8")
    assert main(["report", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
