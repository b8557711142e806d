"""Files whose tests wait for processes run first, the shortest last.

So the workers of pytest-xdist, which take a file at a time, end together: what is left over at the end is
short. Within a file the order stays. `make test` has as many workers as there is waiting to fill.
"""

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DEAR = ("probe", "loadtests", "cli", "report", "record", "replay", "demo", "load", "convert", "validate")
"""Folders of files that start programs or compute for long, those with the longest files first."""


def place(path: Path) -> int:
    """Where a file's folder stands among the dear ones; all others come after them."""
    return next((at for at, name in enumerate(DEAR) if TESTS / name in path.parents), len(DEAR))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place(item.path))
