"""What `harness probe --json` prints. Times are in ms; None: there is none to tell of."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from harness.core.document import Document
from harness.core.histogram import Pairs
from harness.probe.behaviours import Behaviour
from harness.probe.changes import Kind
from harness.probe.judge import Verdict
from harness.probe.trials import Source


class Outcome(StrEnum):
    """What a probe comes to."""

    PASSED = "passed"
    FAILED = "failed"
    UNTRUSTED = "cannot be trusted"


def all_positive(pairs: Pairs) -> Pairs:
    """The pairs themselves; ValueError where one counts nothing, or less."""
    if any(count < 1 for _, count in pairs):
        raise ValueError("holds a bucket without a value")
    return pairs


class SpreadDocument(Document):
    """Times on the way. `histogram`: pairs of (ns, count), sharp to 1 % (`harness.core.histogram`)."""

    count: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    histogram: Annotated[Pairs, AfterValidator(all_positive)]


class LevelDocument(Document):
    """One path (direct, or through the gateway) with so many streams at once.

    `events`: arrival at the client minus the provider's write. `ttft`: the client's TTFT minus the
    provider's. `failed`: streams that did not come whole. `merged`: events that were read together with
    the one before, though they were written apart.
    """

    path: str
    concurrency: int
    streams: int
    failed: int
    ttft: SpreadDocument | None
    events: SpreadDocument | None
    merged: int


class AddedDocument(Document):
    """What the gateway adds at a concurrency: its quantiles minus those of the direct path."""

    concurrency: int
    ttft_p50_ms: float | None
    event_p50_ms: float | None
    event_p90_ms: float | None
    event_p99_ms: float | None


class BehaviourDocument(Document):
    """A row of the table. `sources`: whose exchanges showed it."""

    behaviour: Behaviour
    verdict: Verdict
    evidence: str
    sources: tuple[Source, ...]


class EventsDocument(Document):
    """What became of the events of whole streams: at the provider, and at the client.

    `moved`: out of order. `added`: the client's that the provider never sent. `rewritten`: with other
    fields. `merged`: read together with the one before, though they were written apart.
    """

    sent: int
    lost: int
    doubled: int
    added: int
    moved: int
    rewritten: int
    merged: int


class ChangeDocument(Document):
    """A place that is other behind the gateway than before it, and how often.

    At the client: a field of an `event` (a JSON pointer), a `header`. At the provider: `request line`
    (`method`, `path`, `?parameter`), `request header`, `request body` (a JSON pointer).
    """

    what: str
    place: str
    kind: Kind
    count: int


class ProbeDocument(Document):
    """All of it. `reason` says in a line why the outcome is what it is.

    `missed`: requests of the gateway that the provider could not answer. `marked`: the gateway passes
    `X-Harness-Request` on; without it, equal requests are told apart by their order.
    """

    version: str
    outcome: Outcome
    reason: str
    gateway: str
    recording: str
    started_at: str = ""
    max_added_ms: float | None
    behaviours: tuple[BehaviourDocument, ...]
    floor: tuple[BehaviourDocument, ...]
    added: tuple[AddedDocument, ...]
    levels: tuple[LevelDocument, ...]
    events: EventsDocument
    changes: tuple[ChangeDocument, ...]
    requests: int
    missed: int = 0
    marked: bool = True
