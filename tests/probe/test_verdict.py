"""What a probe comes to."""

import pytest

from harness.probe.behaviours import Behaviour
from harness.probe.document import (
    AddedDocument,
    BehaviourDocument,
    LevelDocument,
    Outcome,
    SpreadDocument,
)
from harness.probe.judge import Verdict
from harness.probe.verdict import outcome


def row(verdict: Verdict) -> BehaviourDocument:
    return BehaviourDocument(behaviour=Behaviour.CUT, verdict=verdict, evidence="seen", sources=())


def direct(p50_ms: float, p99_ms: float) -> LevelDocument:
    spread = SpreadDocument(count=1, p50_ms=p50_ms, p90_ms=p50_ms, p99_ms=p99_ms, max_ms=p99_ms, histogram=())
    return LevelDocument(
        path="direct", concurrency=1, streams=1, failed=0, ttft=spread, events=spread, merged=0
    )


def adds(p99_ms: float) -> AddedDocument:
    return AddedDocument(
        concurrency=1, ttft_p50_ms=p99_ms, event_p50_ms=p99_ms, event_p90_ms=p99_ms, event_p99_ms=p99_ms
    )


PASS, FAIL, UNTESTED = row(Verdict.PASS), row(Verdict.FAIL), row(Verdict.NOT_TESTED)
QUIET, NOISY, SLOW = direct(0.02, 0.05), direct(0.02, 5.0), direct(1.5, 2.0)
TABLE = {
    "all well": (PASS, PASS, QUIET, adds(9), None, Outcome.PASSED, "1 behaviour passed, 0 not tested"),
    "nothing tested": (UNTESTED, PASS, QUIET, adds(9), None, Outcome.UNTRUSTED, "nothing was tested: seen"),
    "a fault": (FAIL, PASS, QUIET, adds(0), None, Outcome.FAILED, "network cut within the stream"),
    "the floor's fault": (
        FAIL,
        FAIL,
        QUIET,
        adds(0),
        None,
        Outcome.UNTRUSTED,
        "the direct path itself",
    ),
    "a slow floor": (PASS, PASS, SLOW, adds(0), None, Outcome.UNTRUSTED, "the direct path took 1.5 ms"),
    "too much added": (PASS, PASS, QUIET, adds(4), 3.0, Outcome.FAILED, "adds 4.0 ms (p99)"),
    "within tolerance": (PASS, PASS, NOISY, adds(3), 3.0, Outcome.PASSED, "1 behaviour passed"),
    "too noisy to tell": (PASS, PASS, NOISY, adds(4), 3.0, Outcome.UNTRUSTED, "but the direct path itself"),
    "late whatever the noise": (PASS, PASS, NOISY, adds(11), 3.0, Outcome.FAILED, "more than 3 ms"),
}


@pytest.mark.parametrize(
    ("behaviour", "floor", "level", "added", "limit", "expected", "reason"), TABLE.values(), ids=TABLE
)
def test_outcome(
    *,
    behaviour: BehaviourDocument,
    floor: BehaviourDocument,
    level: LevelDocument,
    added: AddedDocument,
    limit: float | None,
    expected: Outcome,
    reason: str,
) -> None:
    found, why = outcome([behaviour], [floor], [level], [added], limit)
    assert found is expected
    assert reason in why
