"""A GPU log in a run's recording: stored on the run's own clock, read back as records.

The law of this file: what is read back gives the same figures as what was stored. A sample's values are
columns of its row, by the names of the counters.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput
from harness.load.clock import RunClock
from harness.load.gpu.counters import COUNTERS, reasons_of
from harness.load.gpu.lines import read_log
from harness.load.gpu.records import Card, Event, GpuRecord, Process, Sample, What, carried
from harness.load.records import WorkerRecord
from harness.store.gpu_log import GpuWriter, Owner, gpu_events, gpu_samples, gpus

type Stored = Mapping[str, Any]
"""A row."""

BATCH = 5000
"""Records a transaction."""
CARD_COLUMNS = ("gpu", "host", "name", "parent", "mig", "driver", "memory_total_bytes", "power_limit_mw")
EVENT_COLUMNS = ("at_ns", "error_ns", "what", "counter", "code", "detail")


def keep(log: Path, recording: Path, owner: Owner, clock: RunClock) -> int:
    """Store a log (`gpu.jsonl`) in the recording that holds its run or capture; how many samples there were.

    `clock` is the run's: its zero becomes that of the times. Raises BadInput, NotRecorded.
    """
    stored = 0
    with GpuWriter(recording, owner) as writer:
        batch: list[GpuRecord] = []
        for record in on_clock(read_log(log), clock, log):
            batch.append(record)
            stored += isinstance(record, Sample)
            if len(batch) == BATCH:
                store(writer, batch)
                batch = []
        store(writer, batch)
    return stored


def on_clock(records: Iterable[GpuRecord], clock: RunClock, log: Path) -> Iterator[GpuRecord]:
    """The records of a log on a run's clock, without the first, which says how. BadInput: it is missing.

    On another machine than the run's, the error of both anchors is added to that of each sample.
    """
    told = iter(records)
    first = next(told, None)
    if not isinstance(first, WorkerRecord):
        raise BadInput(f"{log} does not begin with the record of its clock")
    zero_ns, error_ns = clock.zero_of(first), clock.carry_error_ns(first)
    for record in told:
        yield less_sure(carried(record, zero_ns), error_ns)


def less_sure(record: GpuRecord, error_ns: int) -> GpuRecord:
    """A record whose time may be off by so much more."""
    if error_ns and isinstance(record, Sample | Event) and record.error_ns is not None:
        return record.model_copy(update={"error_ns": record.error_ns + error_ns})
    return record


def store(writer: GpuWriter, records: Iterable[GpuRecord]) -> None:
    """Store a batch of records in one transaction."""
    told = list(records)
    writer.add(
        cards=[card_row(record) for record in told if isinstance(record, Card)],
        samples=[(record.gpu, sample_row(record)) for record in told if isinstance(record, Sample)],
        events=[(record.gpu, event_row(record)) for record in told if isinstance(record, Event)],
    )


def card_row(card: Card) -> dict[str, Any]:
    """The row of a card, without its run and id."""
    return {name: getattr(card, name) for name in CARD_COLUMNS} | {"number": card.index}


def sample_row(sample: Sample) -> dict[str, Any]:
    """The row of a sample, without its card and id."""
    row: dict[str, Any] = {"at_ns": sample.at_ns, "error_ns": sample.error_ns, **sample.values}
    if (bits := sample.values.get("throttle_reasons")) is not None:
        row["throttling"] = ",".join(reasons_of(int(bits)))
    if sample.processes is not None:
        row["processes"] = json.dumps([process.model_dump() for process in sample.processes])
    return row


def event_row(event: Event) -> dict[str, Any]:
    """The row of an event, without its run, card and id."""
    return {name: getattr(event, name) for name in EVENT_COLUMNS}


def kept(recording: Path, owner: Owner) -> Iterator[GpuRecord]:
    """The log of a run or a capture: cards, samples card by card, events; on the run's clock."""
    logs = [(row, gpu_samples(recording, row["id"])) for row in gpus(recording, owner)]
    yield from records_of(logs, gpu_events(recording, owner))


def records_of(
    logs: Sequence[tuple[Stored, Iterable[Stored]]], events: Iterable[Stored]
) -> Iterator[GpuRecord]:
    """The records of stored rows: of each card with its samples, and of all events."""
    cards = {row["id"]: card_of(row) for row, _ in logs}
    yield from cards.values()
    for row, samples in logs:
        for sample in samples:
            yield sample_of(sample, cards[row["id"]].gpu)
    for row in events:
        named = {name: row[name] for name in EVENT_COLUMNS} | {"what": What(row["what"])}
        yield Event(gpu=cards[row["gpu_id"]].gpu if row["gpu_id"] else None, **named)


def card_of(row: Stored) -> Card:
    """The card of a row."""
    return Card(
        **{name: row[name] for name in CARD_COLUMNS} | {"index": row["number"], "mig": bool(row["mig"])}
    )


def sample_of(row: Stored, gpu: str) -> Sample:
    """The sample of a row."""
    found = json.loads(row["processes"]) if row["processes"] is not None else None
    return Sample(
        gpu=gpu,
        at_ns=row["at_ns"],
        error_ns=row["error_ns"],
        values={c.name: row[c.name] for c in COUNTERS if row[c.name] is not None},
        processes=None if found is None else tuple(Process(**process) for process in found),
    )
