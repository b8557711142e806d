"""What the commands print on stdout: tables for people, JSON for machines, of the same rows.

Text in the rows is recorded traffic: it is made visible (`harness.core.visible`), and never read as
markup. This module is light; what needs rich is in `harness.cli.terminal`, imported when it prints.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from harness.core.errors import BadInput
from harness.core.visible import visible

BLOCKS = " ▁▂▃▄▅▆▇█"
NS_PER_MS = 1_000_000

type Row = Mapping[str, Any]


def cell(value: Any) -> str:
    """A value as people read it; figures with three digits that matter.

    >>> cell(None), cell(1234.5), cell(0.0456), cell({"a": 1, "b": 2})
    ('', '1234', '0.046', 'a 1, b 2')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{cell(name)} {cell(item)}" for name, item in value.items())
    return visible(str(value))


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name is the key in a row, and in the JSON.

    Where the terminal is narrow, columns leave in the order of `rank`, highest first; those of rank 0
    stay. `folds`: long values continue on the next line, so that the column asks for `asks` cells at
    most before others leave. `show` makes the text of a cell. `sorts`: rows can be put in its order.
    """

    name: str
    rank: int = 0
    right: bool = False
    folds: bool = False
    asks: int = 32
    show: Callable[[Any], str] = cell
    sorts: bool = True

    @property
    def title(self) -> str:
        """The name as people read it."""
        return self.name.replace("_", " ")


def print_rows(columns: Sequence[Column], rows: Sequence[Row], *, as_json: bool) -> None:
    """Print rows as a table, or as a JSON list of objects."""
    if as_json:
        print_json([{column.name: row[column.name] for column in columns} for row in rows])
        return
    from harness.cli.terminal import print_table  # noqa: PLC0415  rich takes its time

    print_table(columns, rows)


@dataclass(frozen=True, slots=True)
class Order:
    """In which order rows are shown, and how many (None: all). Pairs of a column's name and `downwards`."""

    columns: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None

    @classmethod
    def of(cls, columns: Sequence[Column], sort: str | None, limit: int | None) -> Self:
        """What `--sort` and `--limit` ask for; BadInput where there is no such column."""
        names = [column.name for column in columns if column.sorts]
        wanted = [part.strip() for part in sort.split(",")] if sort is not None else []
        pairs = tuple((part.removeprefix("-").replace("-", "_"), part.startswith("-")) for part in wanted)
        for name, _ in pairs:
            if name not in names:
                raise BadInput(f"--sort {sort!r}: there is no column {name!r}; there are {', '.join(names)}")
        return cls(pairs, limit)

    def arranged(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The rows so; what is unknown comes last, equal rows stay as they were."""
        for name, downwards in reversed(self.columns):
            known = sorted(
                (row for row in rows if row[name] is not None), key=lambda row: row[name], reverse=downwards
            )
            rows = [*known, *(row for row in rows if row[name] is None)]
        return rows[: self.limit]


def print_json(value: Any) -> None:
    """Print a value as JSON in ASCII, which no terminal acts on."""
    print(json.dumps(value, indent=1))


def decimals(places: int) -> Callable[[float | None], str]:
    """Shows figures of a column with so many decimals, so that they stand under each other."""
    return lambda value: "" if value is None else f"{value:.{places}f}"


def milliseconds(ns: int | None) -> float | None:
    """Nanoseconds as milliseconds, to the microsecond.

    >>> milliseconds(1_234_567)
    1.235
    """
    return None if ns is None else round(ns / NS_PER_MS, 3)


def sparkline(counts: Sequence[int]) -> str:
    """A block a count, the largest as high as a line; anything above zero is seen.

    >>> sparkline([0, 1, 8])
    ' ▁█'
    """
    top = max(counts, default=0)
    return "".join(BLOCKS[-(-count * (len(BLOCKS) - 1) // top) if top else 0] for count in counts)
