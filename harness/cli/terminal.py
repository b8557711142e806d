"""Printing through rich: tables that fit the terminal, text that is never markup.

Colours and cut lines are for terminals only; into a pipe goes every column in full.
"""

import os
import sys
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.output import Column, Row

UNLIMITED = 100_000
"""Width of what is no terminal."""
GAP = 2
"""Blanks between two columns."""
FOLDED = 32
"""Cells that a column which folds asks for at most, before others leave."""


class SafeConsole(Console):
    """A console on stdout that reads no markup. What the encoding of stdout lacks is escaped."""

    def __init__(self, width: int | None = None) -> None:
        if reconfigure := getattr(sys.stdout, "reconfigure", None):
            reconfigure(errors="backslashreplace")
        super().__init__(markup=False, emoji=False, highlight=False, file=sys.stdout, width=width)
        if width is None and not self.is_terminal and not os.environ.get("COLUMNS"):
            self.width = UNLIMITED

    def on_broken_pipe(self) -> None:
        """The reader left, as `head` does: that is for the command line to handle (`harness.cli.app`)."""
        raise BrokenPipeError


def print_table(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Print rows as a table, with the columns that fit."""
    console = SafeConsole()
    console.print(table_of(fitting(columns, rows, console.width), rows))


def fitting(columns: Sequence[Column], rows: Sequence[Row], width: int) -> list[Column]:
    """The columns that fit a width: those of the highest rank leave first, those of rank 0 never."""
    kept = list(columns)
    while sum(natural_width(column, rows) + GAP for column in kept) > width + GAP:
        first = max(kept, key=lambda column: column.rank)
        if first.rank == 0:
            break
        kept.remove(first)
    return kept


def title_width(column: Column) -> int:
    """Cells of the longest word in a title."""
    return max(map(cell_len, column.title.split()))


def natural_width(column: Column, rows: Sequence[Row]) -> int:
    """Cells that a column asks for: its values on one line each, unless it folds."""
    values = max((cell_len(column.show(row[column.name])) for row in rows), default=0)
    return max(title_width(column), min(values, FOLDED) if column.folds else values)


def table_of(columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """The rows as a table without lines."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(
            Text(column.title),
            justify="right" if column.right else "left",
            no_wrap=not column.folds,
            overflow="fold",
            min_width=title_width(column),
        )
    for row in rows:
        table.add_row(*(Text(column.show(row[column.name])) for column in columns))
    return table
