"""What a GPU log says of a window of time: energy, tokens a joule, gauges, throttling.

The law of this file: pure. Counters that only grow give differences over the window and nothing else; a
gauge gives its mean, least and most; nothing gives percentiles, since a counter's samples are averages
over spans that the card chooses. The window and the records are on one clock, in ns. A log that does not
cover the window says so, and gives no ratio to what happened in it.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import fsum

from harness.load.gpu.counters import BY_NAME, COUNTERS, IDLE, reasons_of
from harness.load.gpu.records import Card, Event, GpuRecord, Sample, What

NS_PER_S = 1_000_000_000
MJ_PER_J = 1000
MW_NS_PER_J = 1000 * NS_PER_S
NEAR = 0.99
"""A log that covers this part of the window covers it."""


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when, ns on the records' clock."""

    start_ns: int
    end_ns: int

    @property
    def length_ns(self) -> int:
        """Its length."""
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class Gauge:
    """A gauge over the samples in a window, in its counter's unit."""

    mean: float
    least: float
    most: float
    samples: int


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy in the window, in joules, give or take `error_joules` as far as that can be bounded.

    `source`: `counter`, or `power` where the card counts no energy and power was summed over time (then
    the error is not known).
    """

    joules: float
    error_joules: float | None
    source: str


@dataclass(frozen=True, slots=True)
class CardFigures:
    """A card in a window. `covered`: the part of the window between its first and last sample.

    `gauges` and `grown` by counter; `throttled_s` by reason, without idleness, each sample's reasons taken
    to last until the next. `unsupported`: counter -> why. `lost_ns`: when the card was lost. `notes`: what
    to know about these figures, a line each.
    """

    card: Card
    samples: int
    covered: float
    energy: Energy | None = None
    gauges: Mapping[str, Gauge] = field(default_factory=dict)
    grown: Mapping[str, float] = field(default_factory=dict)
    throttled_s: Mapping[str, float] = field(default_factory=dict)
    peak_memory_bytes: int | None = None
    xids: tuple[int, ...] = ()
    unsupported: Mapping[str, str] = field(default_factory=dict)
    lost_ns: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """All cards in a window. `tokens_per_joule`: the window's output tokens over the energy of all cards;

    None where the tokens or one card's energy are not known, or a log does not cover the window.
    """

    cards: tuple[CardFigures, ...]
    energy_joules: float | None
    tokens_per_joule: float | None
    unreachable: int = 0


@dataclass(slots=True)
class Series:
    """The values of a counter by time, one at least; `error_ns` is how far off each time may be."""

    at_ns: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    error_ns: list[int | None] = field(default_factory=list)

    def add(self, sample: Sample, value: float) -> None:
        """Add a value that is later than the others."""
        self.at_ns.append(sample.at_ns)
        self.values.append(value)
        self.error_ns.append(sample.error_ns)

    def within(self, window: Window) -> list[float]:
        """The values that lie in a window."""
        first, last = bisect_left(self.at_ns, window.start_ns), bisect_right(self.at_ns, window.end_ns)
        return self.values[first:last]

    def clipped(self, window: Window) -> Window | None:
        """The part of a window that lies between the first value and the last; None: no part."""
        start, end = max(window.start_ns, self.at_ns[0]), min(window.end_ns, self.at_ns[-1])
        return Window(start, end) if start < end else None

    def at(self, moment_ns: int) -> float:
        """The value at a moment between the first and the last, on a straight line between neighbours."""
        place = bisect_left(self.at_ns, moment_ns)
        if self.at_ns[place] == moment_ns:
            return self.values[place]
        before, after = self.at_ns[place - 1], self.at_ns[place]
        part = (moment_ns - before) / (after - before)
        return self.values[place - 1] + part * (self.values[place] - self.values[place - 1])

    def least_at(self, moment_ns: int) -> float:
        """The last value that was surely read by a moment; of a counter that grows, it had at least that."""
        surely = (
            value for value, latest in zip(self.values, self.shifted(1), strict=True) if latest <= moment_ns
        )
        return max(surely, default=self.values[0])

    def most_at(self, moment_ns: int) -> float:
        """The first value that was surely read after a moment; the counter had at most that."""
        surely = (
            v for v, earliest in zip(self.values, self.shifted(-1), strict=True) if earliest >= moment_ns
        )
        return min(surely, default=self.values[-1])

    def shifted(self, sign: int) -> Iterable[int]:
        """The times at their latest (1) or earliest (-1)."""
        return (at + sign * (error or 0) for at, error in zip(self.at_ns, self.error_ns, strict=True))

    def falls(self) -> bool:
        """Whether a value is below the one before: a counter that grows began anew."""
        return any(after < before for before, after in pairwise(self.values))


def figures(records: Iterable[GpuRecord], window: Window, tokens_out: int | None = None) -> Figures:
    """The figures of a window from a log, in which `tokens_out` tokens were generated (None: unknown)."""
    cards: dict[str, Card] = {}
    samples: dict[str, list[Sample]] = defaultdict(list)
    events: dict[str | None, list[Event]] = defaultdict(list)
    for record in records:
        if isinstance(record, Card):
            cards[record.gpu] = record
        elif isinstance(record, Sample):
            samples[record.gpu].append(record)
        elif isinstance(record, Event):
            events[record.gpu].append(record)
    told = tuple(card_figures(card, samples[uuid], events[uuid], window) for uuid, card in cards.items())
    joules = energy_of_all(told)
    ratio = tokens_out / joules if tokens_out is not None and joules else None
    return Figures(told, joules, ratio, sum(event.what is What.UNREACHABLE for event in events[None]))


def energy_of_all(cards: Sequence[CardFigures]) -> float | None:
    """Joules of all cards (instances are part of theirs); None where one is not known for all the window."""
    whole = [figures for figures in cards if figures.card.parent is None]
    known = [figures.energy.joules for figures in whole if figures.energy and figures.covered >= NEAR]
    return fsum(known) if whole and len(known) == len(whole) else None


def card_figures(
    card: Card, samples: Sequence[Sample], events: Sequence[Event], window: Window
) -> CardFigures:
    """The figures of a card."""
    series = series_of(samples)
    notes: list[str] = []
    covered = coverage(series, window)
    if covered < NEAR:
        notes.append(f"the log covers {covered:.0%} of the window")
    memory = series["memory_used_bytes"].within(window) if "memory_used_bytes" in series else []
    lost = next((event.at_ns for event in events if event.what is What.LOST), None)
    in_window = [event for event in events if window.start_ns <= event.at_ns <= window.end_ns]
    return CardFigures(
        card=card,
        samples=sum(window.start_ns <= sample.at_ns <= window.end_ns for sample in samples),
        covered=covered,
        energy=energy(series, window, notes),
        gauges=dict(gauges(series, window)),
        grown=dict(grown(series, window, notes)),
        throttled_s=throttled(series.get("throttle_reasons", Series()), window),
        peak_memory_bytes=int(max(memory)) if memory else None,
        xids=tuple(event.code for event in in_window if event.what is What.XID and event.code is not None),
        unsupported={e.counter: e.detail for e in events if e.what is What.UNSUPPORTED and e.counter},
        lost_ns=lost,
        notes=tuple(notes),
    )


def series_of(samples: Sequence[Sample]) -> dict[str, Series]:
    """The samples by counter, in order of time."""
    found: dict[str, Series] = defaultdict(Series)
    for sample in sorted(samples, key=lambda sample: sample.at_ns):
        for name, value in sample.values.items():
            found[name].add(sample, value)
    return dict(found)


def coverage(series: Mapping[str, Series], window: Window) -> float:
    """The part of a window for which there is energy or power (without both: anything)."""
    best = next((series[name] for name in ("energy_mj", "power_mw") if name in series), None)
    of = [best] if best else list(series.values())
    parts = [part.length_ns for each in of if (part := each.clipped(window))]
    return max(parts, default=0) / window.length_ns if window.length_ns > 0 else 0.0


def energy(series: Mapping[str, Series], window: Window, notes: list[str]) -> Energy | None:
    """Energy by the card's counter, else by its power; None where it has neither in the window."""
    counter = series.get("energy_mj")
    part = counter.clipped(window) if counter else None
    if counter and part and not counter.falls():
        return counted(counter, part)
    if counter and counter.falls():
        notes.append("the energy counter began anew: energy is power summed over time")
    for name in ("power_instant_mw", "power_mw"):
        power = series.get(name)
        part = power.clipped(window) if power else None
        if power and part:
            if not counter:
                notes.append("the card counts no energy: energy is power summed over time")
            return Energy(summed(power, part) / MW_NS_PER_J, None, "power")
    return None


def counted(counter: Series, part: Window) -> Energy:
    """Energy by a counter: its difference between the ends, each on a line between two samples.

    The error: the counter had, at each end, at least what was surely read before it and at most what was
    surely read after it. It is not known where the age of a sample is not.
    """
    taken = counter.at(part.end_ns) - counter.at(part.start_ns)
    most = counter.most_at(part.end_ns) - counter.least_at(part.start_ns)
    least = counter.least_at(part.end_ns) - counter.most_at(part.start_ns)
    known = None not in counter.error_ns
    error = max(most - taken, taken - least) / MJ_PER_J if known else None
    return Energy(taken / MJ_PER_J, error, "counter")


def summed(power: Series, part: Window) -> float:
    """The area under a gauge over a part of time that it covers (trapezoids), in its unit times ns."""
    inner = [
        (at, value)
        for at, value in zip(power.at_ns, power.values, strict=True)
        if part.start_ns < at < part.end_ns
    ]
    points = [(part.start_ns, power.at(part.start_ns)), *inner, (part.end_ns, power.at(part.end_ns))]
    return fsum((after[0] - before[0]) * (before[1] + after[1]) / 2 for before, after in pairwise(points))


def gauges(series: Mapping[str, Series], window: Window) -> Iterable[tuple[str, Gauge]]:
    """The gauges of a window; reasons for throttling are bits, and none."""
    for counter in COUNTERS:
        if counter.grows or counter.unit == "bits" or counter.name not in series:
            continue
        if values := series[counter.name].within(window):
            yield counter.name, Gauge(fsum(values) / len(values), min(values), max(values), len(values))


def grown(series: Mapping[str, Series], window: Window, notes: list[str]) -> Iterable[tuple[str, float]]:
    """How much the counters that only grow have grown in a window, without the energy."""
    for name, each in series.items():
        if not BY_NAME[name].grows or name == "energy_mj" or not (part := each.clipped(window)):
            continue
        if each.falls():
            notes.append(f"{name} began anew")
        else:
            yield name, each.at(part.end_ns) - each.at(part.start_ns)


def throttled(reasons: Series, window: Window) -> dict[str, float]:
    """Seconds by reason, each sample's reasons lasting until the next; idleness is none."""
    found: dict[str, int] = defaultdict(int)
    for (at, bits), (until, _) in pairwise(zip(reasons.at_ns, reasons.values, strict=True)):
        length = min(until, window.end_ns) - max(at, window.start_ns)
        for word in reasons_of(int(bits)) if length > 0 else ():
            found[word] += length
    return {word: length / NS_PER_S for word, length in found.items() if word != IDLE}
