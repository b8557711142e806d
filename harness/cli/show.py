"""`harness show`: one exchange, as a person reads it."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.output import print_json
from harness.core.errors import BadInput

if TYPE_CHECKING:
    from harness.core.derive import Derived
    from harness.core.exchange import Exchange
    from harness.store.recording import Recording


def show(
    recording: Annotated[Path, typer.Argument(help="Recording (.db) or interchange file (.jsonl).")],
    exchange_id: Annotated[
        int | None, typer.Argument(metavar="ID", help="The exchange's id, as `harness ls` lists it.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Cut nothing short.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Show one exchange: request, response, the text put together, and when each token came.

    Without an id, the only exchange of the recording. Headers and bodies are as they were stored, so
    redacted. In the timeline, a bar is the wait before a token, beside the longest such wait; the
    line above it shows how many tokens came in each part of the time.
    """
    from harness.cli.sections import as_object  # noqa: PLC0415
    from harness.core.derive import derive  # noqa: PLC0415
    from harness.store.open import open_recording  # noqa: PLC0415

    with open_recording(recording) as opened:
        exchange = chosen(opened, exchange_id)
    derived = derive(exchange)
    if as_json:
        print_json(as_object(exchange, derived))
    else:
        print_sections(exchange, derived, everything=everything)


def chosen(recording: "Recording", exchange_id: int | None) -> "Exchange":
    """The exchange of that id; without one, the only exchange."""
    if exchange_id is not None:
        return recording.exchange(exchange_id)
    first = list(islice(recording.exchanges(), 2))
    if len(first) != 1:
        what = "more than one exchange: name one" if first else "no exchange"
        raise BadInput(f"{recording.path} holds {what} ('harness ls {recording.path}' lists them)")
    return first[0]


def print_sections(exchange: "Exchange", derived: "Derived", *, everything: bool) -> None:
    """Print the exchange for people."""
    from rich.text import Text  # noqa: PLC0415

    from harness.cli.sections import sections  # noqa: PLC0415
    from harness.cli.terminal import SafeConsole  # noqa: PLC0415

    console = SafeConsole()
    before = ""
    for title, lines in sections(exchange, derived, width=console.width, everything=everything):
        console.print(Text(before + title, style="bold"), soft_wrap=True)
        console.print(*map(Text, lines), sep="\n", end="\n" if lines else "", soft_wrap=True)
        before = "\n"
