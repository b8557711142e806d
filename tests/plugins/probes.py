"""What a probe says, made up, for tests of what reads it."""

from collections.abc import Sequence
from typing import Any

from harness.probe.behaviours import Behaviour
from harness.probe.changes import Kind
from harness.probe.document import (
    AddedDocument,
    BehaviourDocument,
    ChangeDocument,
    EventsDocument,
    LevelDocument,
    Outcome,
    ProbeDocument,
)
from harness.probe.judge import Verdict
from harness.probe.latency import added, level, spread
from harness.probe.trials import Source

MS = 1_000_000
VERDICTS = (Verdict.PASS, Verdict.FAIL, Verdict.NOT_TESTED)


def made_level(path: str, concurrency: int, times_ns: Sequence[int], **changes: Any) -> LevelDocument:
    """A path whose events took these times, and whose TTFT twice as long, one for every ten events."""
    bare = level(path, concurrency, [])
    ttft = spread([2 * ns for ns in times_ns[::10]])
    told = {"streams": len(times_ns) // 10, "ttft": ttft, "events": spread(times_ns)}
    return bare.model_copy(update=told | changes)


def made_levels(concurrency: int, added_ms: int) -> tuple[LevelDocument, LevelDocument]:
    """Both paths: 0.01 to 0.02 ms for an event directly, some ms more through the gateway."""
    direct = [10_000 + 10 * number for number in range(1000)]
    gateway = [ns + added_ms * MS for ns in direct]
    return made_level("direct", concurrency, direct), made_level("gateway", concurrency, gateway, merged=100)


def made_probe(text: str = "seen", **changes: Any) -> ProbeDocument:
    """A probe with verdicts of all kinds, of two levels, in which `text` stands wherever others may write."""
    rows = [
        BehaviourDocument(
            behaviour=behaviour, verdict=VERDICTS[place % 3], evidence=text, sources=(Source.BUILT_IN,)
        )
        for place, behaviour in enumerate(Behaviour)
    ]
    pairs = [made_levels(1, 2), made_levels(8, 5)]
    gains: list[AddedDocument] = [added(*pair) for pair in pairs]
    values: dict[str, Any] = {
        "version": "0",
        "outcome": Outcome.FAILED,
        "reason": text,
        "gateway": f"http://gateway/{text}",
        "recording": f"{text}.db",
        "started_at": "2026-01-02T03:04:05Z",
        "max_added_ms": 3.0,
        "behaviours": rows,
        "floor": [row.model_copy(update={"verdict": Verdict.PASS}) for row in rows],
        "added": gains,
        "levels": [one for pair in pairs for one in pair],
        "events": EventsDocument(sent=50, lost=1, doubled=0, added=0, moved=0, rewritten=3, merged=0),
        "changes": [
            ChangeDocument(what="request header", place=text, kind=Kind.LOST, count=number)
            for number in range(1, 15)
        ],
        "requests": 40,
    }
    return ProbeDocument.model_validate(values | changes)
