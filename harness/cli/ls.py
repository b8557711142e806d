"""`harness ls`: the exchanges of a recording, one a line."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.filters import Limit, Sort, filtered
from harness.cli.output import Column, Order, decimals, milliseconds, print_rows, sparkline
from harness.core.visible import visible

if TYPE_CHECKING:
    from harness.store.listing import Listed
    from harness.store.selection import Selection

DATE_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|([+-]\d\d:\d\d))$", re.ASCII)
"""Date, time, offset in RFC 3339; what is not shown: the `T`, fractions, the `Z`."""


def readable_time(started_at: str | None) -> str:
    """A time to the second, as people read it; anything else as it is.

    >>> readable_time("2026-01-02T03:04:05.678Z")
    '2026-01-02 03:04:05'
    """
    return DATE_TIME.sub(r"\1 \2\3", visible(started_at or ""))


def drawn(gaps_ms: Sequence[float] | None) -> str:
    """Gaps as a sparkline."""
    return sparkline([round(gap_ms * 1000) for gap_ms in gaps_ms or ()])


COLUMNS = [
    Column("id", right=True),
    Column("time", rank=3, show=readable_time),
    Column("upstream", rank=6),
    Column("method"),
    Column("path", folds=True),
    Column("status", right=True),
    Column("model", rank=1),
    Column("dialect", rank=4),
    Column("events", rank=7, right=True),
    Column("chunks", rank=9, right=True),
    Column("tokens_in", rank=8, right=True),
    Column("tokens_out", rank=5, right=True),
    Column("ttft_ms", rank=2, right=True, show=decimals(1)),
    Column("duration_ms", rank=2, right=True, show=decimals(1)),
    Column("gap_max_ms", rank=7, right=True, show=decimals(1)),
    Column("gaps_ms", rank=5, show=drawn, sorts=False),
    Column("state"),
]


@filtered
def ls(
    recording: Annotated[Path, typer.Argument(help="Recording (.db) or interchange file (.jsonl).")],
    selection: "Selection",
    sort: Sort = None,
    limit: Limit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """List the exchanges of a recording, in recorded order.

    Each run of a recorder after the other, in it by the time of the requests; a file of JSON Lines,
    imported or not, in the order of its lines. Filters can be given several times: any of their values
    will do, of all filters.

    Times are in milliseconds from the request's last byte: ttft to the first generated content,
    duration to the end. gaps: the longest gap between events in each sixteenth of a stream, beside the
    longest of all (gap max). Narrow terminals get fewer columns, pipes and --json all of them.
    """
    from harness.store.open import open_recording  # noqa: PLC0415
    from harness.store.selection import listing  # noqa: PLC0415

    order = Order.of(COLUMNS, sort, limit)
    with open_recording(recording) as opened:
        rows = [row_of(listed) for listed in listing(opened, selection)]
    print_rows(COLUMNS, order.arranged(rows), as_json=as_json)


def row_of(listed: "Listed") -> dict[str, Any]:
    """The row of an exchange: what the columns show."""
    return {
        "id": listed.id,
        "time": listed.started_at or None,
        "upstream": listed.upstream or None,
        "method": listed.method,
        "path": listed.path,
        "status": listed.status,
        "model": listed.model,
        "dialect": listed.dialect,
        "events": listed.events,
        "chunks": listed.chunks,
        "tokens_in": listed.tokens_in,
        "tokens_out": listed.tokens_out,
        "ttft_ms": milliseconds(listed.ttft_ns),
        "duration_ms": milliseconds(listed.end_ns),
        "gap_max_ms": milliseconds(max(listed.gaps_ns, default=None)),
        "gaps_ms": [milliseconds(gap_ns) for gap_ns in listed.gaps_ns] or None,
        "state": listed.state,
    }
