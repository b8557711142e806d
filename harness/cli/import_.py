"""`harness import`: interchange JSON Lines, and the files of other tools, into a recording."""

import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.core.errors import BadInput, MissingExtra
from harness.core.visible import counted

if TYPE_CHECKING:
    from harness.convert.formats import Format
    from harness.convert.timing import Source
    from harness.core.exchange import Exchange


class Form(StrEnum):
    """The names of `harness.convert.formats.Format`, which takes long to import."""

    LINES = "jsonl"
    VCR = "vcr"
    GO_VCR = "go-vcr"
    HAR = "har"
    FLOWS = "flows"


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Interchange files, cassettes of VCR.py, Ruby's VCR or go-vcr, HAR, mitmproxy flows."
        ),
    ],
    db: Annotated[Path, typer.Option("--db", help="Recording to make, or to append a capture to.")],
    form: Annotated[
        Form | None, typer.Option("--format", help="What the files are. [default: as their content says]")
    ] = None,
    timing: Annotated[
        str | None,
        typer.Option(
            "--timing", metavar="TIMES", help="Times for what has none, in ms: ttft=300,icl=20,jitter=5."
        ),
    ] = None,
    timing_from: Annotated[
        Path | None,
        typer.Option("--timing-from", help="Recording from which to draw times for what has none."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Chance of --timing and --timing-from.")] = 0,
    redact: Annotated[
        bool, typer.Option("--redact", help="Mask secrets before they are stored, as the recorder does.")
    ] = False,
) -> None:
    """Store the exchanges of files as a capture of its own.

    Nothing is written if one is damaged. Nothing is redacted unless asked: files are taken as they are. Other
    tools keep no time of a chunk, so that their exchanges are replayed at once, unless times are
    given; those are played, but never counted as measured.
    """
    from harness.cli.redact import redactor_of  # noqa: PLC0415
    from harness.cli.redact_options import masked_line  # noqa: PLC0415
    from harness.convert.formats import Format  # noqa: PLC0415
    from harness.core.redaction import Rules  # noqa: PLC0415
    from harness.store.writer import append  # noqa: PLC0415

    kinds = [(file, kind_of(file) if form is None else Format(form)) for file in files]
    source = source_of(timing, timing_from, seed)
    count = sum(1 for _ in exchanges_of(kinds, source))
    redactor = redactor_of(Rules.default()) if redact else None
    masked = append(exchanges_of(kinds, source_of(timing, timing_from, seed)), db, redactor)
    print(f"{db}: {counted(count, 'exchange')}", file=sys.stderr)
    if masked:
        print(masked_line(masked, as_json=False, by="harness import"), file=sys.stderr)


def kind_of(file: Path) -> "Format":
    """What a file is. BadInput: it is a recording already, or nothing that is known."""
    from harness.convert.formats import format_of  # noqa: PLC0415
    from harness.store.open import head_of  # noqa: PLC0415
    from harness.store.snapshot import MAGIC  # noqa: PLC0415

    head = head_of(file)
    if head.startswith(MAGIC):
        raise BadInput(f"{file} is a recording already: 'harness merge' joins recordings")
    return format_of(file, head)


def exchanges_of(files: "Iterable[tuple[Path, Format]]", source: "Source | None") -> "Iterator[Exchange]":
    """The exchanges of all files, with times where some were asked for."""
    from harness.convert.timing import timed  # noqa: PLC0415

    for file, kind in files:
        for exchange in read(file, kind):
            yield timed(exchange, source) if source else exchange


def read(file: Path, kind: "Format") -> "Iterator[Exchange]":
    """The exchanges of one file."""
    from harness.convert.formats import Format, checked, exchanges_of  # noqa: PLC0415
    from harness.store.lines import LinesRecording  # noqa: PLC0415

    if kind is Format.LINES:
        yield from LinesRecording(file).exchanges()
    elif kind is Format.FLOWS:
        try:
            from harness.record.flows import interactions  # noqa: PLC0415
        except ModuleNotFoundError:
            raise MissingExtra("reading mitmproxy's flows", "record") from None
        yield from checked(interactions(file), file)
    else:
        yield from exchanges_of(file, kind)


def source_of(timing: str | None, timing_from: Path | None, seed: int) -> "Source | None":
    """Where times come from; None: they stay unknown. BadInput for both at once."""
    from random import Random  # noqa: PLC0415

    from harness.convert.timing import Drawn, asked  # noqa: PLC0415
    from harness.core.derive import derive  # noqa: PLC0415
    from harness.store.open import open_recording  # noqa: PLC0415

    if timing is not None and timing_from is not None:
        raise BadInput("--timing and --timing-from exclude each other: give one")
    if timing is not None:
        return asked(timing, seed)
    if timing_from is None:
        return None
    drawn = Drawn(Random(seed))  # noqa: S311  no secret
    with open_recording(timing_from) as opened:
        for exchange in opened.exchanges():
            drawn.add(derive(exchange))
    if not drawn.ttft:
        raise BadInput(f"{timing_from} has no stream whose times are known: name another recording")
    return drawn
