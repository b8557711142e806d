"""What is known of each worker: its clock, how busy and how late it was, how it ended.

The law of this file: pure; a worker that never said how it ended has no end here, so that a killed one
is seen.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.core.histogram import FINE_BITS, Histogram
from harness.core.metrics import quantile
from harness.load.records import EndRecord, Record, Result, Tick, WorkerRecord

NS_PER_S = 1_000_000_000
PARTS = 1000
"""Shares of a core are kept in thousandths."""


@dataclass(slots=True)
class Worker:
    """One worker so far. `shares`: thousandths of a core that it used in each of its seconds."""

    record: WorkerRecord
    recorded: int = 0
    tick: Tick | None = None
    shares: "array[int]" = field(default_factory=lambda: array("q"))
    lag: Histogram = field(default_factory=lambda: Histogram(bits=FINE_BITS))
    rss_bytes: int = 0
    end: EndRecord | None = None

    def add_tick(self, tick: Tick) -> None:
        """Take in a second of it."""
        before, self.tick = self.tick, tick
        if before and tick.at_ns > before.at_ns:
            used = (tick.cpu_s - before.cpu_s) * NS_PER_S / (tick.at_ns - before.at_ns)
            self.shares.append(round(used * PARTS))
        self.lag.add_pairs(tick.lag, FINE_BITS)
        self.rss_bytes = max(self.rss_bytes, tick.rss_bytes)

    @property
    def cpu_p90(self) -> float | None:
        """The share of a core that it stayed below in nine of ten seconds; None before two ticks."""
        return quantile(sorted(self.shares), 0.9) / PARTS if self.shares else None

    @property
    def cpu_now(self) -> float | None:
        """The share of a core in its last second."""
        return self.shares[-1] / PARTS if self.shares else None


class Workers:
    """All workers of a run; takes in their records."""

    def __init__(self) -> None:
        self.by_number: dict[int, Worker] = {}

    def take(self, record: Record) -> None:
        """Take in a record; a worker's own comes first (`harness.load.gather`)."""
        if isinstance(record, WorkerRecord):
            self.by_number[record.worker] = Worker(record)
            return
        worker = self.by_number[record.worker]
        match record:
            case Result():
                worker.recorded += 1
            case Tick():
                worker.add_tick(record)
            case EndRecord():
                worker.end = record

    def all(self) -> Sequence[Worker]:
        """By number."""
        return [self.by_number[number] for number in sorted(self.by_number)]
