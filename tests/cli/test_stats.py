"""`harness stats`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.app import main
from harness.cli.stats import COLUMNS, EDGES_MS, spread
from harness.core.exchange import Exchange, Request, State

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]


@pytest.fixture
def paths(make_exchange: MakeExchange, write: Write) -> list[str]:
    """Two files with two models and a failure, one of each form."""
    failed = Exchange(Request("GET", "http://b.test/"), None, State.CONNECT_FAILED)
    first = write(make_exchange(model="one"), make_exchange(model="two"), failed)
    aborted = make_exchange(*"abcdef", model="one", state=State.CLIENT_ABORT)
    second = write(aborted, make_exchange(model="one", timing_known=False), name="b.jsonl")
    return [str(first), str(second)]


def rows_of(paths: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The rows as JSON has them."""
    assert main(["stats", *paths, "--json"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


def test_groups_are_models_in_dialects_over_all_files(
    paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of(paths, capsys)
    assert [list(row) for row in rows] == [[column.name for column in COLUMNS]] * 3
    assert [(row["model"], row["dialect"], row["exchanges"]) for row in rows] == [
        (None, "bytes", 1), ("one", "openai.chat", 3), ("two", "openai.chat", 1),
    ]  # fmt: skip
    assert rows[1]["states"] == {"complete": 2, "client_abort": 1}


def test_figures(paths: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    failed, one, two = rows_of(paths, capsys)
    assert [one[f"ttft_{q}_ms"] for q in ("p50", "p90", "p99", "max")] == [100.0] * 4
    assert [two[f"icl_{q}_ms"] for q in ("p50", "p90", "p99", "max")] == [10.0] * 4
    assert (one["tokens_in"], one["tokens_out"]) == (15, 9)
    assert one["tokens_per_s"] == pytest.approx(6 / (0.141 + 0.171), abs=0.001)  # without unknown times
    assert sum(one["icl_spread"]["counts"]) == 2 + 5
    assert {failed[name] for name in ("ttft_p50_ms", "icl_max_ms", "tokens_per_s", "tokens_in")} == {None}


def test_the_table(paths: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", *paths]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "ttft p50 ms" in lines[0]
    assert "complete 2, client_abort 1" in lines[2]
    assert "█" in lines[2]


@pytest.mark.parametrize(
    ("gap_ns", "place"), [(0, 0), (9_999, 0), (10_000, 1), (1_000_000, 5), (10**10, len(EDGES_MS))]
)
def test_the_spread_is_open_at_both_ends(gap_ns: int, place: int) -> None:
    counts = spread([gap_ns])["counts"]
    assert len(counts) == len(EDGES_MS) + 1
    assert [number for number, count in enumerate(counts) if count] == [place]


def test_damage_names_file_and_line(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.jsonl").write_text('{"request": 1}\n')
    assert main(["stats", *paths, str(tmp_path / "c.jsonl")]) == 2
    assert "c.jsonl: line 1: request: should be an object" in capsys.readouterr().err
