"""`harness ls`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.app import main
from harness.cli.ls import COLUMNS, readable_time
from harness.core.exchange import Exchange, Request, State

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]


@pytest.fixture
def exchanges(make_exchange: MakeExchange) -> list[Exchange]:
    """A stream whose model is a terminal's escape, and a request that got no answer."""
    failed = Exchange(
        Request("GET", "http://b.test/v1/models?a=1"), None, State.CONNECT_FAILED, end_ns=2_000_000
    )
    return [make_exchange(model="\x1b[2J[red]"), failed]


@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_json_is_the_same_for_both_forms(
    name: str, exchanges: list[Exchange], write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ls", str(write(*reversed(exchanges), name=name)), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [list(row) for row in rows] == [[column.name for column in COLUMNS]] * 2
    assert rows == [
        {
            "id": 1, "time": None, "upstream": None, "method": "GET", "path": "/v1/models?a=1",
            "status": None, "model": None, "dialect": "bytes", "events": 0, "chunks": 0, "tokens_in": None,
            "tokens_out": None, "ttft_ms": None, "duration_ms": 2.0, "gap_max_ms": None,
            "gaps_ms": None, "state": "connect_failed",
        },
        {
            "id": 2, "time": "2026-01-02T03:04:00.5Z", "upstream": "openai", "method": "POST",
            "path": "/v1/chat/completions", "status": 200, "model": "\x1b[2J[red]", "dialect": "openai.chat",
            "events": 5, "chunks": 5, "tokens_in": 5, "tokens_out": 3, "ttft_ms": 100.0, "duration_ms": 141.0,
            "gap_max_ms": 10.0, "gaps_ms": [10.0] * 4, "state": "complete",
        },
    ]  # fmt: skip


def test_the_table(exchanges: list[Exchange], write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", str(write(*exchanges))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    titles = [column.title for column in COLUMNS]
    assert all(title in lines[0] for title in titles)
    assert "connect_failed" in lines[1]
    assert "␛[2J[red]" in lines[2]
    assert "2026-01-02 03:04:00" in lines[2]


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("no recording")
    for path in (tmp_path / "a.txt", tmp_path / "none.db", tmp_path):
        assert main(["ls", str(path)]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"harness: error: {path} ")
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("started_at", "shown"),
    [
        (None, ""),
        ("2026-01-02T03:04:05Z", "2026-01-02 03:04:05"),
        ("2026-01-02T03:04:05.25+02:00", "2026-01-02 03:04:05+02:00"),
        ("3.5 T\x1b", "3.5 T␛"),
    ],
)
def test_readable_time(started_at: str | None, shown: str) -> None:
    assert readable_time(started_at) == shown
