"""`harness export`: a recording as interchange JSON Lines."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from harness.core.errors import BadInput


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
        print(f"{output}: {count} exchanges", file=sys.stderr)


@contextmanager
def target(output: Path | None) -> Iterator[IO[bytes]]:
    """Where the lines go: stdout, or a file that takes its name only when it is whole."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    check_replaceable(output)
    temporary = output.resolve().with_name(f".{output.name}.{os.getpid()}")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(output.resolve())
    except OSError as error:
        raise BadInput(f"{output} cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def check_replaceable(output: Path) -> None:
    """Raise BadInput for what is no plain file, and for a database, which nobody means to replace by text."""
    from harness.store.open import head_of  # noqa: PLC0415
    from harness.store.snapshot import MAGIC  # noqa: PLC0415

    if output.exists() and not output.is_file():
        raise BadInput(f"{output} is no plain file: without -o, the lines go to stdout")
    if output.exists() and head_of(output).startswith(MAGIC):
        raise BadInput(f"{output} is a database: export to another file")
