"""Tables on wide and narrow terminals, and in pipes; nothing in them is obeyed."""

import os
import pty
import subprocess
import sys
from collections.abc import Sequence

import pytest
from rich.cells import cell_len

from harness.cli.output import Column, Row
from harness.cli.terminal import SafeConsole, print_table, table_of

COLUMNS = [
    Column("id", right=True),
    Column("path", folds=True),
    Column("first_time", rank=2),
    Column("model", rank=1),
]
ROWS = [
    {"id": 1, "path": "/short", "first_time": "yesterday", "model": "tiny"},
    {"id": 2, "path": "/" + "x" * 60, "first_time": "today", "model": "[bold]日本[/bold]"},
]


def printed(width: int | None, capsys: pytest.CaptureFixture[str], rows: Sequence[Row] = ROWS) -> list[str]:
    """The lines of the table at this width."""
    console = SafeConsole(width)
    console.print(table_of(COLUMNS, rows, console.width))
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_a_pipe_gets_every_column_in_full(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["id", "path", "first", "time", "model"]
    assert lines[2].split() == ["2", "/" + "x" * 60, "today", "[bold]日本[/bold]"]
    assert len(lines) == 3
    assert [line.index(word) for line, word in zip(lines, ("path", "/short", "/x"), strict=True)] == [4] * 3


def test_a_value_that_is_very_long_widens_its_own_row_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(COLUMNS, [ROWS[0], ROWS[1] | {"path": "/" * 150_000}])
    _, short, long = capsys.readouterr().out.splitlines()
    assert len(short) < 250
    assert long.split()[1] == "/" * 150_000
    assert long.endswith("today       [bold]日本[/bold]")


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (67, ["id path first time model"]),
        (66, ["first", "id path time model"]),
        (65, ["id path model"]),
        (55, ["id path model"]),
        (54, ["id path"]),
        (20, ["id path"]),
    ],
)
def test_titles_are_stacked_and_then_columns_leave(
    width: int, titles: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(width, capsys)
    header = [line for line in lines if "/" not in line and "x" not in line]
    assert sorted(" ".join(line.split()) for line in header) == sorted(titles)
    assert max(map(cell_len, lines)) <= width
    assert "".join(lines).count("x") == 60


def test_no_rows_are_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(80, capsys, []) == ["id  path  first time  model"]


PROGRAM = """
from harness.cli.output import Column, print_rows
print_rows([Column("a"), Column("b")], [{"a": "[red]é[/red]\\x1b[31m", "b": 1}], as_json=False)
"""


def run_on_terminal(environment: dict[str, str]) -> bytes:
    """What a terminal of its own receives from the program."""
    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-c", PROGRAM]
        subprocess.run(command, stdout=theirs, env={**os.environ, **environment}, check=True)
        return os.read(ours, 100_000)
    finally:
        os.close(ours)
        os.close(theirs)


def test_colours_are_for_terminals_and_text_is_never_markup() -> None:
    plain = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    on_terminal = run_on_terminal({"TERM": "xterm-256color", "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"})
    piped = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, env=plain).stdout
    assert b"\x1b[1m" in on_terminal
    assert b"\x1b" not in piped
    for output in (on_terminal, piped):
        assert "[red]é[/red]␛[31m".encode() in output


def test_what_the_encoding_lacks_is_escaped() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, env=environment)
    assert "[red]é[/red]\\u241b[31m".encode("latin-1") in done.stdout


DRAWING = """
from harness.cli.terminal import SafeConsole
SafeConsole().print(" ▁▂▃▄▅▆▇█ …▶ é")
"""


@pytest.mark.parametrize(
    ("encoding", "drawn"), [("ascii", b" .:-=+*%# ~> \\xe9"), ("utf-8", " ▁▂▃▄▅▆▇█ …▶ é".encode())]
)
def test_lines_are_drawn_in_ascii_where_the_encoding_lacks_blocks(encoding: str, drawn: bytes) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", DRAWING], capture_output=True, check=True, env=environment)
    assert done.stdout.rstrip() == drawn.rstrip()
