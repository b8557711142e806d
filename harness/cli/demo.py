"""`harness demo`: the tour on a real model server that needs no download."""

import shlex
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.output import Column, print_rows
from harness.cli.progress import progress_bar
from harness.core.errors import MissingExtra

if TYPE_CHECKING:
    from harness.demo.tour import Compared, Tour

NEEDED = ("mitmproxy", "xllamacpp", "gguf", "openai", "anthropic")
COLUMNS = (
    Column("call", folds=True),
    Column("events", right=True),
    Column("fields", right=True),
    Column("answers"),
)
SHOWN = 5
"""Differences of one call that are printed."""
NOISY = 3
"""Exit code of `harness verify` where the machine is too noisy to tell: no failure of the tour."""


def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", show_default=False, help="Folder for what it makes. [default: a new temporary one]"
        ),
    ] = None,
) -> int:
    """Take the tour: record a real model server, list, replay to the same SDKs, compare, verify.

    The server is llama.cpp on a tiny model made on the spot; the calls are made by the official openai
    and anthropic packages. Everything stays on this machine. Exit code 1: an answer differed, or the
    timing was off by more than the tolerance of `harness verify`.
    """
    if any(find_spec(name) is None for name in NEEDED):
        raise MissingExtra("harness demo", "demo")
    from harness.demo.model_server import PACED, ModelServer  # noqa: PLC0415
    from harness.demo.tour import Tour, show  # noqa: PLC0415

    tour = Tour(out or Path(mkdtemp(prefix="harness-demo-")))
    tour.prepare()
    with ModelServer(PACED) as server:
        steps = tour.commands(server.url)
        heading("1. Record the official SDKs, streamed and plain, on a real model server", steps["record"])
        listen(steps["record"])
    heading("2. What was recorded", steps["ls"])
    show(steps["ls"])
    heading("3. The same calls again, answered by the recording", steps["replay"])
    listen(steps["replay"])
    compared = tour.compare()
    report(compared)
    heading("4. Bytes and times of the replay", steps["verify"])
    verified = show(steps["verify"])
    closing(tour)
    return 1 if any(one.differences for one in compared) else 0 if verified == NOISY else verified


def heading(title: str, command: Sequence[str]) -> None:
    """Announce a step, with the command that somebody could type instead."""
    from harness.cli.terminal import SafeConsole  # noqa: PLC0415

    typed = ["harness", *("python" if word == sys.executable else word for word in command)]
    console = SafeConsole()
    console.print(f"\n{title}", style="bold")
    console.print(f"$ {shlex.join(typed)}\n", style="dim", soft_wrap=True)


def listen(command: Sequence[str]) -> None:
    """Run a step with a progress bar of its calls; what else it says goes to stderr."""
    from harness.demo.tour import NAMES, run  # noqa: PLC0415

    done = 0
    with progress_bar("calls") as progress:

        def heard(line: str) -> None:
            nonlocal done
            if line in NAMES:
                done += 1
                progress(done, len(NAMES))
            else:
                print(line, file=sys.stderr)

        run(command, heard)


def report(compared: Sequence["Compared"]) -> None:
    """A row a call, the differences, and the sum."""
    rows = [
        {
            "call": one.call,
            "events": one.events,
            "fields": one.fields,
            "answers": "differ" if one.differences else "equal",
        }
        for one in compared
    ]
    print_rows(COLUMNS, rows, as_json=False)
    for one in compared:
        for difference in one.differences[:SHOWN]:
            print(f"{one.call}: {difference}")
    equal = sum(not one.differences for one in compared)
    fields = sum(one.fields for one in compared)
    print(f"{equal} of {len(compared)} answers equal, {fields} fields compared")


def closing(tour: "Tour") -> None:
    """Where everything is."""
    print(f"\nThe recording: {tour.recording}")
    print(f"What the SDKs got: {tour.answers('record')} and, from the replay, {tour.answers('replay')}")
    print(f"Look on: harness show {tour.recording} 2; harness stats {tour.recording}")
