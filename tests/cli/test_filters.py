"""The filters, the order and the limit as options: the same in every command that takes them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.app import main
from harness.cli.filters import FILTERS
from harness.cli.output import Column, Order
from harness.core.errors import BadInput
from harness.core.exchange import Exchange, State

ROWS: list[dict[str, Any]] = [
    {"a": 2, "b": "x"},
    {"a": None, "b": "y"},
    {"a": 1, "b": "x"},
    {"a": 3, "b": None},
]
COLUMNS = [Column("a"), Column("b"), Column("c_d"), Column("e", sorts=False)]


@pytest.fixture
def paths(make_exchange: Callable[..., Exchange], write: Callable[..., Path]) -> list[str]:
    """The same three exchanges in both forms: a short stream, a longer one, one that the client left."""
    stored = [
        make_exchange(model="small"),
        make_exchange(*"abcdefgh", model="big", start=1),
        make_exchange("a", model="small", start=2, state=State.CLIENT_ABORT),
    ]
    return [str(write(*stored, name=name)) for name in ("a.db", "a.jsonl")]


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ([], [1, 2, 3]),
        (["--model", "small"], [1, 3]),
        (["--model", "b*", "--model", "small", "--state", "complete"], [1, 2]),
        (["--status", "4xx"], []),
        (["--status", "200,404", "--limit", "2"], [1, 2]),
        (["--since", "2026-01-02T03:04:01Z", "--until", "2026-01-02T03:04:02Z"], [2]),
        (["--since", "1h"], []),
        (["--where", "chunk_count > 3", "--path", "/v1/*", "--dialect", "openai.chat"], [1, 2]),
        (["--upstream", "openai", "--sort", "-duration-ms"], [2, 1, 3]),
        (["--sort", "model,-id", "--limit", "2"], [2, 3]),
        (["--limit", "0"], []),
    ],
)
def test_ls(
    paths: list[str], arguments: list[str], ids: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in paths:
        assert main(["ls", path, "--json", *arguments]) == 0
        assert [row["id"] for row in json.loads(capsys.readouterr().out)] == ids


def test_stats(paths: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--state", "complete", "--where", "tokens_out = 3", "--sort", "-model"]
    assert main(["stats", *paths, "--json", *arguments]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["model"], row["exchanges"], row["states"]) for row in rows] == [
        ("small", 2, {"complete": 2}),
        ("big", 2, {"complete": 2}),
    ]
    assert main(["stats", *paths, "--json", *arguments, "--limit", "1", "--model", "big"]) == 0
    assert [row["model"] for row in json.loads(capsys.readouterr().out)] == ["big"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--status", "abc"], "--status 'abc' is no status"),
        (["--state", "done"], "'done' is not one of 'complete'"),
        (["--since", "soon"], "--since 'soon' is no moment"),
        (["--until", ""], "--until '' is no moment"),
        (["--where", "colour = 1"], "no such column: colour"),
        (["--sort", "colour"], "there is no column 'colour'; there are"),
        (["--limit", "-1"], "--limit"),
    ],
)
@pytest.mark.parametrize("command", ["ls", "stats"])
def test_bad_input_is_one_line(
    command: str, arguments: list[str], words: str, paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, paths[0], *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_settings_know_them(
    paths: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_LS_MODEL", "none big")
    assert main(["ls", paths[0], "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == [2]
    assert main(["config", "--json"]) == 0
    variables = {row["variable"] for row in json.loads(capsys.readouterr().out)}
    wanted = {f"HARNESS_{command}_{name}".upper() for command in ("ls", "stats") for name in FILTERS}
    assert wanted <= variables


@pytest.mark.parametrize(
    ("sort", "limit", "order"),
    [
        (None, None, [2, None, 1, 3]),
        ("a", None, [1, 2, 3, None]),
        ("-a", 2, [3, 2]),
        ("b,-a", None, [2, 1, None, 3]),
        (" -b , a ", None, [None, 1, 2, 3]),
        ("a", 0, []),
    ],
)
def test_order(sort: str | None, limit: int | None, order: list[int | None]) -> None:
    assert [row["a"] for row in Order.of(COLUMNS, sort, limit).arranged(ROWS)] == order


@pytest.mark.parametrize("sort", ["", "-", "e", "a,,b", "A"])
def test_what_is_no_column(sort: str) -> None:
    with pytest.raises(BadInput, match="there are a, b, c_d"):
        Order.of(COLUMNS, sort, None)
    assert Order.of(COLUMNS, "-c-d", None).columns == (("c_d", True),)
