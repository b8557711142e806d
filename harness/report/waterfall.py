"""The waterfall's columns, and failures by kind, of the rows of `load_requests`."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from harness.core.visible import visible
from harness.report.model import Column, Failure, Waterfall
from harness.report.times import NS_PER_US, SUCCESSES, Row, is_failure, rounded

NUMBERS_KEPT = 20
"""Requests that a kind of failure names."""
LONGEST_TEXT = 300
NS_PER_S = 1_000_000_000


class Names:
    """Texts as places in a list, so that columns hold small numbers."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str | None) -> int | None:
        """The place of a text; None has none."""
        return None if text is None else self._places.setdefault(shown(text), len(self._places))

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts by place."""
        return tuple(self._places)


def shown(text: str) -> str:
    """A text of others: visible, and of bounded length."""
    safe = visible(text[:LONGEST_TEXT])
    return safe if len(text) <= LONGEST_TEXT else f"{safe}…"


def waterfall_of(rows: Sequence[Row]) -> Waterfall:
    """All requests, in the order of the rows."""
    outcomes, errors, models = Names(), Names(), Names()
    return Waterfall(
        number=column(rows, lambda row: row["number"]),
        worker=column(rows, lambda row: row["worker"]),
        warmup=column(rows, lambda row: int(row["phase"] == "warmup")),
        outcome=column(rows, lambda row: outcomes.place(row["outcome"])),
        error=column(rows, lambda row: errors.place(row["error"])),
        model=column(rows, lambda row: models.place(row["model"])),
        sent_us=column(rows, lambda row: rounded(row["sent_ns"])),
        connect_us=column(rows, lambda row: rounded(row["connect_ns"]) or None),
        tokens_out=column(rows, lambda row: row["tokens_out"]),
        **{f"{name}_us": column(rows, since_sent(f"{stamp}_ns")) for name, stamp in STAMPS.items()},
        outcomes=outcomes.texts,
        failed=tuple(text not in SUCCESSES for text in outcomes.texts),
        errors=errors.texts,
        models=models.texts,
    )


STAMPS = {
    "due": "scheduled",
    "first_byte": "first_byte",
    "first_token": "first_token",
    "last_token": "last_token",
    "end": "end",
}


def column(rows: Iterable[Row], of: Callable[[Row], int | None]) -> Column:
    """A fact of all rows; empty where none has it."""
    values = tuple(map(of, rows))
    return values if any(value is not None for value in values) else ()


def since_sent(stamp: str) -> Callable[[Row], int | None]:
    """A stamp as microseconds since sending."""

    def of(row: Row) -> int | None:
        return None if row[stamp] is None else round((row[stamp] - row["sent_ns"]) / NS_PER_US)

    return of


def failures_of(measured: Sequence[Row]) -> tuple[Failure, ...]:
    """The failures by kind, the most frequent first."""
    kinds: dict[tuple[str, str | None], list[Row]] = defaultdict(list)
    for row in filter(is_failure, measured):
        kinds[row["outcome"], None if row["error"] is None else shown(row["error"])].append(row)
    ordered = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0][0], item[0][1] or ""))
    return tuple(failure_of(*kind, rows, len(measured)) for kind, rows in ordered)


def failure_of(outcome: str, error: str | None, rows: Sequence[Row], of: int) -> Failure:
    """One kind of failure."""
    ends = [row["end_ns"] for row in rows]
    return Failure(
        outcome=outcome,
        error=error,
        count=len(rows),
        share=len(rows) / of,
        first_s=round(min(ends) / NS_PER_S, 3),
        last_s=round(max(ends) / NS_PER_S, 3),
        numbers=tuple(row["number"] for row in rows[:NUMBERS_KEPT]),
    )
