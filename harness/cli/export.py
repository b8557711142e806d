"""`harness export`: a recording as interchange JSON Lines."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from harness.core.visible import counted
from harness.store.files import replaced

if TYPE_CHECKING:
    from harness.core.exchange import Exchange


def export(
    recording: Annotated[Path, typer.Argument(help="Recording (.db) or interchange file (.jsonl).")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; replaced only when all is written.")
    ] = None,
    as_text: Annotated[bool, typer.Option("--text", help="As people read it, for `git diff`.")] = False,
) -> None:
    """Print a recording as JSON Lines, one exchange a line.

    `harness import` reads it back without a change, and so do replay, verify, ls, show and stats. With
    --text, requests and answers without times, ids and headers, so that only what changed differs.
    """
    from harness.core.interchange import to_line  # noqa: PLC0415
    from harness.store.open import open_recording  # noqa: PLC0415

    form = readable_text if as_text else to_line

    count = 0
    with open_recording(recording) as opened, target(output) as file:
        for count, exchange in enumerate(opened.exchanges(), 1):  # noqa: B007  the number is told below
            file.write(form(exchange).encode() + b"\n")
    if output:
        print(f"{output}: {counted(count, 'exchange')}", file=sys.stderr)


def readable_text(exchange: "Exchange") -> str:
    """An exchange in lines that are the same as long as it says the same."""
    from harness.cli.sections import review_sections  # noqa: PLC0415
    from harness.core.derive import derive  # noqa: PLC0415

    parts = review_sections(exchange, derive(exchange))
    (what, _), *rest = parts
    lines = [f"=== {what}"]
    for title, body in rest:
        lines += [f"--- {title}", *body]
    return "\n".join([*lines, ""])


@contextmanager
def target(output: Path | None) -> Iterator[IO[bytes]]:
    """Where the lines go: stdout, or a file."""
    if output:
        with replaced(output) as file:
            yield file
    else:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
