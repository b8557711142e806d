"""`harness export`."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.app import main
from harness.core.exchange import Exchange
from harness.core.interchange import to_line

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]
type FolderState = Callable[[Path], Any]


@pytest.fixture
def path(make_exchange: MakeExchange, write: Write) -> Path:
    """A recording of one stream."""
    return write(make_exchange())


@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_lines_on_stdout(
    name: str, make_exchange: MakeExchange, write: Write, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    exchanges = [make_exchange("a\u2028é", start=1), make_exchange("b", start=2)]
    assert main(["export", str(write(*exchanges, name=name))]) == 0
    expected = "".join(f"{to_line(exchange)}\n" for exchange in exchanges)
    assert capfdbinary.readouterr().out == expected.encode()


def test_into_a_file(path: Path, make_exchange: MakeExchange, capsys: pytest.CaptureFixture[str]) -> None:
    output = path.with_name("out.jsonl")
    for _ in range(2):
        assert main(["export", str(path), "-o", str(output)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"{output}: 1 exchange\n" * 2
    assert output.read_text("utf-8") == to_line(make_exchange()) + "\n"
    assert sorted(found.name for found in path.parent.iterdir()) == ["a.db", "out.jsonl"]
    assert stat.S_IMODE(output.stat().st_mode) == stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("a.db", "is a database: name another file"),
        (".", "is no plain file: name one"),
        ("none/out.jsonl", "cannot be written: there is no folder"),
    ],
)
def test_where_it_does_not_write(
    output: str,
    words: str,
    path: Path,
    folder_state: FolderState,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = folder_state(path.parent)
    assert main(["export", str(path), "-o", str(path.parent / output)]) == 2
    assert words in capsys.readouterr().err
    assert folder_state(path.parent) == before


def test_a_damaged_recording_replaces_nothing(
    make_exchange: MakeExchange, write: Write, folder_state: FolderState, tmp_path: Path
) -> None:
    path = write(make_exchange(), name="a.jsonl")
    path.write_text(path.read_text("utf-8") + "{}\n", "utf-8")
    (tmp_path / "out.jsonl").write_text("precious")
    before = folder_state(tmp_path)
    assert main(["export", str(path), "-o", str(tmp_path / "out.jsonl")]) == 2
    assert folder_state(tmp_path) == before
