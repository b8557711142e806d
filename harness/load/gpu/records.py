"""The records of a GPU log, one JSON object a line: the clock first, then cards, then what they did.

The law of this file: all stamps are ns on the monotonic clock of the machine that writes the log, also
where the cards are in another (`harness.load.gpu.remote` carries them over); `error_ns` says how far
off they may be. The first record is a `WorkerRecord` (`harness.load.records`): the anchor of that clock.
A record is complete in itself and is never written twice.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from os import getpid
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from harness.load.clock import RunClock
from harness.load.plan import Frozen
from harness.load.records import WorkerRecord

type Value = int | float


class Card(Frozen):
    """A card, or a MIG instance of one (`parent` is the UUID of its card; None: a card).

    `index` is NVML's, and of an instance that within its card. `mig`: the card is cut into instances.
    What is None is not known.
    """

    kind: Literal["card"] = "card"
    gpu: str
    host: str
    index: int
    name: str
    parent: str | None = None
    mig: bool = False
    driver: str | None = None
    memory_total_bytes: int | None = None
    power_limit_mw: int | None = None


class Process(Frozen):
    """A process that computes on a card; `memory_bytes` None: the driver does not say."""

    pid: int
    memory_bytes: int | None = None


class Sample(Frozen):
    """What was read of a card at once: `values` by counter (`harness.load.gpu.counters`).

    The values were read within `error_ns` of `at_ns`; None: how old they are is not known. Counters that
    were not due, or could not be read, are missing.
    """

    kind: Literal["sample"] = "sample"
    gpu: str
    at_ns: int
    error_ns: int | None = None
    values: Mapping[str, Value] = {}
    processes: tuple[Process, ...] | None = None


class What(StrEnum):
    """What can happen to a card.

    - `unsupported`: a counter is not read any more, since this card, its driver or the user's rights do
    not give it. - `failed`: it could not be read, and is tried again; told once. - `lost`: the card is
    gone; nothing of it is read any more. - `xid`: the driver reports an error, with its `code`.
    - `unreachable`: the other host did not answer; it is asked again.
    """

    UNSUPPORTED = "unsupported"
    FAILED = "failed"
    LOST = "lost"
    XID = "xid"
    UNREACHABLE = "unreachable"


class Event(Frozen):
    """Something that happened, to a card or (`gpu` None) to all of a host."""

    kind: Literal["event"] = "event"
    gpu: str | None
    at_ns: int
    what: What
    counter: str | None = None
    code: int | None = None
    detail: str = ""
    error_ns: int = 0


class Ended(Frozen):
    """The last record of a log that ended in order. `missed`: ticks skipped, since reading lagged."""

    kind: Literal["ended"] = "ended"
    at_ns: int
    ticks: int
    missed: int


type GpuRecord = Annotated[WorkerRecord | Card | Sample | Event | Ended, Field(discriminator="kind")]
GPU_RECORD: TypeAdapter[GpuRecord] = TypeAdapter(GpuRecord)
"""Reads a line: `GPU_RECORD.validate_json(line)`."""

type Emit = Callable[[GpuRecord], None]
"""Takes a record, from any thread."""


def clock_record() -> WorkerRecord:
    """The first record: the anchor of this machine's clock."""
    now = RunClock.now()
    return WorkerRecord(
        worker=0,
        host=now.host,
        pid=getpid(),
        start_ns=now.monotonic_ns,
        monotonic_ns=now.monotonic_ns,
        wall_ns=now.wall_ns,
        anchor_error_ns=now.error_ns,
    )


def carried(record: GpuRecord, zero_ns: int) -> GpuRecord:
    """A record on the clock whose zero is at this stamp."""
    if isinstance(record, Sample | Event | Ended):
        return record.model_copy(update={"at_ns": record.at_ns - zero_ns})
    return record
