"""`harness stats`: how fast the models of one or several recordings were."""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.filters import Limit, Sort, filtered
from harness.cli.output import NS_PER_MS, Column, Order, decimals, milliseconds, print_rows, sparkline

if TYPE_CHECKING:
    from harness.core.derive import Derived
    from harness.core.exchange import Exchange
    from harness.store.selection import Selection

QUANTILES = {"p50": 0, "p90": 6, "p99": 1, "max": 7}
"""Shown quantile -> how early its columns leave where the terminal is narrow."""

EDGES_MS = tuple(10 ** (step / 2) for step in range(-4, 9))
"""Bounds of the shown distribution: half a power of ten each, from 0.01 ms to 10 s, open at both ends."""


def shape(spread: dict[str, Any]) -> str:
    """The distribution as a sparkline."""
    return sparkline(spread["counts"])


COLUMNS = [
    Column("model", folds=True),
    Column("dialect", rank=2),
    Column("exchanges", right=True),
    Column("states", rank=4, folds=True, sorts=False),
    *(Column(f"ttft_{q}_ms", rank, right=True, show=decimals(1)) for q, rank in QUANTILES.items()),
    *(Column(f"icl_{q}_ms", rank, right=True, show=decimals(2)) for q, rank in QUANTILES.items()),
    Column("icl_spread", rank=3, show=shape, sorts=False),
    Column("tokens_per_s", right=True, rank=1, show=decimals(1)),
    Column("tokens_in", right=True, rank=5),
    Column("tokens_out", right=True, rank=5),
]


@dataclass(slots=True)
class Group:
    """All exchanges of one model in one dialect. Times in ns; 8 bytes are kept for each."""

    states: Counter[str] = field(default_factory=Counter)
    ttft_ns: array[int] = field(default_factory=lambda: array("q"))
    icl_ns: array[int] = field(default_factory=lambda: array("q"))
    tokens: Counter[str] = field(default_factory=Counter)
    timed_tokens: int = 0
    timed_ns: int = 0

    def add(self, exchange: "Exchange", derived: "Derived") -> None:
        """Take in one exchange. Where the recording knows no times, it has none to give."""
        self.states[exchange.state.value] += 1
        if derived.ttft_ns is not None:
            self.ttft_ns.append(derived.ttft_ns)
        self.icl_ns.extend(derived.icl_ns)
        counts = {"in": derived.usage.input, "out": derived.usage.output}
        self.tokens.update({name: count for name, count in counts.items() if count is not None})
        if derived.usage.output is not None and exchange.response and exchange.timing_known:
            self.timed_tokens += derived.usage.output
            self.timed_ns += exchange.response.end_ns

    def row(self, model: str | None, dialect: str) -> dict[str, Any]:
        """What the columns show. tokens_per_s = output tokens / E2E, each summed over the exchanges."""
        return {
            "model": model,
            "dialect": dialect,
            "exchanges": self.states.total(),
            "states": dict(self.states.most_common()),
            **quantiles("ttft", self.ttft_ns),
            **quantiles("icl", self.icl_ns),
            "icl_spread": spread(self.icl_ns),
            "tokens_per_s": round(self.timed_tokens * 1e9 / self.timed_ns, 3) if self.timed_ns else None,
            "tokens_in": self.tokens.get("in"),
            "tokens_out": self.tokens.get("out"),
        }


def quantiles(name: str, values_ns: Iterable[int]) -> dict[str, float | None]:
    """The quantiles of times in ms; None each where there are none."""
    from harness.core.metrics import Summary  # noqa: PLC0415

    found: Summary | None = Summary.of(values_ns)
    return {f"{name}_{q}_ms": milliseconds(getattr(found, q)) if found else None for q in QUANTILES}


def spread(values_ns: Iterable[int]) -> dict[str, Any]:
    """How many gaps fall below the first edge, between two, and from the last on."""
    counts = Counter(bisect_right(EDGES_MS, value / NS_PER_MS) for value in values_ns)
    return {
        "edges_ms": [round(edge, 4) for edge in EDGES_MS],
        "counts": [counts[place] for place in range(len(EDGES_MS) + 1)],
    }


@filtered
def stats(
    recordings: Annotated[list[Path], typer.Argument(help="Recordings (.db) or interchange files (.jsonl).")],
    selection: "Selection",
    sort: Sort = None,
    limit: Limit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """Show how fast each model was: TTFT, ICL, tokens a second.

    ttft: milliseconds from the request's last byte to the first generated content. icl: gaps between
    events with content; the line under "icl spread" counts them from 0.01 ms to 10 s, half a power of
    ten a block. tokens per s: output tokens over the whole duration. Exchanges whose times are unknown
    count without them. Filters say which exchanges count; they can be given several times.
    """
    order = Order.of(COLUMNS, sort, limit)
    groups: dict[tuple[str | None, str], Group] = {}
    for recording in recordings:
        gather(recording, selection, groups)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0] or "", item[0][1]))
    print_rows(COLUMNS, order.arranged([group.row(*key) for key, group in ordered]), as_json=as_json)


def gather(recording: Path, selection: "Selection", groups: dict[tuple[str | None, str], Group]) -> None:
    """Add the chosen exchanges of a recording to their groups."""
    from harness.core.derive import derive  # noqa: PLC0415
    from harness.store.open import open_recording  # noqa: PLC0415
    from harness.store.selection import exchanges  # noqa: PLC0415

    with open_recording(recording) as opened:
        for exchange in exchanges(opened, selection):
            derived = derive(exchange)
            groups.setdefault((derived.model, derived.dialect), Group()).add(exchange, derived)
