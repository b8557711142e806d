"""What a replay server says under `/__admin/…`: a document for each page, and those of a miss.

Requests are told as method and path, times in ms. `count` is of all, the lists have the latest. Where
several workers serve, every page is about all of them; lists without times have one worker after another.
What is sent to a page is a document as well (`Speed`, `Reset`).
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.core.document import Document


class Result(StrEnum):
    """What a request got.

    `matched`: what was recorded for it; `fuzzy`, `simulated`, `recorded`: something in place of a miss;
    `missed`: a 404; `invalid`: a 400, by its schema; `asked_wrongly`: a 400, by what it asked of harness;
    `unauthorised`: a 401; `limited`: a 429; `fault`: a fault that comes before anything is matched;
    `preflight`: the answer to an OPTIONS that nobody recorded.
    """

    MATCHED = "matched"
    FUZZY = "fuzzy"
    SIMULATED = "simulated"
    RECORDED = "recorded"
    MISSED = "missed"
    INVALID = "invalid"
    ASKED_WRONGLY = "asked_wrongly"
    UNAUTHORISED = "unauthorised"
    LIMITED = "limited"
    FAULT = "fault"
    PREFLIGHT = "preflight"


class Health(Document):
    """`/__admin/health`: that the server runs, what it has, its time scale, and how many processes serve."""

    status: Literal["ok"] = "ok"
    version: str
    exchanges: int
    speed: float
    workers: int = 1


class RecordedCapture(Document):
    """A capture of a recording: when it began and ended, and how many days ago it began (None: unknown)."""

    id: int
    started_at: str
    ended_at: str | None
    age_days: float | None
    upstreams: dict[str, str]


class RecordedFile(Document):
    """A recording that is served; `oldest_at` and `newest_at` are those of its exchanges (None: unknown)."""

    file: str
    exchanges: int
    oldest_at: str | None
    newest_at: str | None
    age_days: float | None
    captures: tuple[RecordedCapture, ...]


class Recordings(Document):
    """`/__admin/recordings`: the recordings that are served."""

    count: int
    recordings: tuple[RecordedFile, ...]


class JournalEntry(Document):
    """A request that was answered, with masked secrets: when, what it got, of which exchange, which fault.

    `t0_ns`: when its last byte came in, on the monotonic clock; `at`: the same as a date.
    """

    t0_ns: int
    at: str
    request: str
    result: Result
    exchange: str | None
    fault: str | None


class Journal(Document):
    """`/__admin/requests`: the latest requests that fit the query, and how many there were in all.

    `--journal` says how many are `kept`.
    """

    count: int
    kept: int
    requests: tuple[JournalEntry, ...]


class JournalQuery(Document):
    """The query of `/__admin/requests`: how many at most, and of which result alone."""

    limit: Annotated[int, Field(ge=0, le=100_000)] = 100
    result: Result | None = None


class UnusedQuery(Document):
    """The query of `/__admin/unused`: how many at most."""

    limit: Annotated[int, Field(ge=0, le=1_000_000)] = 1000


class Speed(Document):
    """`/__admin/speed`: 1 is as recorded, 0 at once, N so many times as fast; of requests from now on."""

    speed: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


type Resettable = Literal["cursors", "journal", "counters", "faults", "limits"]
"""What can begin again: repeats; the lists of requests; what metrics count; the first rules; limits."""
RESETTABLE: tuple[Resettable, ...] = ("cursors", "journal", "counters", "faults", "limits")


class Reset(Document):
    """`POST /__admin/reset`: what begins again, all of it by default; of a `session`, its cursors alone."""

    what: tuple[Resettable, ...] = RESETTABLE
    session: str | None = None


class Done(Document):
    """What was asked for is done."""

    status: Literal["ok"] = "ok"


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


class NearMisses(Document):
    """`/__admin/near-misses`: those of the unmatched that some recorded exchange is like."""

    count: int
    near_misses: tuple[MissedRequest, ...]


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
    """`/__admin/unused`: how many those are, and the first of them."""

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
