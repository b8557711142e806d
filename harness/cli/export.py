"""`harness export`: a recording as interchange JSON Lines."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from harness.cli.files import replaced
from harness.core.visible import counted


def export(
    recording: Annotated[Path, typer.Argument(help="Recording (.db) or interchange file (.jsonl).")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; replaced only when all is written.")
    ] = None,
) -> None:
    """Print a recording as JSON Lines, one exchange a line.

    `harness import` reads it back without a change, and so do replay, verify, ls, show and stats.
    """
    from harness.core.interchange import to_line  # noqa: PLC0415
    from harness.store.open import open_recording  # noqa: PLC0415

    count = 0
    with open_recording(recording) as opened, target(output) as file:
        for count, exchange in enumerate(opened.exchanges(), 1):  # noqa: B007  the number is told below
            file.write(to_line(exchange).encode() + b"\n")
    if output:
        print(f"{output}: {counted(count, 'exchange')}", file=sys.stderr)


@contextmanager
def target(output: Path | None) -> Iterator[IO[bytes]]:
    """Where the lines go: stdout, or a file."""
    if output:
        with replaced(output) as file:
            yield file
    else:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
