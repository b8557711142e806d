"""`harness verify`: replay a recording to ourselves, and judge bytes and times."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.output import Column, milliseconds, print_json, print_rows
from harness.core.visible import counted

if TYPE_CHECKING:
    from harness.verify.compare import Compared
    from harness.verify.document import ExchangeDocument, SummaryDocument
    from harness.verify.run import Verification

COLUMNS = (
    Column("id", right=True),
    Column("request", folds=True),
    Column("state", rank=2),
    Column("chunks", right=True, rank=3),
    Column("bytes", folds=True),
    Column("ttft_ms", right=True, rank=1),
    Column("ttft_error_ms", right=True, rank=1),
    Column("p50_ms", right=True),
    Column("p99_ms", right=True),
    Column("max_ms", right=True),
    Column("drift_ms", right=True),
)
SUMMARY = (
    Column("what", folds=True),
    Column("count", right=True),
    Column("p50_ms", right=True),
    Column("p99_ms", right=True),
    Column("max_ms", right=True),
)
NOISY = "machine too noisy to tell"
EXIT_CODES = {"met": 0, "not met": 1, NOISY: 3, "nothing to judge": 3}
NS_PER_MS = 1e6


def verify(
    recording: Annotated[Path, typer.Argument(help="A recording (.db) or an interchange file (.jsonl).")],
    tolerance_ms: Annotated[
        float, typer.Option(min=0.001, max=1e6, help="Largest p99 of the timing errors.")
    ] = 5.0,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Exchanges replayed at once.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print all results as JSON on stdout.")] = False,
) -> int:
    """Replay every exchange to an accurate client: are the bytes equal, and how far off are the times?

    The errors are those of chunks: arrival minus recorded offset, both from the request. They stand
    beside a floor measured meanwhile (how late this machine wakes an idle timer), the client's own
    lag (on Linux it does not count, since the kernel stamps what comes in), and the server's own
    figures. Exit code 1: not met; 3: too noisy to tell, or nothing to judge.
    """
    from harness.cli.progress import progress_bar  # noqa: PLC0415
    from harness.verify.run import verify as run  # noqa: PLC0415

    with progress_bar("replaying") as progress:
        result = run(
            recording,
            tolerance_ns=round(tolerance_ms * NS_PER_MS),
            concurrency=concurrency,
            progress=progress,
        )
    rows, summary = [row_of(one) for one in result.results], summary_of(result)
    if as_json:
        from harness.verify.document import VerificationDocument  # noqa: PLC0415

        document = VerificationDocument(
            verdict=result.verdict,
            tolerance_ms=tolerance_ms,
            summary=tuple(summary),
            server=result.server,
            skipped=result.skipped,
            exchanges=tuple(rows),
        )
        print_json(document.model_dump(mode="json"))
    else:
        print_report(result, rows, summary, tolerance_ms)
    return EXIT_CODES[result.verdict.value]


def row_of(result: "Compared") -> "ExchangeDocument":
    """One exchange."""
    from harness.verify.document import ExchangeDocument  # noqa: PLC0415

    p50_ms, p99_ms, max_ms = figures(result.errors_ns)
    return ExchangeDocument(
        id=result.id,
        request=result.what,
        state=result.state,
        chunks=result.chunks,
        bytes=result.fault or "equal",
        ttft_ms=milliseconds(result.ttft_ns),
        ttft_error_ms=milliseconds(result.ttft_error_ns),
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        max_ms=max_ms,
        drift_ms=milliseconds(result.drift_ns),
    )


def figures(errors_ns: tuple[int, ...]) -> tuple[float | None, float | None, float | None]:
    """p50, p99 and the largest of the absolute errors, in ms."""
    from harness.core.metrics import quantile  # noqa: PLC0415

    if not errors_ns:
        return None, None, None
    ordered = sorted(map(abs, errors_ns))
    p50_ms, p99_ms, max_ms = (milliseconds(int(quantile(ordered, q))) for q in (0.5, 0.99, 1.0))
    return p50_ms, p99_ms, max_ms


def summary_of(result: "Verification") -> list["SummaryDocument"]:
    """All errors together, those of the first tokens, drift, and beside them the floor and the client."""
    errors = tuple(error for one in result.results for error in one.errors_ns)
    first = tuple(one.ttft_error_ns for one in result.results if one.ttft_error_ns is not None)
    drifts = tuple(one.drift_ns for one in result.results if one.drift_ns is not None)
    kinds = {
        "error of all chunks": errors,
        "error of first tokens": first,
        "drift": drifts,
        "floor: idle timers of this machine": result.floor_ns,
        "client: how late it sent and read": result.client_ns,
    }
    return [summed(what, values) for what, values in kinds.items()]


def summed(what: str, errors_ns: tuple[int, ...]) -> "SummaryDocument":
    """Errors of one kind."""
    from harness.verify.document import SummaryDocument  # noqa: PLC0415

    p50_ms, p99_ms, max_ms = figures(errors_ns)
    return SummaryDocument(what=what, count=len(errors_ns), p50_ms=p50_ms, p99_ms=p99_ms, max_ms=max_ms)


def print_report(
    result: "Verification",
    rows: Sequence["ExchangeDocument"],
    summary: Sequence["SummaryDocument"],
    tolerance_ms: float,
) -> None:
    """The tables and the verdict."""
    print_rows(COLUMNS, [row.model_dump() for row in rows], as_json=False)
    print_rows(SUMMARY, [row.model_dump() for row in summary], as_json=False)
    server = result.server
    if server.writes:
        late = f"p50 {server.p50_ms:.3f} ms, p99 {server.p99_ms:.3f} ms, max {server.max_ms:.3f} ms"
        print(f"the server says it wrote late by {late}")
    if drifts := [one.drift_ns for one in result.results if one.drift_ns is not None]:
        print(f"median drift {median(drifts) / NS_PER_MS:+.3f} ms")
    if result.skipped:
        print(f"not replayed, since the recorder stopped: {', '.join(map(str, result.skipped))}")
    faults = sum(one.fault is not None for one in result.results)
    print(f"{counted(len(result.results), 'exchange')}, {faults} with other bytes or another end")
    if result.verdict.value == NOISY:
        stall_ms = max(*result.floor_ns, *result.client_ns) / NS_PER_MS
        print(f"the machine itself stood still for up to {stall_ms:.1f} ms: try again when it is less busy")
    print(f"verdict: {result.verdict.value} (tolerance: p99 of {tolerance_ms:g} ms)")
