"""GPU logs in a recording: the cards of a load run or a capture, their samples, what happened to them.

The law of this file: what is added together is stored together (a transaction a batch). Rows are
mappings from the columns of `harness.store.schema` to values.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.store.appender import BUSY_S, Appender
from harness.store.load_runs import rows_of
from harness.store.rows import Row


@dataclass(frozen=True, slots=True)
class Owner:
    """What a log belongs to: a load run, or a capture. One of the two is named."""

    run_id: int | None = None
    capture_id: int | None = None

    @property
    def column(self) -> str:
        """The column that holds its id."""
        return "capture_id" if self.run_id is None else "run_id"

    @property
    def number(self) -> int | None:
        """Its id."""
        return self.capture_id if self.run_id is None else self.run_id


class GpuWriter(Appender):
    """Appends the GPU log of a run or a capture that the recording holds."""

    def __init__(self, path: Path, owner: Owner, busy_s: float = BUSY_S) -> None:
        super().__init__(path, busy_s)
        self.owner = owner
        self._ids: dict[str, int] = {}

    def add(
        self,
        cards: Iterable[Row] = (),
        samples: Iterable[tuple[str, Row]] = (),
        events: Iterable[tuple[str | None, Row]] = (),
    ) -> None:
        """Store cards, then samples and events, each with the UUID of its card (None: all of a host)."""
        owner = {"run_id": self.owner.run_id, "capture_id": self.owner.capture_id}
        with self._transaction():
            for card in cards:
                self._ids[card["gpu"]] = self._inserted("gpus", owner | dict(card))
            for gpu, sample in samples:
                self._inserted("gpu_samples", {"gpu_id": self._ids[gpu]} | dict(sample))
            for named, event in events:
                gpu_id = None if named is None else self._ids[named]
                self._inserted("gpu_events", owner | {"gpu_id": gpu_id} | dict(event))


def logged_captures(path: Path) -> list[int]:
    """The captures that have a GPU log, by id. BadInput: no recording, or damaged."""
    found = rows_of(
        path,
        "SELECT capture_id FROM gpus WHERE capture_id IS NOT NULL"
        " UNION SELECT capture_id FROM gpu_events WHERE capture_id IS NOT NULL ORDER BY 1",
    )
    return [row["capture_id"] for row in found]


def gpus(path: Path, owner: Owner) -> list[Row]:
    """The cards of a run or a capture, as they were told of. BadInput: no recording, or damaged."""
    return list(rows_of(path, f"SELECT * FROM gpus WHERE {owner.column} = ? ORDER BY id", owner.number))  # noqa: S608  ours


def gpu_samples(path: Path, gpu_id: int) -> Iterator[Row]:
    """The samples of a card in the order of time."""
    return rows_of(path, "SELECT * FROM gpu_samples WHERE gpu_id = ? ORDER BY at_ns, id", gpu_id)


def gpu_events(path: Path, owner: Owner) -> list[Row]:
    """What happened in a run or a capture, in the order of time."""
    events = f"SELECT * FROM gpu_events WHERE {owner.column} = ? ORDER BY at_ns, id"  # noqa: S608  ours
    return list(rows_of(path, events, owner.number))
