"""The SQL in the docs runs on a recording."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.core.exchange import Exchange

PAGES = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
STATEMENTS = [
    statement.strip()
    for page in PAGES
    for block in re.findall(r"```sql\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    for statement in block.split(";")
    if statement.strip()
]


def test_there_are_some() -> None:
    assert len(STATEMENTS) >= 7


@pytest.mark.parametrize("statement", STATEMENTS)
def test_it_runs(write: Callable[..., Path], make_exchange: Callable[..., Exchange], statement: str) -> None:
    with closing(sqlite3.connect(write(make_exchange()))) as connection:
        connection.execute(statement).fetchall()
