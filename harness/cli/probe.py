"""`harness probe`: what does a gateway add to each token, and does it behave?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from harness.cli.output import Column, decimals, print_json, print_rows
from harness.core.errors import BadInput
from harness.core.url import origin

if TYPE_CHECKING:
    from harness.core.exchange import Headers
    from harness.probe.document import LevelDocument, ProbeDocument

TABLE = (
    Column("behaviour"),
    Column("verdict"),
    Column("direct", rank=2),
    Column("shown_by", rank=1),
    Column("evidence", folds=True, asks=50),
)
FIGURES = (
    Column("concurrency", right=True),
    Column("path"),
    Column("streams", right=True, rank=2),
    Column("failed", right=True, rank=1),
    *(Column(name, right=True, show=decimals(2)) for name in ("ttft_p50", "ttft_p99")),
    *(
        Column(name, right=True, show=decimals(2))
        for name in ("event_p50", "event_p90", "event_p99", "event_max")
    ),
    Column("merged", right=True, rank=3),
)
CHANGES = (Column("what"), Column("place", folds=True), Column("kind"), Column("count", right=True))
CHANGES_SHOWN = 12
EXIT_CODES = {"passed": 0, "failed": 1, "cannot be trusted": 3}


def probe(
    ctx: typer.Context,
    gateway: Annotated[str, typer.Option(metavar="URL", help="Where the gateway under test listens.")],
    recording: Annotated[
        Path, typer.Option(metavar="REC", help="What the provider behind it plays (.db or .jsonl).")
    ],
    concurrency: Annotated[
        str, typer.Option(metavar="N,...", help="Streams at once, a level of figures for each.")
    ] = "1,8,32",
    max_added_ms: Annotated[
        float | None,
        typer.Option(min=0.001, help="Fail where more is added to an event (p99).", show_default=False),
    ] = None,
    provider_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the provider; 0 is any free one.")
    ] = 0,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="'NAME: VALUE'", help="A header for the gateway, such as its key; repeatable."),
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only what speaks it, such as openai.chat.", show_default=False),
    ] = None,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="How long the gateway may take to be ready.")
    ] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print all results as JSON on stdout.")] = False,
) -> int:
    """Play a recording as the provider behind a gateway, and see what the gateway makes of it.

    The provider's writes and the client's reads are on one clock, so each event tells what the gateway
    added to it. Streams, errors, cuts, silences and clients that leave are tried; what the recording
    lacks is built in. All of it is also asked for directly: that is the floor. `-- COMMAND` starts the
    gateway, with the provider's URL in OPENAI_BASE_URL (with /v1), in HARNESS_PROVIDER_URL, and for
    {provider} and {port} in the command. Without it, fix --provider-port, and configure your gateway.
    Exit code 1: a behaviour failed, or too much was added; 3: the direct path is too slow to tell.
    """
    from harness.cli.progress import progress_bar  # noqa: PLC0415
    from harness.probe.run import Settings  # noqa: PLC0415
    from harness.probe.run import probe as run  # noqa: PLC0415

    settings = Settings(
        gateway=plain(gateway),
        recording=recording,
        command=ctx.obj,
        provider_port=provider_port,
        concurrency=levels(concurrency),
        max_added_ms=max_added_ms,
        headers=headers_of(header or []),
        dialect=dialect,
        wait_s=wait,
    )
    if not ctx.obj and not provider_port:
        raise BadInput("the gateway must find the provider: fix --provider-port, or start it with -- COMMAND")
    with progress_bar("probing") as progress:
        document = run(settings, progress)
    if as_json:
        print_json(document.model_dump(mode="json"))
    else:
        print_report(document)
    return EXIT_CODES[document.outcome.value]


def plain(url: str) -> str:
    """The gateway's URL; BadInput where it is none that can be asked without TLS."""
    try:
        scheme = origin(url).scheme
    except ValueError as error:
        raise BadInput(f"--gateway {error}") from None
    if "@" in urlsplit(url).netloc:
        raise BadInput("--gateway holds a user or a password, which a report would tell: use --header")
    if "?" in url or "#" in url:
        raise BadInput("--gateway should end before '?' and '#': each request brings a query of its own")
    if scheme != "http":
        raise BadInput("--gateway should be http: TLS hides when bytes came; give the gateway a plain port")
    return url


def levels(text: str) -> tuple[int, ...]:
    """The levels of concurrency.

    >>> levels("1,8")
    (1, 8)
    """
    try:
        found = tuple(dict.fromkeys(int(word) for word in text.split(",")))
    except ValueError:
        found = ()
    if not found or not all(1 <= one <= 1000 for one in found):
        raise BadInput(f"--concurrency {text!r} is no list of numbers from 1 to 1000, such as 1,8,32")
    return found


def headers_of(lines: list[str]) -> "Headers":
    """Headers as they were typed; BadInput, which repeats no value, where a line is none."""
    found = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or not (name + value).isprintable():
            raise BadInput("--header should be 'NAME: VALUE'")
        found.append((name.strip(), value.strip()))
    return tuple(found)


def print_report(document: "ProbeDocument") -> None:
    """The tables and the outcome."""
    direct = {one.behaviour: one.verdict.value for one in document.floor}
    rows = [
        {
            "behaviour": one.behaviour.value,
            "verdict": one.verdict.value,
            "direct": direct[one.behaviour],
            "shown_by": ", ".join(one.sources),
            "evidence": one.evidence,
        }
        for one in document.behaviours
    ]
    print_rows(TABLE, rows, as_json=False)
    print("\non the way, in ms: events from the provider's write to the client's read; TTFT, both ways")
    print_rows(FIGURES, [row for one in document.levels for row in figures(one)], as_json=False)
    for gain in document.added:
        if gain.event_p50_ms is not None and gain.ttft_p50_ms is not None:
            print(
                f"added at concurrency {gain.concurrency}: TTFT p50 {gain.ttft_p50_ms:+.2f} ms; "
                f"each event p50 {gain.event_p50_ms:+.2f}, p90 {gain.event_p90_ms:+.2f}, "
                f"p99 {gain.event_p99_ms:+.2f} ms"
            )
    if document.changes:
        print(f"\nwhat is other behind the gateway, in whole streams (of {len(document.changes)} kinds)")
        shown = [one.model_dump(mode="json") for one in document.changes[:CHANGES_SHOWN]]
        print_rows(CHANGES, shown, as_json=False)
    if document.missed:
        print(f"the gateway asked for {document.missed} things that the provider does not have")
    if not document.marked:
        print("the gateway drops X-Harness-Request: equal requests at once are told apart by order")
    print(f"outcome: {document.outcome.value}: {document.reason}")


def figures(level: "LevelDocument") -> list[dict[str, object]]:
    """The row of a level."""
    row: dict[str, object] = {
        name: getattr(level, name) for name in ("concurrency", "path", "streams", "failed", "merged")
    }
    for name, spread, quantiles in (
        ("ttft", level.ttft, ("p50", "p99")),
        ("event", level.events, ("p50", "p90", "p99", "max")),
    ):
        for quantile in quantiles:
            row[f"{name}_{quantile}"] = getattr(spread, f"{quantile}_ms") if spread else None
    return [row]
