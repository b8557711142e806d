"""What the commands that change recordings share: which exchanges are meant, and where the result goes."""

import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.core.errors import BadInput
from harness.core.visible import counted

if TYPE_CHECKING:
    from harness.store.listing import Listed
    from harness.store.selection import Selection

RecordingPath = Annotated[Path, typer.Argument(help="Recording (.db) or interchange file (.jsonl).")]
Exchanges = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID",
        show_default=False,
        help="Exchanges by id, as `harness ls` lists them; 5-9 is five of them.",
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write. [default: the recording itself]")
]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="List what would go, and change nothing.")]

Json = Annotated[bool, typer.Option("--json", help="With --dry-run: print a JSON list.")]


def listing_of(recording: Path) -> "list[Listed]":
    """The exchanges of a recording at a glance."""
    from harness.store.open import open_recording  # noqa: PLC0415

    with open_recording(recording) as opened:
        return list(opened.listing())


def chosen(
    recording: Path, words: Sequence[str] | None, selection: "Selection"
) -> "tuple[list[Listed], set[int]]":
    """All exchanges at a glance, and the ids of those that are meant, by numbers, by filters or by both.

    BadInput: nothing is asked for, or nothing is meant.
    """
    from harness.store.open import open_recording  # noqa: PLC0415
    from harness.store.selection import ALL, listing  # noqa: PLC0415

    if not words and selection == ALL:
        raise BadInput("name exchanges: by id, or by filters such as --model or --state")
    with open_recording(recording) as opened:
        rows = list(opened.listing())
        ids = {row.id for row in listing(opened, selection)}
    if words:
        ids &= numbered(words, {row.id for row in rows}, recording)
    if not ids:
        raise BadInput(f"{recording} holds no exchange that is meant: 'harness ls' takes the same filters")
    return rows, ids


def numbered(words: Iterable[str], ids: Collection[int], recording: Path) -> set[int]:
    """The ids that are meant by numbers and ranges; BadInput for other words, and for what is not there."""
    found: set[int] = set()
    for word in words:
        first, last = ends_of(word)
        within = {number for number in ids if first <= number <= last}
        if not within:
            raise BadInput(f"{recording} holds no exchange {word}: 'harness ls {recording}' lists them")
        found |= within
    return found


def ends_of(word: str) -> tuple[int, int]:
    """The first and the last id of a number, or of a range with both ends.

    >>> ends_of("3"), ends_of("5-9")
    ((3, 3), (5, 9))
    """
    first, dash, last = word.partition("-")
    ends = (first, last if dash else first)
    if not all(end.isascii() and end.isdigit() for end in ends):
        raise BadInput(f"'{word}' names no exchange: give an id such as 3, or a range such as 5-9")
    return int(ends[0]), int(ends[1])


def take_out(
    recording: Path,
    rows: "list[Listed]",
    going: Collection[int],
    output: Path | None,
    *,
    dry: bool,
    as_json: bool,
) -> None:
    """Write the recording without some of its exchanges and say so; dry, only list them."""
    from harness.cli.ls import COLUMNS, row_of  # noqa: PLC0415
    from harness.cli.output import print_rows  # noqa: PLC0415
    from harness.store.editing import without  # noqa: PLC0415

    if as_json and not dry:
        raise BadInput("--json lists what would go: add --dry-run")
    if dry:
        print_rows(COLUMNS, [row_of(row) for row in rows if row.id in going], as_json=as_json)
        return
    without(recording, going, output or recording)
    left = counted(len(rows) - len(going), "exchange")
    print(f"{output or recording}: {len(going)} removed, {left} left", file=sys.stderr)
