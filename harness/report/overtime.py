"""Latencies over the time of a run: spans of equal length with their quantiles, and single values.

The law of this file: pure. A value stands at the time at which it was complete, so what is slow shows
when users felt it.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nlargest

from harness.report.model import OverTime
from harness.report.spread import Counts, milliseconds, quantiles_of

SPANS = 120
MOST_DOTS = 4000
WORST_DOTS = 400
"""Of the dots, the largest that are kept in any case."""
SHARES = (0.5, 0.9, 0.99)
US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Axis:
    """The time of a run in spans: `start_us` to `end_us`, which is later."""

    start_us: int
    end_us: int
    spans: int = SPANS

    @property
    def step_us(self) -> float:
        """The length of a span."""
        return (self.end_us - self.start_us) / self.spans

    def span_of(self, at_us: int) -> int:
        """The span of a time; what is outside counts to the first or the last."""
        return max(0, min(self.spans - 1, int((at_us - self.start_us) / self.step_us)))

    def middles_s(self) -> tuple[float, ...]:
        """The middle of each span in seconds."""
        first = self.start_us + self.step_us / 2
        return tuple(round((first + span * self.step_us) / US_PER_S, 4) for span in range(self.spans))


@dataclass(slots=True)
class Gathered:
    """The values of a latency, span by span, and as dots (time and value, in us; 16 bytes each)."""

    axis: Axis
    spans: "defaultdict[int, defaultdict[int, int]]" = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    times: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, at_us: int, value_us: int) -> None:
        """Take in a single value."""
        self._dot(at_us, value_us)
        self.spans[self.axis.span_of(at_us)][value_us] += 1

    def add_counts(self, at_us: int, counts: Iterable[tuple[int, int]]) -> None:
        """Take in values of one time as counts; the largest of them is a dot."""
        worst, span = None, self.spans[self.axis.span_of(at_us)]
        for value, times in counts:
            span[value] += times
            worst = value if worst is None else max(worst, value)
        if worst is not None:
            self._dot(at_us, worst)

    def _dot(self, at_us: int, value_us: int) -> None:
        self.times.append(at_us)
        self.values.append(value_us)

    def over_time(self, name: str, title: str, what: str) -> OverTime | None:
        """The document; None where nothing came."""
        if not self.values:
            return None
        rows = [quantile_row(self.spans.get(span, {})) for span in range(self.axis.spans)]
        dots = chosen(self.times, self.values)
        return OverTime(
            name=name,
            title=title,
            what=what,
            at_s=self.axis.middles_s(),
            count=tuple(sum(self.spans.get(span, {}).values()) for span in range(self.axis.spans)),
            p50_ms=tuple(row[0] for row in rows),
            p90_ms=tuple(row[1] for row in rows),
            p99_ms=tuple(row[2] for row in rows),
            dots_s=tuple(round(at / US_PER_S, 4) for at, _ in dots),
            dots_ms=tuple(milliseconds(value) for _, value in dots),
            dots_of=len(self.values),
        )


def quantile_row(counts: Counts) -> tuple[float | None, ...]:
    """The quantiles of a span in ms."""
    if not counts:
        return (None,) * len(SHARES)
    return tuple(map(milliseconds, quantiles_of(counts, SHARES)))


def chosen(times: Sequence[int], values: Sequence[int], most: int = MOST_DOTS) -> list[tuple[int, int]]:
    """All dots by time, or at most so many: the worst, and every n-th of all."""
    count = len(values)
    if count <= most:
        return sorted(zip(times, values, strict=True))
    worst = set(nlargest(min(WORST_DOTS, most), range(count), key=values.__getitem__))
    stride = -(-count // max(1, most - len(worst)))
    return sorted((times[place], values[place]) for place in worst | set(range(0, count, stride)))


def means(changes: Iterable[tuple[int, float]], axis: Axis) -> tuple[float, ...]:
    """The mean level in each span, of a level that changes at times (us) by amounts; it begins at 0.

    >>> means([(0, 1.0), (5, -1.0)], Axis(0, 10, 2))
    (1.0, 0.0)
    """
    areas, level, last = [0.0] * axis.spans, 0.0, axis.start_us
    for at_us, amount in sorted(changes):
        add_area(areas, axis, level, last, at_us)
        level, last = level + amount, max(last, at_us)
    return tuple(round(max(0.0, area) / axis.step_us, 4) for area in areas)


def add_area(areas: list[float], axis: Axis, level: float, start_us: int, end_us: int) -> None:
    """Add a level from a time to another to the spans between them."""
    if level <= 0 or end_us <= start_us:
        return
    for span in range(axis.span_of(start_us), axis.span_of(end_us) + 1):
        left = axis.start_us + span * axis.step_us
        areas[span] += level * max(0.0, min(end_us, left + axis.step_us) - max(start_us, left))


def rates(times_us: Iterable[int], axis: Axis) -> tuple[float, ...]:
    """How many happened in each span, a second."""
    counts = [0] * axis.spans
    for at_us in times_us:
        counts[axis.span_of(at_us)] += 1
    return tuple(round(count * US_PER_S / axis.step_us, 4) for count in counts)
