"""What a replay server says under `/__admin/…`: a document for each page, and those of a miss.

Requests are told as method and path, times in ms. `count` is of all, the lists have the latest.
"""

from typing import Any, Literal

from harness.core.document import Document


class Health(Document):
    """`/__admin/health`: that the server runs, what it has, and its time scale."""

    status: Literal["ok"] = "ok"
    version: str
    exchanges: int
    speed: float


class WriteLateness(Document):
    """How late a server wrote, over all writes so far. None: it wrote nothing."""

    writes: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class Timing(WriteLateness):
    """`/__admin/timing`. Writes that waited for a slow reader are counted apart."""

    held_by_slow_readers: int


class RefusedRequest(Document):
    """A request that broke its schema, and how."""

    request: str
    message: str


class Invalid(Document):
    """`/__admin/invalid`: the requests that broke their schema."""

    count: int
    requests: tuple[RefusedRequest, ...]


class FieldDifference(Document):
    """One field of a request that is not as it was recorded."""

    change: str
    where: str
    recorded: str
    requested: str


class NearMiss(Document):
    """A recorded exchange (its id) that is like a request, from 0 to 1, and how they differ.

    `count` is of all differences; the list has the first.
    """

    exchange: str
    likeness: float
    differences: tuple[FieldDifference, ...]
    count: int


class MissedRequest(Document):
    """A request that was not answered, why (a word and a sentence), and what is nearest, best first.

    `text` is all of it as people read it, in lines.
    """

    request: str
    why: str
    reason: str
    nearest: tuple[NearMiss, ...]
    text: str


class Unmatched(Document):
    """`/__admin/unmatched`: the requests that matched nothing."""

    count: int
    misses: tuple[MissedRequest, ...]


class ReceivedRequest(Document):
    """A request as it came in, at `t0_ns` of the monotonic clock; `request` as an interchange line has it.

    Secrets are masked as they are before requests are matched.
    """

    t0_ns: int
    request: dict[str, Any]


class Received(Document):
    """`/__admin/received`: the latest requests; `harness replay --keep-requests` says how many are kept."""

    requests: tuple[ReceivedRequest, ...]


class UnusedExchange(Document):
    """A recorded exchange that answered nothing yet."""

    id: str
    request: str


class Unused(Document):
    """`/__admin/unused`: all of those."""

    count: int
    exchanges: tuple[UnusedExchange, ...]


class FaultRule(Document):
    """A rule as it is written in a flag, and what it did so far.

    `fitted`: requests that it was about; `played`: those that got the fault; `unfit`: those that could not.
    """

    rule: str
    fitted: int
    played: int
    unfit: int


class PlayedFault(Document):
    """A fault that an answer got, or could not have (`unfit`: why), by a rule or by its own header."""

    request: str
    fault: str
    by: Literal["rule", "request"]
    unfit: str | None


class Faults(Document):
    """`/__admin/faults`: the rules, how often each fault was played so far, or was not, and the latest."""

    rules: tuple[FaultRule, ...]
    played: dict[str, int]
    unfit: dict[str, int]
    latest: tuple[PlayedFault, ...]


class Refusals(Document):
    """How many requests had no known API key (401), and how many were over a limit (429)."""

    unauthorised: int = 0
    limited: int = 0
