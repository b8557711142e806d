"""The command `harness run`: what is asked of it, and what becomes of the recording."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.child import harness_command
from harness.cli.app import main
from harness.store.open import open_recording
from tests.plugins.wire import Upstream

ASK = """
import os, sys, urllib.error, urllib.request
for path in sys.argv[1:]:
    try:
        urllib.request.urlopen(os.environ["OPENAI_BASE_URL"] + path, timeout=30).close()
    except urllib.error.HTTPError as error:
        error.close()
"""


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--", "true"), "a.db does not exist: is the path right? --record-mode once records it"),
        (("--record-mode", "once", "--", "true"), "this --record-mode records: say from where"),
        (("--record-mode", "never", "--", "true"), "Invalid value for '--record-mode'"),
        ((), "harness run runs the command behind '--'"),
    ],
)
def test_bad_input_is_one_line(
    options: tuple[str, ...],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--db", "a.db", *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("mode", ["once", "new_episodes", "all"])
def test_ci_never_records(
    mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    options = ("--record-mode", mode, "--upstream", "http://127.0.0.1:9", "--", "true")
    assert main(["run", "--db", str(tmp_path / "a.db"), *options]) == 2
    assert "nothing is recorded where CI is set" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def harness_run(db: Path, *options: str, asks: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    line = ("run", "--db", str(db), *options, "--", sys.executable, "-c", ASK, *asks)
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        harness_command(*line), capture_output=True, text=True, env=environment, timeout=60, check=False
    )


def paths(db: Path) -> list[str]:
    with open_recording(db) as recording:
        return [one.path for one in recording.listing()]


def test_the_modes_one_after_another(upstream: Upstream, tmp_path: Path) -> None:
    """`once` records, `new_episodes` adds what is new, `none` replays, `all` records anew."""
    for path in ("/v1/a", "/v1/b"):
        upstream.on(path, upstream.head(200, "Content-Length: 2"), b"ok")
    db, source = tmp_path / "a.db", ("--upstream", f"openai={upstream.url}")
    for mode, asks, code, asked, kept in (
        ("once", ("/a",), 0, 1, ["/v1/a"]),
        ("new_episodes", ("/a", "/b"), 0, 2, ["/v1/a", "/v1/b"]),
        ("once", ("/a", "/c"), 1, 2, ["/v1/a", "/v1/b"]),
        ("all", ("/b",), 0, 3, ["/v1/b"]),
    ):
        done = harness_run(db, "--record-mode", mode, *source, asks=asks)
        assert (done.returncode, len(upstream.requests), paths(db)) == (code, asked, kept), done.stderr
        assert (f"harness run: {db} is recorded\n" in done.stderr) is (asked in (1, 3))
