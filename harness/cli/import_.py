"""`harness import`: interchange JSON Lines into a recording."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.core.errors import BadInput
from harness.core.visible import counted

if TYPE_CHECKING:
    from harness.store.recording import Recording


def import_(
    file: Annotated[Path, typer.Argument(help="Interchange file: JSON Lines, one exchange a line.")],
    db: Annotated[Path, typer.Option("--db", help="Recording to make, or to append a capture to.")],
) -> None:
    """Store the exchanges of an interchange file as a capture of its own.

    Nothing is written if a line is damaged. Nothing is redacted: the file is taken as it is.
    """
    from harness.store.writer import append  # noqa: PLC0415

    with lines(file) as recording:
        count = sum(1 for _ in recording.exchanges())
        append(recording.exchanges(), db)
    print(f"{db}: {counted(count, 'exchange')}", file=sys.stderr)


def lines(file: Path) -> "Recording":
    """The file, open for reading; BadInput if it is a recording already."""
    from harness.store.open import head_of, open_recording  # noqa: PLC0415
    from harness.store.snapshot import MAGIC  # noqa: PLC0415

    if head_of(file).startswith(MAGIC):
        raise BadInput(f"{file} is a database: import reads JSON Lines ('harness export' writes them)")
    return open_recording(file)
