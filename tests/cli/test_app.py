"""The command line as a whole: help, the program behind `--`, and output that goes nowhere."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.app import COMMANDS, RUN_PROGRAMS, TAKE_MORE, main
from harness.core.exchange import Exchange

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]

FULL = Path("/dev/full")


@pytest.fixture
def path(make_exchange: MakeExchange, write: Write) -> Path:
    """A recording whose listing and export are longer than any pipe or buffer."""
    return write(*[make_exchange() for _ in range(1000)], name="a.jsonl")


def test_without_arguments_it_helps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    helped = capsys.readouterr()
    assert main(["--help"]) == 0
    assert helped == capsys.readouterr()
    assert helped.err == ""
    assert helped.out.startswith("Usage: harness [OPTIONS] COMMAND [ARGS]...\n")
    assert all(f"\n  {command} " in helped.out for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nope"], 2, "No such command 'nope'; try 'harness --help'"),
        (["ls"], 2, "Missing argument 'recording'; try 'harness ls --help'"),
        (["ls", "--"], 2, "nothing stands behind '--'"),
    ],
)
def test_bad_usage_is_one_line(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert error.startswith(f"harness: error: {words}")
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in (*RUN_PROGRAMS, *TAKE_MORE)])
def test_a_program_that_nobody_would_run_is_refused(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(tmp_path / "a.db"), "--", "true"]) == 2
    error = capsys.readouterr().err
    assert error == (
        f"harness: error: harness {command} runs no program, but one stands behind '--': "
        "harness record, harness replay and harness run do\n"
    )


@pytest.mark.skipif(not FULL.exists(), reason="this system has no full device")
@pytest.mark.parametrize("line", ["--help", "ls", "ls --json", "show 1", "show 1 --json", "stats", "export"])
def test_a_full_disk_is_one_line(line: str, path: Path) -> None:
    command, *rest = line.split()
    arguments = [command] if command == "--help" else [command, str(path), *rest]
    with FULL.open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "harness", *arguments], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.stderr == b"harness: error: cannot write the output: No space left on device\n"
    assert done.returncode == 2


@pytest.mark.parametrize("command", ["ls", "stats"])
def test_a_closed_output_is_no_error(command: str, path: Path) -> None:
    line = f'"{sys.executable}" -m harness {command} "{path}" >&-'
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("arguments", [["ls"], ["ls", "--json"], ["export"]])
def test_a_reader_who_leaves_is_no_error(arguments: list[str], path: Path) -> None:
    command, *rest = arguments
    line = [sys.executable, "-m", "harness", command, str(path), *rest]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0
