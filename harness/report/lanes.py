"""Lanes on the axis of the run: what was under way, what the hosts did, what the cards did.

The law of this file: pure, of rows of `load_requests`, `host_samples`, `gpus`, `gpu_samples` and
`gpu_events`. Energy is a difference of a counter over the measured window, each end on a line between
the two samples around it; counters have no percentiles.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from harness.core.visible import visible
from harness.report.model import Card, Gpu, Lane, Mark, Series
from harness.report.overtime import Axis, means, rates
from harness.report.times import Row, is_failure, rounded

NS_PER_S = 1_000_000_000
GIB = 1 << 30
MB = 1_000_000
NO_THROTTLE = "gpu_idle"
MOST_POINTS = 4000
"""Samples of a lane that are drawn: hours of 10 Hz are thinned evenly."""


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


def request_lanes(rows: Sequence[Row], axis: Axis) -> Iterator[Lane]:
    """What was under way, tokens a second (evenly over each answer), requests a second."""
    at_s = axis.middles_s()
    yield lane(
        "Under way", "requests", at_s, [("requests", means(chain.from_iterable(map(stay, rows)), axis))]
    )
    tokens = [change for row in rows if not is_failure(row) for change in pace(row)]
    if tokens:
        yield lane("Output tokens", "tokens/s", at_s, [("of successes", means(tokens, axis))])
    failed = [rounded(row["end_ns"]) for row in rows if is_failure(row)]
    sent = ("sent", rates((rounded(row["sent_ns"]) for row in rows), axis))
    yield lane("Requests", "per s", at_s, [sent, *([("failed", rates(failed, axis))] if failed else [])])


def stay(row: Row) -> tuple[tuple[int, float], ...]:
    """A request as changes of what is under way."""
    return (rounded(row["sent_ns"]), 1.0), (rounded(row["end_ns"]), -1.0)


def pace(row: Row) -> tuple[tuple[int, float], ...]:
    """An answer as changes of the tokens a second; one that came at once counts as a millisecond."""
    tokens, first, last = row["tokens_out"], row["first_token_ns"], row["last_token_ns"]
    if not tokens or first is None or last is None:
        return ()
    start, end = rounded(first), max(rounded(last), rounded(first) + 1000)
    per_s = tokens * 1e6 / (end - start)
    return (start, per_s), (end, -per_s)


def host_lanes(samples: Sequence[Row]) -> Iterator[Lane]:
    """CPU, memory and network of each host."""
    hosts: dict[str, list[Row]] = defaultdict(list)
    for row in samples:
        hosts[row["host"]].append(row)
    for host, rows in hosts.items():
        yield from lanes_of_host(visible(host), thinned(rows))


def lanes_of_host(host: str, rows: Sequence[Row]) -> Iterator[Lane]:
    """The lanes of one host."""
    at_s = seconds(rows)
    busiest = tuple(max(row["cores"], default=None) for row in rows)
    cpu = tuple(row["cpu_percent"] for row in rows)
    yield lane(f"Host {host}: CPU", "%", at_s, [("all cores", cpu), ("busiest core", busiest)])
    network = [(name, speeds(rows, f"{name}_bytes")) for name in ("received", "sent")]
    yield lane(f"Host {host}: network", "MB/s", at_s, network)
    memory = tuple(round(row["memory_used_bytes"] / GIB, 3) for row in rows)
    yield lane(f"Host {host}: memory", "GiB", at_s, [("used", memory)])


def speeds(rows: Sequence[Row], column: str) -> tuple[float | None, ...]:
    """A counter of bytes as MB a second since the sample before."""
    steps = (
        (after[column] - before[column], after["at_ns"] - before["at_ns"]) for before, after in pairwise(rows)
    )
    known = (
        round(amount / MB / (ns / NS_PER_S), 4) if ns > 0 and amount >= 0 else None for amount, ns in steps
    )
    return (None, *known)


def gpu_lanes(logs: Iterable[CardLog]) -> Iterator[Lane]:
    """The lanes of each card; what a card did not give has no line."""
    for log in logs:
        rows = thinned(log.samples)
        for title, unit, lines in GPU_LANES:
            told = [(line.name, scaled(rows, line)) for line in lines]
            known = [(name, values) for name, values in told if any(value is not None for value in values)]
            if known:
                yield lane(f"{card_title(log.card)}: {title}", unit, seconds(rows), known)


def scaled(rows: Sequence[Row], line: Line) -> tuple[float | None, ...]:
    """A counter in the unit of its lane."""
    return tuple(
        None if row[line.column] is None else round(row[line.column] * line.factor, 4) for row in rows
    )


def card_title(card: Row) -> str:
    """A card as people call it."""
    kind = "MIG" if card["parent"] else "GPU"
    return visible(f"{kind} {card['number']} {card['name']}")


def seconds(rows: Sequence[Row]) -> tuple[float, ...]:
    """When the samples were."""
    return tuple(round(row["at_ns"] / NS_PER_S, 4) for row in rows)


def thinned(rows: Sequence[Row], most: int = MOST_POINTS) -> Sequence[Row]:
    """All rows, or every n-th."""
    return rows[:: -(-len(rows) // most)] if rows else rows


def lane(
    title: str, unit: str, at_s: tuple[float, ...], lines: Iterable[tuple[str, tuple[float | None, ...]]]
) -> Lane:
    """A lane of named lines."""
    return Lane(title=title, unit=unit, at_s=at_s, series=tuple(Series(name=n, values=v) for n, v in lines))


def gpu_of(
    logs: Sequence[CardLog], events: Sequence[Row], window_ns: tuple[int, int] | None, tokens: int | None
) -> Gpu | None:
    """The cards over the measured window; None where none was sampled and nothing happened."""
    if not logs and not events:
        return None
    cards = tuple(card_of(log, window_ns) for log in logs)
    whole = [told.energy_j for told, log in zip(cards, logs, strict=True) if log.card["parent"] is None]
    known = [energy for energy in whole if energy is not None]
    energy = sum(known) if known and len(known) == len(whole) else None
    return Gpu(
        cards=cards,
        energy_j=energy,
        tokens_per_joule=round(tokens / energy, 4) if tokens and energy else None,
        events=tuple(mark_of(event, logs) for event in events),
    )


def card_of(log: CardLog, window_ns: tuple[int, int] | None) -> Card:
    """The figures of a card over the window (all samples, where there is none)."""
    start, end = window_ns or (-(1 << 62), 1 << 62)
    inside = [row for row in log.samples if start <= row["at_ns"] <= end]
    words = {word for row in inside for word in (row["throttling"] or "").split(",")}
    return Card(
        title=card_title(log.card),
        host=visible(log.card["host"]),
        driver=log.card["driver"],
        samples=len(inside),
        busy_mean_percent=figure(inside, "utilisation_percent", mean),
        sm_mean_percent=figure(inside, "sm_active_percent", mean),
        memory_max_gib=figure(inside, "memory_used_bytes", max, 1 / GIB),
        power_mean_w=figure(inside, "power_mw", mean, 1e-3),
        power_max_w=figure(inside, "power_mw", max, 1e-3),
        energy_j=energy_of(log.samples, window_ns),
        throttled=tuple(sorted(words - {"", NO_THROTTLE})),
    )


def mean(values: Sequence[float]) -> float:
    """The mean of at least one value."""
    return sum(values) / len(values)


def figure(
    rows: Sequence[Row], column: str, of: Callable[[Sequence[float]], float], factor: float = 1.0
) -> float | None:
    """A figure of the known values of a gauge; None of none."""
    known = [row[column] for row in rows if row[column] is not None]
    return round(of(known) * factor, 3) if known else None


def energy_of(samples: Sequence[Row], window_ns: tuple[int, int] | None) -> float | None:
    """The energy of the window in J; None where the log does not cover it, or the counter went back."""
    read = [(row["at_ns"], row["energy_mj"]) for row in samples if row["energy_mj"] is not None]
    if window_ns is None or any(after[1] < before[1] for before, after in pairwise(read)):
        return None
    first, last = (counter_at(read, at_ns) for at_ns in window_ns)
    return None if first is None or last is None else round((last - first) / 1000, 3)


def counter_at(read: Sequence[tuple[int, int]], at_ns: int) -> float | None:
    """A counter at a time, on the line between the readings around it; None outside of them."""
    for (before, low), (after, high) in pairwise(read):
        if before <= at_ns <= after:
            return low + (high - low) * (at_ns - before) / max(1, after - before)
    return None


def mark_of(event: Row, logs: Sequence[CardLog]) -> Mark:
    """An event of a card in words."""
    names = {log.card["id"]: card_title(log.card) for log in logs}
    parts = (names.get(event["gpu_id"]), event["what"], event["counter"], event["code"], event["detail"])
    text = " · ".join(str(part) for part in parts if part not in (None, ""))
    return Mark(at_s=round(event["at_ns"] / NS_PER_S, 4), text=visible(text))
