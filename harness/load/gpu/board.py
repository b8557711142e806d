"""What is known of each card right now: for the live table, and for those who ask over HTTP."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

from harness.load.gpu.records import Card, Event, GpuRecord, Process, Sample, Value, What


@dataclass(slots=True)
class State:
    """A card's newest values, each from the last sample that had it.

    `stamps`: when each counter was read, and how far off that may be.
    """

    card: Card
    values: dict[str, Value] = field(default_factory=dict)
    processes: tuple[Process, ...] | None = None
    stamps: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    unsupported: dict[str, str] = field(default_factory=dict)
    xids: Counter[int] = field(default_factory=Counter)
    lost_ns: int | None = None
    first_energy_mj: Value | None = None

    def take_sample(self, sample: Sample) -> None:
        """Take in a sample."""
        self.values.update(sample.values)
        if self.first_energy_mj is None:
            self.first_energy_mj = sample.values.get("energy_mj")
        if sample.processes is not None:
            self.processes = sample.processes
        told = [*sample.values, *(() if sample.processes is None else ("processes",))]
        self.stamps.update(dict.fromkeys(told, (sample.at_ns, sample.error_ns)))

    def take_event(self, event: Event) -> None:
        """Take in an event."""
        if event.what is What.UNSUPPORTED and event.counter:
            self.unsupported[event.counter] = event.detail
        elif event.what is What.XID and event.code is not None:
            self.xids[event.code] += 1
        elif event.what is What.LOST:
            self.lost_ns = event.at_ns

    @property
    def energy_mj(self) -> Value | None:
        """Energy taken since the first sample."""
        energy, first = self.values.get("energy_mj"), self.first_energy_mj
        return None if energy is None or first is None else energy - first

    def copy(self) -> "State":
        """As it is now."""
        return replace(
            self,
            values=dict(self.values),
            stamps=dict(self.stamps),
            unsupported=dict(self.unsupported),
            xids=self.xids.copy(),
        )


class Board:
    """Takes records from any thread; gives copies of what it knows to any other."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._lock = Lock()

    def take(self, record: GpuRecord) -> None:
        """Take in a record."""
        with self._lock:
            if isinstance(record, Card):
                self._states.setdefault(record.gpu, State(record)).card = record
            elif isinstance(record, Sample | Event) and (state := self._states.get(record.gpu or "")):
                state.take_sample(record) if isinstance(record, Sample) else state.take_event(record)

    def states(self) -> Sequence[State]:
        """The cards in the order in which they were told of."""
        with self._lock:
            return [state.copy() for state in self._states.values()]
