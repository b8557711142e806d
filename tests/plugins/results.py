"""Records of load as workers write them, with times in ms for people who check sums by hand."""

from typing import Any

from harness.load.records import EndRecord, Outcome, Phase, Result, Stamps, Tick, WorkerRecord

MS = 1_000_000
TIMES = ("scheduled", "sent", "first_byte", "first_token", "second_token", "last_token", "end", "connect")


def made_result(number: int = 0, **changes: Any) -> Result:
    """A stream of 3 tokens: sent at 0 ms, tokens at 100, 120 and 140, its end at 150; `changes` in ms."""
    values: dict[str, Any] = {
        "worker": 0,
        "number": number,
        "call": 0,
        "phase": Phase.MEASURED,
        "outcome": Outcome.COMPLETE,
        "status": 200,
        "sent": 0,
        "first_byte": 90,
        "first_token": 100,
        "second_token": 120,
        "last_token": 140,
        "end": 150,
        "dialect": "openai_chat",
        "model": "tiny",
        "stream": True,
        "tokens_in": 5,
        "tokens_out": 3,
        "events": 5,
        "content_events": 3,
        "icl": ((20_000, 2),),
        "stamps": Stamps.KERNEL,
        "response_bytes": 1000,
    } | changes
    times = {f"{name}_ns": values.pop(name) for name in TIMES if name in values}
    scaled = {name: None if value is None else round(value * MS) for name, value in times.items()}
    return Result.model_validate(values | scaled)


def made_failure(number: int = 0, outcome: Outcome = Outcome.HTTP, **changes: Any) -> Result:
    """A request that failed after 10 ms, before anything came."""
    nothing = dict.fromkeys(
        ("first_byte", "first_token", "second_token", "last_token", "tokens_in", "tokens_out")
    )
    empty = {"end": 10, "events": 0, "content_events": 0, "icl": (), "response_bytes": 0, "status": None}
    return made_result(number, **({"outcome": outcome, "stamps": Stamps.READER} | nothing | empty | changes))


def made_worker(worker: int = 0, **changes: Any) -> WorkerRecord:
    """A worker on the host `here`, whose clocks both stood at 0 at 0."""
    values = {
        "host": "here",
        "pid": 7,
        "start_ns": 0,
        "monotonic_ns": 0,
        "wall_ns": 0,
        "anchor_error_ns": 100,
    }
    return WorkerRecord.model_validate({"worker": worker} | values | changes)


def made_tick(second: float, cpu_s: float, worker: int = 0, **changes: Any) -> Tick:
    """A worker's second."""
    values = {"sent": 0, "answered": 0, "under_way": 0, "rss_bytes": 1 << 20, "lag": ((100, 99),)}
    at_ns = round(second * 1000 * MS)
    return Tick.model_validate({"worker": worker, "at_ns": at_ns, "cpu_s": cpu_s} | values | changes)


def made_end(worker: int = 0, sent: int = 0, **changes: Any) -> EndRecord:
    """The end of a worker that did what was asked."""
    values = {"worker": worker, "sent": sent, "answered": sent, "why": "done"}
    return EndRecord.model_validate(values | changes)
