"""`harness report`: a load run, two of them, a recording or a probe, as a page that one looks at."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.output import print_json
from harness.core.errors import BadInput
from harness.store.files import replaced

if TYPE_CHECKING:
    from harness.report.model import Report

MOST = 2
"""Runs that fit beside each other."""


def report(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE [FILE]",
            help="Recording (.db) of one or two load runs, or of exchanges; or a probe (.json).",
        ),
    ],
    run: Annotated[
        list[int] | None,
        typer.Option(
            "--run",
            metavar="ID",
            help="Which load run; twice: two of them. [default: the last]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Page to write. [default: NAME.html, here]", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a short summary for a pull request.")
    ] = False,
) -> None:
    """Make a page of a load run: its verdict, latencies, waterfall, GPUs and hosts on one clock.

    The page is one file and needs no network. Two runs (two files, or --run twice) are shown side by side
    with their differences; a recording without load runs by the times of its tokens; what `harness probe
    --json` said by what the gateway does. With --json or --markdown a page is written only where --output
    names one.
    """
    from harness.report.markdown import markdown  # noqa: PLC0415
    from harness.report.page import page  # noqa: PLC0415

    if as_json and as_markdown:
        raise BadInput("--json and --markdown both want stdout: ask for one of them")
    found = report_of(recordings, run or [])
    if output or not (as_json or as_markdown):
        write(output or Path(f"{recordings[0].stem}.html"), page(found))
    if as_json:
        print_json(found.model_dump(mode="json"))
    if as_markdown:
        print(markdown(found), end="")


def report_of(recordings: list[Path], runs: list[int]) -> "Report":
    """The report of what was named; BadInput where that is too much, or not there."""
    from harness.report.compare import comparison  # noqa: PLC0415
    from harness.report.read import (  # noqa: PLC0415
        holds_probe,
        holds_runs,
        read_exchanges,
        read_probe,
        read_run,
    )

    if any(map(holds_probe, recordings)):
        if len(recordings) > 1 or runs:
            raise BadInput("a report of a probe is of that alone: name one file, and no --run")
        return read_probe(recordings[0])
    places = places_of(recordings, runs)
    if len(places) == MOST:
        return comparison(*(read_run(path, run_id) for path, run_id in places))
    ((path, run_id),) = places
    return read_run(path, run_id) if runs or holds_runs(path) else read_exchanges(path)


def places_of(recordings: list[Path], runs: list[int]) -> list[tuple[Path, int | None]]:
    """Each run as its file and its id (None: the last one)."""
    if max(len(recordings), len(runs)) > MOST:
        raise BadInput("a report shows one run, or two side by side: name no more")
    ids: list[int | None] = [*runs] or [None] * len(recordings)
    if len(recordings) == 1:
        return [(recordings[0], run_id) for run_id in ids]
    if len(ids) == 1:
        raise BadInput("of two recordings --run must name a run of each, or be left out")
    return list(zip(recordings, ids, strict=True))


def write(output: Path, text: str) -> None:
    """Write the page, and say where."""
    with replaced(output) as file:
        file.write(text.encode())
    print(f"{output}: {len(text.encode()):,} bytes", file=sys.stderr)
