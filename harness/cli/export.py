"""`harness export`: a recording as interchange JSON Lines, as text, or in a form of other tools."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from harness.cli.filters import filtered
from harness.core.visible import counted
from harness.store.files import replaced

if TYPE_CHECKING:
    from harness.core.exchange import Exchange
    from harness.store.selection import Selection


class Form(StrEnum):
    """What is written."""

    JSONL = "jsonl"
    TEXT = "text"
    HAR = "har"
    VCR = "vcr"


@filtered
def export(
    recording: Annotated[Path, typer.Argument(help="Recording (.db) or interchange file (.jsonl).")],
    selection: "Selection",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; replaced only when all is written.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="What to write.")] = Form.JSONL,
) -> None:
    """Print a recording as JSON Lines, one exchange a line, or in a form of other tools.

    jsonl: `harness import` reads it back without a change, and so do replay, verify, ls, show and
    stats. text: requests and answers without times, ids and headers, for `git diff`. har: an HTTP
    archive 1.2, its bodies decoded. vcr: a cassette of VCR.py in YAML. Neither keeps times of chunks.
    Filters say which exchanges are written.
    """
    from harness.store.open import open_recording  # noqa: PLC0415
    from harness.store.selection import exchanges as selected  # noqa: PLC0415

    with open_recording(recording) as opened:
        found = selected(opened, selection)  # before anything is written
        count = write(found, form, output)
    if output:
        print(f"{output}: {counted(count, 'exchange')}", file=sys.stderr)


def write(found: "Iterator[Exchange]", form: Form, output: Path | None) -> int:
    """Write exchanges; how many there were."""
    exchanges = Counted(found)
    with target(output) as file:
        for piece in pieces_of(exchanges, form):
            file.write(piece.encode())
    return exchanges.count


@dataclass
class Counted:
    """Exchanges, counted as they pass."""

    exchanges: "Iterator[Exchange]"
    count: int = 0

    def __iter__(self) -> "Iterator[Exchange]":
        for exchange in self.exchanges:
            self.count += 1
            yield exchange


def pieces_of(exchanges: "Iterable[Exchange]", form: Form) -> Iterator[str]:
    """The text of a file, piece by piece."""
    if form is Form.HAR:
        from harness.convert.har import archive  # noqa: PLC0415

        return archive(exchanges)
    if form is Form.VCR:
        from harness.convert.vcr import cassette  # noqa: PLC0415

        return cassette(exchanges)
    from harness.core.interchange import to_line  # noqa: PLC0415

    line = readable_text if form is Form.TEXT else to_line
    return (line(exchange) + "\n" for exchange in exchanges)


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
