"""The command `harness replay`: its options, its words for bad input, programs that run on it."""

import errno
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from harness.child import harness_command

LINE = (
    '{"request": {"method": "GET", "url": "http://u/v1/models", "headers": [], "body": ""},'
    ' "response": {"status": 200, "headers": [], "chunks": [[0, "hello"]]}, "upstream": "openai"}\n'
)


def harness(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **(environment or {})}
    command = harness_command(*arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=variables, check=False)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "rec.jsonl"
    path.write_text(LINE)
    return path


BAD = {
    "negative speed": (["--speed", "-1"], "--speed -1"),
    "no number": (["--speed", "fast"], "--speed"),
    "not a speed": (["--speed", "nan"], "--speed nan"),
    "negative age": (["--max-age", "-1"], "--max-age"),
    "port too high": (["--port", "70000"], "--port"),
    "unknown option": (["--sped", "1"], "--sped"),
    "nothing behind --": (["--"], "'--'"),
    "no such program": (["--port", "0", "--", "no-such-program"], "no-such-program"),
    "no such address": (["--host", "no.such.host.invalid", "--port", "0"], "no.such.host.invalid"),
}


def assert_one_line(done: subprocess.CompletedProcess[str], named: str) -> None:
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("harness: error: ")
    assert named in line


@pytest.mark.parametrize(("options", "named"), BAD.values(), ids=BAD)
def test_bad_options_are_one_line(options: list[str], named: str, recording: Path) -> None:
    assert_one_line(harness("replay", str(recording), *options), named)


def test_port_in_use_is_one_line(recording: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert_one_line(harness("replay", str(recording), "--port", port), port)


@pytest.mark.parametrize(
    ("content", "named"),
    [("hello\n", "rec.jsonl"), (LINE + '{"request": 1}\n', "line 2"), (LINE + LINE[:50], "line 2")],
)
def test_bad_files_are_one_line(content: str, named: str, recording: Path) -> None:
    recording.write_text(content)
    assert_one_line(harness("replay", str(recording), "--port", "0"), named)


def test_missing_and_foreign_files_are_one_line(tmp_path: Path) -> None:
    assert_one_line(harness("replay", str(tmp_path / "none.db")), "none.db")
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("create table other (id integer)")
    connection.close()
    assert_one_line(harness("replay", str(foreign)), "foreign.db")
    assert sorted(tmp_path.iterdir()) == [foreign], "nothing was written"


FETCH = """
import os, urllib.request
print(urllib.request.urlopen(os.environ["OPENAI_BASE_URL"] + "/models").read())
print(os.environ["OPENAI_API_KEY"], os.environ.get("ANTHROPIC_BASE_URL"))
"""


def test_a_program_runs_on_the_server_and_ends_it(recording: Path) -> None:
    program = [sys.executable, "-c", FETCH]
    unset = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    command = harness_command("replay", str(recording), "--port", "0", "--", *program)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=unset, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["b'hello'", "placeholder-for-replay None"]


MISS = "import os, urllib.request as u\n" + "{}u.urlopen(os.environ['OPENAI_BASE_URL'] + '/nothing')\n"


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("raise SystemExit(7)", 7),
        (MISS.format(""), 1),
        (MISS.format("try:\n    ") + "except OSError:\n    pass", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 128 + signal.SIGTERM),
    ],
    ids=["its own failure", "its failure at a miss", "a miss that it swallowed", "killed"],
)
def test_exit_code_is_the_programs_or_that_of_a_miss(source: str, code: int, recording: Path) -> None:
    done = harness("replay", str(recording), "--port", "0", "--", sys.executable, "-c", source)
    assert done.returncode == code, done.stderr


def test_two_upstreams_are_kept_apart_for_a_program(recording: Path) -> None:
    recording.write_text(LINE + LINE.replace("hello", "other").replace('"openai"', '"mine"'))
    source = "import os, urllib.request as u\n" + "\n".join(
        f"print(u.urlopen(os.environ['{name}'] + '{path}').read())"
        for name, path in {"OPENAI_BASE_URL": "/models", "MINE_BASE_URL": "/v1/models"}.items()
    )
    done = harness("replay", str(recording), "--port", "0", "--", sys.executable, "-c", source)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["b'hello'", "b'other'"]


def test_a_program_on_an_empty_recording_does_not_reach_the_real_api(recording: Path) -> None:
    recording.write_text("")
    source = "import os; print(os.environ['OPENAI_BASE_URL'], os.environ['ANTHROPIC_BASE_URL'])"
    done = harness("replay", str(recording), "--port", "0", "--", sys.executable, "-c", source)
    assert done.returncode == 0, done.stderr
    openai, anthropic = done.stdout.splitlines()[-1].split()
    assert openai == f"{anthropic}/v1"
    assert anthropic.startswith("http://127.0.0.1:")


def test_a_port_in_use_is_told_in_one_plain_line(recording: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = harness("replay", str(recording), "--port", str(port))
    why = f"cannot listen on 127.0.0.1:{port}: {os.strerror(errno.EADDRINUSE)}; try --port 0"
    assert (done.returncode, done.stderr) == (2, f"harness: error: {why}\n")


def test_unused_and_old_exchanges_fail_when_asked(recording: Path) -> None:
    done = harness("replay", str(recording), "--strict", "--max-age", "30", "--json", "--", "true")
    assert done.returncode == 1
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["unused"], said["strict"]) == (["1 GET /v1/models"], True)
    assert said["stale"] == ["1 GET /v1/models, recorded at an unknown time"]
    assert "1 of 1 exchange unused, 1 too old" in done.stderr
    assert "too old: 1 GET /v1/models, recorded at an unknown time" in done.stderr
