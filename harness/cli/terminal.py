"""Printing through rich: tables that fit the terminal, text that is never markup.

Colours and cut lines are for terminals only; into a pipe goes every column in full, a row a line.
"""

import codecs
import os
import sys
from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.output import BLOCKS, Column, Row

STAND_INS = dict(zip(BLOCKS[1:], ".:-=+*%#", strict=True)) | dict(
    zip("▏▎▍▌▋▊▉▶…␣", "...====>~_", strict=True)
)
"""What is drawn -> ASCII for a terminal whose encoding lacks it."""


def standing_in(error: UnicodeError) -> tuple[str, int]:
    """What is written in place of characters that an encoding lacks: an error handler of `codecs`."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    written = (STAND_INS.get(one) or one.encode("ascii", "backslashreplace").decode() for one in lacking)
    return "".join(written), error.end


codecs.register_error("harness.standing-in", standing_in)

UNLIMITED = 100_000
"""Width of what is no terminal."""
MOST_PADDED = 200
"""Cells to which the values of a column are filled up in a pipe; a longer value stands out in its own row."""
GAP = 2
"""Blanks between two columns."""


class SafeConsole(Console):
    """A console on stdout that reads no markup. What its encoding lacks is drawn in ASCII, or escaped."""

    def __init__(self, width: int | None = None) -> None:
        if reconfigure := getattr(sys.stdout, "reconfigure", None):
            reconfigure(errors="harness.standing-in")
        super().__init__(markup=False, emoji=False, highlight=False, file=sys.stdout, width=width)
        if width is None and not self.is_terminal and not os.environ.get("COLUMNS"):
            self.width = UNLIMITED

    def on_broken_pipe(self) -> None:
        """The reader left, as `head` does: that is for the command line to handle (`harness.cli.app`)."""
        raise BrokenPipeError


def print_table(columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Print rows as a table, with the columns that fit."""
    console = SafeConsole()
    if console.width == UNLIMITED:
        console.print("\n".join(lines_of(columns, rows)), soft_wrap=True)
    else:
        console.print(table_of(columns, rows, console.width))


def lines_of(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """The rows as the lines of a table that nothing bounds, its titles first."""
    titles = [column.title for column in columns]
    table = [titles, *([column.show(row[column.name]) for column in columns] for row in rows)]
    widths = [min(max(map(cell_len, values)), MOST_PADDED) for values in zip(*table, strict=True)]
    return [
        (" " * GAP).join(map(padded, values, widths, (column.right for column in columns))).rstrip()
        for values in table
    ]


def padded(text: str, width: int, right: bool) -> str:
    """A value in so many cells or more.

    >>> padded("ab", 4, right=True), padded("ab", 4, right=False), padded("abc", 2, right=True)
    ('  ab', 'ab  ', 'abc')
    """
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks


def table_of(columns: Sequence[Column], rows: Sequence[Row], width: int) -> Table:
    """The rows as a table without lines; where it is narrow, titles are stacked and columns leave."""
    titles = {column.name: column.title for column in columns}
    if total_width(columns, rows, titles) > width:
        titles = {name: title.replace(" ", "\n") for name, title in titles.items()}
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    kept = fitting(columns, rows, titles, width)
    for column in kept:
        table.add_column(
            Text(titles[column.name]),
            justify="right" if column.right else "left",
            no_wrap=not column.folds,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(column.show(row[column.name])) for column in kept))
    return table


def fitting(
    columns: Sequence[Column], rows: Sequence[Row], titles: Mapping[str, str], width: int
) -> list[Column]:
    """The columns that fit a width: those of the highest rank leave first, those of rank 0 never."""
    kept = list(columns)
    while total_width(kept, rows, titles) > width:
        first = max(kept, key=lambda column: column.rank)
        if first.rank == 0:
            break
        kept.remove(first)
    return kept


def total_width(columns: Sequence[Column], rows: Sequence[Row], titles: Mapping[str, str]) -> int:
    """Cells that these columns ask for."""
    return sum(column_width(column, rows, titles[column.name]) + GAP for column in columns) - GAP


def column_width(column: Column, rows: Sequence[Row], title: str) -> int:
    """Cells that a column asks for: its title and values on one line each, unless it folds."""
    values = max((cell_len(column.show(row[column.name])) for row in rows), default=0)
    return max(*map(cell_len, ["", *title.split("\n")]), min(values, column.asks) if column.folds else values)
