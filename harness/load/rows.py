"""Results and workers as rows of the store, and back.

The law of this file: every field of a result has its column, so that a run can be read again, exported
and summed as it was; `offsets` are rows of `load_events`.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness.load.clock import RunClock
from harness.load.plan import Closed, Plan
from harness.load.records import Record, Result
from harness.load.workers import Worker
from harness.store.load_runs import LoadRun, LoadWriter, Offsets

type Row = dict[str, Any]

NOT_COLUMNS = {"kind", "offsets"}
MOST_WAITING = 1000
FIELDS = frozenset(Result.model_fields) - {"kind"}


def run_of(plan: Plan, clock: RunClock, versions: Mapping[str, str], **named: Any) -> LoadRun:
    """The row of a run that begins; `named` are `name`, `sweep` and `rate`."""
    return LoadRun(
        started_at=clock.date(),
        target=plan.target,
        loop=plan.loop.kind,
        concurrency=plan.loop.concurrency if isinstance(plan.loop, Closed) else None,
        workers=plan.workers,
        host=clock.host,
        plan=plan.model_dump(mode="json"),
        clock=asdict(clock),
        versions=versions,
        **named,
    )


def result_row(result: Result) -> tuple[Row, Offsets]:
    """The row of a result and its events."""
    return result.model_dump(mode="json", exclude=NOT_COLUMNS), result.offsets or ()


def result_of(row: Mapping[str, Any]) -> Result:
    """The result of a stored row (`harness.store.load_runs.load_requests`)."""
    values = {name: value for name, value in row.items() if name in FIELDS}
    return Result.model_validate(values | {"offsets": row["offsets"] or None}, strict=False)


def worker_row(worker: Worker, clock: RunClock) -> Row:
    """The row of a worker whose run has ended."""
    record, tick, end = worker.record, worker.tick, worker.end
    return {
        "worker": record.worker,
        "host": record.host,
        "pid": record.pid,
        "start_ns": record.start_ns,
        "monotonic_ns": record.monotonic_ns,
        "wall_ns": record.wall_ns,
        "anchor_error_ns": record.anchor_error_ns,
        "carry_error_ns": clock.carry_error_ns(record),
        "cpu_s": tick.cpu_s if tick else None,
        "cpu_p90": worker.cpu_p90,
        "lag_p50_us": worker.lag.quantile(0.5),
        "lag_p99_us": worker.lag.quantile(0.99),
        "lag_max_us": worker.lag.worst,
        "rss_bytes": worker.rss_bytes if tick else None,
        "sent": end.sent if end else None,
        "answered": end.answered if end else None,
        "unsent": end.unsent if end else None,
        "why": end.why if end else None,
        "recorded": worker.recorded,
    }


class Keeper:
    """Takes in results for the store; `flush` writes what has come, in one transaction.

    Where more wait than are held in memory it does so itself, so `take` may raise NotRecorded too.
    """

    def __init__(self, writer: LoadWriter) -> None:
        self._writer = writer
        self._waiting: list[Result] = []

    def take(self, record: Record) -> None:
        """Take in a record; others than results are kept when the run ends."""
        if isinstance(record, Result):
            self._waiting.append(record)
            if len(self._waiting) >= MOST_WAITING:
                self.flush()

    def flush(self) -> None:
        """Write what is waiting. NotRecorded: it cannot be written."""
        if self._waiting:
            self._writer.add_requests(map(result_row, self._waiting))
            self._waiting.clear()
