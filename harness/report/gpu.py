"""What the cards did: lanes on the axis of a run or a capture, and figures of a window.

The law of this file: pure, of rows of `gpus`, `gpu_samples` and `gpu_events`. Figures are those that the
run stored, else by the same formulas (`harness.load.gpu.figures`): energy is a difference of a counter,
counters have no percentiles.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.core.visible import visible
from harness.load.gpu.figures import CardFigures, Figures, Window, figures
from harness.load.gpu.keep import records_of
from harness.load.gpu.records import What
from harness.load.gpu.summary import of_object
from harness.report.lanes import GIB, NS_PER_S, lane, seconds, thinned
from harness.report.model import Card, Gpu, Lane, Mark
from harness.report.times import Row

MW_PER_W = 1000


@dataclass(frozen=True, slots=True)
class CardLog:
    """A row of `gpus` and its samples in the order of time."""

    card: Row
    samples: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Line:
    """A counter of a lane: its name, column, and the factor to the lane's unit."""

    name: str
    column: str
    factor: float = 1.0


GPU_LANES: tuple[tuple[str, str, tuple[Line, ...]], ...] = (
    ("activity", "%", (
        Line("any kernel", "utilisation_percent"),
        Line("SMs", "sm_active_percent"),
        Line("tensor cores", "tensor_active_percent"),
        Line("DRAM", "dram_active_percent"),
    )),
    ("power", "W", (Line("average", "power_mw", 1e-3), Line("instant", "power_instant_mw", 1e-3))),
    ("memory", "GiB", (Line("used", "memory_used_bytes", 1 / GIB),)),
    ("clocks", "MHz", (Line("SM", "sm_clock_mhz"), Line("memory", "memory_clock_mhz"))),
    ("temperature", "°C", (Line("chip", "temperature_c"), Line("memory", "memory_temperature_c"))),
    ("PCIe", "MB/s", (Line("sent", "pcie_tx_kb_s", 1e-3), Line("received", "pcie_rx_kb_s", 1e-3))),
)  # fmt: skip
"""Title, unit and lines of the lanes of a card."""


@dataclass(frozen=True, slots=True)
class GpuRows:
    """The log of a run or a capture, and what happened to the cards."""

    cards: Sequence[CardLog] = ()
    events: Sequence[Row] = ()


def gpu_lanes(gpu: GpuRows) -> Iterator[Lane]:
    """The lanes of each card; what a card did not give has no line.

    Samples that have nothing of a lane (what is read more seldom has some of its own) are left out of it.
    """
    for log in gpu.cards:
        for title, unit, lines in GPU_LANES:
            rows = thinned(
                [row for row in log.samples if any(row[line.column] is not None for line in lines)]
            )
            told = [(line.name, scaled(rows, line)) for line in lines]
            known = [(name, values) for name, values in told if any(value is not None for value in values)]
            if known:
                yield lane(f"{card_title(log.card)}: {title}", unit, seconds(rows), known)


def scaled(rows: Sequence[Row], line: Line) -> tuple[float | None, ...]:
    """A counter in the unit of its lane."""
    return tuple(
        None if row[line.column] is None else round(row[line.column] * line.factor, 4) for row in rows
    )


def gpu_of(
    gpu: GpuRows,
    window_ns: tuple[int, int] | None,
    tokens: int | None,
    stored: Mapping[str, Any] | None = None,
) -> Gpu | None:
    """The cards over a window, in which so many tokens came; None where nothing was logged.

    `stored`: the figures that a run has of them; without, they are made of the log.
    """
    if not gpu.cards and not gpu.events:
        return None
    found = of_object(stored) if stored else made(gpu, window_ns, tokens)
    return Gpu(
        cards=tuple(map(card_of, found.cards)),
        energy_j=found.energy_joules,
        tokens_per_joule=found.tokens_per_joule,
        events=tuple(mark_of(event, gpu.cards) for event in gpu.events if event["what"] != What.UNSUPPORTED),
    )


def made(gpu: GpuRows, window_ns: tuple[int, int] | None, tokens: int | None) -> Figures:
    """The figures of a log over a window; of all of it where there is none."""
    records = records_of([(log.card, log.samples) for log in gpu.cards], gpu.events)
    return figures(records, Window(*window_ns) if window_ns else all_of(gpu), tokens if window_ns else None)


def all_of(gpu: GpuRows) -> Window:
    """From the first sample to the last."""
    times = [row["at_ns"] for log in gpu.cards for row in log.samples] or [0]
    return Window(min(times), max(times))


def card_of(found: CardFigures) -> Card:
    """The figures of a card."""
    card, energy = found.card, found.energy
    power = found.gauges.get("power_mw") or found.gauges.get("power_instant_mw")
    return Card(
        title=title_of(card.parent, card.index, card.name),
        host=visible(card.host),
        driver=card.driver and visible(card.driver),
        samples=found.samples,
        busy_mean_percent=mean_of(found, "utilisation_percent"),
        sm_mean_percent=mean_of(found, "sm_active_percent"),
        memory_max_gib=None if found.peak_memory_bytes is None else found.peak_memory_bytes / GIB,
        power_mean_w=power.mean / MW_PER_W if power else None,
        power_max_w=power.most / MW_PER_W if power else None,
        energy_j=energy.joules if energy else None,
        energy_error_j=energy.error_joules if energy else None,
        throttled_s=dict(found.throttled_s),
        lost_s=None if found.lost_ns is None else found.lost_ns / NS_PER_S,
        unsupported=tuple(map(visible, found.unsupported)),
        notes=tuple(map(visible, found.notes)),
    )


def mean_of(found: CardFigures, counter: str) -> float | None:
    """The mean of a gauge; None where the card did not give it."""
    gauge = found.gauges.get(counter)
    return gauge.mean if gauge else None


def title_of(parent: str | None, number: int, name: str) -> str:
    """A card as people call it."""
    return visible(f"{'MIG' if parent else 'GPU'} {number} {name}")


def card_title(card: Row) -> str:
    """The title of a stored card."""
    return title_of(card["parent"], card["number"], card["name"])


def mark_of(event: Row, logs: Sequence[CardLog]) -> Mark:
    """An event of a card in words."""
    names = {log.card["id"]: card_title(log.card) for log in logs}
    parts = (names.get(event["gpu_id"]), event["what"], event["counter"], event["code"], event["detail"])
    text = " · ".join(str(part) for part in parts if part not in (None, ""))
    return Mark(at_s=round(event["at_ns"] / NS_PER_S, 4), text=visible(text))
