"""Records: what a reducer says of its worker, one JSON object a line.

The law of this file: a record is complete in itself and is never written twice; times are ns on the
monotonic clock of the worker's machine (the worker's own `Worker` record says how to carry them to
the wall clock). What cannot be known is None.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from harness.load.plan import Frozen


class Outcome(StrEnum):
    """How a request ended. Only the first two are successes.

    - `complete`: the answer ended as its protocol ends. - `length`: it did, at the limit of tokens.
    - `truncated`: the answer broke off: a reset, a close or a clean end before the protocol's end.
    - `error_event`: the stream (or a 200 answer) held an error. - `http`: the status is an error's, or
    no HTTP answer came at all (refused, reset before the headers, no HTTP). - `timeout`: a deadline
    passed. - `cancelled`: the run ended before the answer did.
    """

    COMPLETE = "complete"
    LENGTH = "length"
    TRUNCATED = "truncated"
    ERROR_EVENT = "error_event"
    HTTP = "http"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"

    @property
    def is_failure(self) -> bool:
        """Whether a user would call it one."""
        return self not in (Outcome.COMPLETE, Outcome.LENGTH)


class Phase(StrEnum):
    """Which part of a run a request belongs to."""

    WARMUP = "warmup"
    MEASURED = "measured"


class Stamps(StrEnum):
    """Who stamped the arrivals: the kernel as packets came, or the reader after it had read them."""

    KERNEL = "kernel"
    READER = "reader"


class WorkerRecord(Frozen):
    """The first record: who writes, and the anchor of its clock.

    At `monotonic_ns` the wall clock stood at `wall_ns`, give or take `anchor_error_ns`. `start_ns` is
    the start of the run on this worker: arrivals count from it.
    """

    kind: Literal["worker"] = "worker"
    worker: int
    host: str
    pid: int
    start_ns: int
    monotonic_ns: int
    wall_ns: int
    anchor_error_ns: int


class Result(Frozen):
    """What happened to one request. `number` counts all calls of the run (`harness.load.folder`).

    - `scheduled_ns`: when it was due (None in a closed loop). `sent_ns`: its last byte was handed to the
      kernel. `connect_ns`: what connecting took (0: a kept connection); the request was sent after it.
    - `first_byte_ns` of the response, `first_token_ns`, `second_token_ns` and `last_token_ns`: arrivals of
      the events with generated content. `end_ns`: the last byte, or when the request was given up.
    - `error`: a few words that hold no text of prompts or answers (`connection reset`, `429`, `type/code`).
    - `tokens_…`: the provider's usage. `events` of the stream, `content_events` with generated content.
    - `icl`: gaps between content events as a histogram, in µs: pairs of bucket and count
      (`harness.core.histogram`, of FINE_BITS).
    - `shared_reads`: events that came in one read with a later one, so that the kernel's stamp is that
      later one's: their times are upper bounds.
    - `stamp_error_ns`: how far off the carrying of kernel stamps to the monotonic clock may be.
    - `offsets`: of every event: ns from `sent_ns`, and whether it carried content; only if asked for.
    - `violations`: the stream rules that were broken; None where nobody checked.
    """

    kind: Literal["result"] = "result"
    worker: int
    number: int
    call: int
    phase: Phase
    outcome: Outcome
    error: str | None = None
    status: int | None = None
    scheduled_ns: int | None = None
    sent_ns: int
    connect_ns: int = 0
    first_byte_ns: int | None = None
    first_token_ns: int | None = None
    second_token_ns: int | None = None
    last_token_ns: int | None = None
    end_ns: int
    dialect: str = "bytes"
    model: str | None = None
    stream: bool = False
    finish_reason: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    tokens_reasoning: int | None = None
    events: int = 0
    content_events: int = 0
    icl: tuple[tuple[int, int], ...] = ()
    shared_reads: int = 0
    stamps: Stamps = Stamps.READER
    stamp_error_ns: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    offsets: tuple[tuple[int, bool], ...] | None = None
    violations: tuple[str, ...] | None = None


class Tick(Frozen):
    """A worker's second: how busy and how late it was, and how much is under way.

    `lag`: lateness of the loop's own 10 ms timer, in µs, as pairs of bucket and count. `cpu_s`: CPU time of
    the process so far. `sent` and `answered` count from the start.
    """

    kind: Literal["tick"] = "tick"
    worker: int
    at_ns: int
    sent: int
    answered: int
    under_way: int
    cpu_s: float
    rss_bytes: int
    lag: tuple[tuple[int, int], ...] = ()
    received_bytes: int = 0


class EndRecord(Frozen):
    """The last record of a worker that ended in order: what its journal holds in all.

    `why`: `done` (count, duration or arrivals reached), `limit` (max requests or tokens), `stopped` (by the
    user). `unsent`: calls that were due and were not sent. `retried`: requests that were sent again, on a
    fresh connection, since the kept one broke before any answer.
    """

    kind: Literal["end"] = "end"
    worker: int
    sent: int
    answered: int
    unsent: int = 0
    retried: int = 0
    why: str


type Record = Annotated[WorkerRecord | Result | Tick | EndRecord, Field(discriminator="kind")]
RECORD: TypeAdapter[Record] = TypeAdapter(Record)
"""Reads a line: `RECORD.validate_json(line)`."""
