"""`harness show`: one exchange, as a person reads it."""

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.output import print_json
from harness.core.errors import BadInput
from harness.core.visible import visible

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
    as_raw: Annotated[
        bool, typer.Option("--raw", help="The body of the response alone, byte for byte as it came.")
    ] = False,
    of_request: Annotated[
        bool, typer.Option("--request", help="With --raw: the body of the request instead.")
    ] = False,
    as_curl: Annotated[
        bool, typer.Option("--curl", help="The request as a curl command, variables in place of secrets.")
    ] = False,
) -> None:
    """Show one exchange: request, response, the text put together, and when each token came.

    Without an id, the only exchange of the recording. Headers and bodies are as they were stored, so
    redacted. In the timeline, a bar is the wait before a token, beside the longest such wait; the
    line above it shows how many tokens came in each part of the time.

    --raw gives the bytes as they came off the wire, still compressed where they were; none of it goes to
    a terminal that is not plain text. --curl gives a command for a POSIX shell; secrets are variables in
    it, such as $OPENAI_API_KEY, and a body that no command line can hold is piped out of the recording.
    """
    from harness.cli.sections import as_object  # noqa: PLC0415
    from harness.core.derive import derive  # noqa: PLC0415
    from harness.store.open import open_recording  # noqa: PLC0415

    check(as_json=as_json, as_raw=as_raw, as_curl=as_curl, of_request=of_request)
    with open_recording(recording) as opened:
        exchange = chosen(opened, exchange_id)
    if as_raw:
        print_raw(exchange, of_request=of_request)
        return
    derived = derive(exchange)
    if as_curl:
        print_curl(exchange, derived, recording)
    elif as_json:
        print_json(as_object(exchange, derived))
    else:
        print_sections(exchange, derived, everything=everything)


def check(*, as_json: bool, as_raw: bool, as_curl: bool, of_request: bool) -> None:
    """BadInput where forms are asked for that exclude each other."""
    if as_json + as_raw + as_curl > 1:
        raise BadInput("--json, --raw and --curl all want stdout: ask for one of them")
    if of_request and not as_raw:
        raise BadInput("--request goes with --raw: it says whose body that is")


def print_raw(exchange: "Exchange", *, of_request: bool) -> None:
    """Write a body to stdout, unless that is a terminal which would obey it."""
    if exchange.response is None and not of_request:
        raise BadInput(f"exchange {exchange.id} got no response ({exchange.state}): try --request")
    body = exchange.request.body if of_request or exchange.response is None else exchange.response.body
    if sys.stdout.isatty() and not is_plain(body):
        raise BadInput(f"the body of exchange {exchange.id} is no plain text: redirect it to a file, > FILE")
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


def is_plain(body: bytes) -> bool:
    """Whether no terminal would obey any of it."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    return visible(text, keep="\r\n\t") == text


def print_curl(exchange: "Exchange", derived: "Derived", recording: Path) -> None:
    """Print the command; what is to be known about it goes to stderr."""
    from harness.cli.curl import curl_of  # noqa: PLC0415

    request = exchange.request
    command = curl_of(request, stream=derived.stream, recording=recording, exchange_id=exchange.id)
    print(command.text)
    needed = [f"set {' and '.join(command.variables)} for it"] if command.variables else []
    for note in (*needed, *command.notes):
        print(f"harness show: {note}", file=sys.stderr)


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
