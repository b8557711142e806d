"""What a probe comes to, and why in one line. Pure.

The law of this file: the direct path is judged first. Where it does not behave, or is too slow for the
tolerance, nothing that is seen through the gateway is the gateway's.
"""

from collections.abc import Sequence

from harness.core.visible import counted
from harness.probe.document import AddedDocument, BehaviourDocument, LevelDocument, Outcome
from harness.probe.judge import Verdict

NOISY_MS = 1.0
"""The direct path's median may take so long: it is a copy within one machine."""


def outcome(
    behaviours: Sequence[BehaviourDocument],
    floor: Sequence[BehaviourDocument],
    levels: Sequence[LevelDocument],
    added: Sequence[AddedDocument],
    max_added_ms: float | None,
) -> tuple[Outcome, str]:
    """Passed, failed or untrusted, and the reason."""
    if wrong := distrust(floor, levels):
        return Outcome.UNTRUSTED, wrong
    if all(one.verdict is Verdict.NOT_TESTED for one in behaviours):
        return Outcome.UNTRUSTED, f"nothing was tested: {behaviours[0].evidence}"
    failures = [one.behaviour.value for one in behaviours if one.verdict is Verdict.FAIL]
    slow = [] if max_added_ms is None else [one for one in added if is_over(one, max_added_ms)]
    direct = {one.concurrency: one for one in levels if one.path == "direct"}
    if failures:
        return Outcome.FAILED, "; ".join(failures)
    if slow and max_added_ms is not None:
        worst = max(slow, key=lambda one: one.event_p99_ms or 0.0)
        text = f"adds {worst.event_p99_ms} ms (p99) to an event at concurrency {worst.concurrency}"
        noise = direct[worst.concurrency].events
        if noise and max_added_ms / 2 < noise.p99_ms and (worst.event_p99_ms or 0) <= 2 * noise.p99_ms:
            return Outcome.UNTRUSTED, f"{text}, but the direct path itself took {noise.p99_ms} ms"
        return Outcome.FAILED, f"{text}, more than {max_added_ms:g} ms"
    untested = sum(one.verdict is Verdict.NOT_TESTED for one in behaviours)
    return Outcome.PASSED, f"{counted(len(behaviours) - untested, 'behaviour')} passed, {untested} not tested"


def distrust(floor: Sequence[BehaviourDocument], levels: Sequence[LevelDocument]) -> str | None:
    """What is wrong with the direct path; None: nothing."""
    bad = next((one for one in floor if one.verdict is not Verdict.PASS), None)
    if bad:
        return f"the direct path itself fails {bad.behaviour.value}: {bad.evidence}; try on a machine at rest"
    first = next((one for one in levels if one.path == "direct"), None)
    if first is None or first.events is None:
        return "the direct path showed no events"
    if first.events.p50_ms > NOISY_MS:
        return f"the direct path took {first.events.p50_ms} ms (p50) for an event: this machine is too busy"
    return None


def is_over(one: AddedDocument, max_added_ms: float) -> bool:
    """Whether more than that is added to an event at p99."""
    return one.event_p99_ms is not None and one.event_p99_ms > max_added_ms
