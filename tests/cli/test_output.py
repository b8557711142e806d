"""Cells, JSON, sparklines: what rows become."""

import json
from typing import Any

import pytest

from harness.cli.output import Column, cell, decimals, milliseconds, print_rows, sparkline


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (0, "0"),
        (True, "True"),
        (1234.5, "1234"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.01234, "0.012"),
        ("a\n\x1b[31m", "a⏎␛[31m"),
        ({"complete": 2, "\x1b": None}, "complete 2, ␛ "),
    ],
)
def test_a_cell(value: Any, shown: str) -> None:
    assert cell(value) == shown


@pytest.mark.parametrize(
    ("counts", "line"), [([], ""), ([0, 0], "  "), ([0, 1, 8], " ▁█"), ([1, 10_000], "▁█"), ([3], "█")]
)
def test_a_sparkline(counts: list[int], line: str) -> None:
    assert sparkline(counts) == line


def test_milliseconds() -> None:
    assert [milliseconds(ns) for ns in (None, 0, 1_234_567)] == [None, 0.0, 1.235]
    assert [decimals(1)(value) for value in (None, 0.0, 12.34)] == ["", "0.0", "12.3"]


def test_json_has_the_columns_names_and_raw_values_in_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [Column("some_name", show=lambda _: "shown"), Column("other")]
    print_rows(columns, [{"some_name": "\x9b\u202eé", "other": None, "more": 1}], as_json=True)
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == [{"some_name": "\x9b\u202eé", "other": None}]


def test_a_table_has_readable_titles(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([Column("some_name")], [{"some_name": 7}], as_json=False)
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == ["some name", "7"]
