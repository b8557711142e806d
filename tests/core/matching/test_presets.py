"""The presets: each rule leads somewhere, and the page on matching has the table as it is."""

import json
from pathlib import Path

import pytest

from harness.core.dialects.table import DIALECTS
from harness.core.matching.paths import parse_path
from harness.core.matching.presets import HABITS

PAGE = Path(__file__).parents[3] / "docs" / "matching.md"


def test_every_dialect_has_habits() -> None:
    assert set(HABITS) == {row.name for row in DIALECTS}


@pytest.mark.parametrize("dialect", HABITS)
def test_the_page_has_the_row_of_each_dialect(dialect: str) -> None:
    habits = HABITS[dialect]
    assert all(map(parse_path, (*habits.defaults, *habits.aside)))
    defaults = ", ".join(f"`{path[1:]}: {json.dumps(value)}`" for path, value in habits.defaults.items())
    aside = ", ".join(f"`{path}`" for path in habits.aside)
    assert f"| `{dialect}` | {defaults} | {aside} |" in PAGE.read_text("utf-8").splitlines()
