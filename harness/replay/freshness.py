"""What a recording is asked for beside answers: that all of it is used, and that none of it is old."""

from dataclasses import dataclass

from harness.core.age import stale_since
from harness.replay.answers import Recorded
from harness.replay.match import Library
from harness.replay.site import endpoint


@dataclass(frozen=True, slots=True)
class Demands:
    """`strict`: unused exchanges fail a run. So does one from before `fresh_from_ns` (since 1970)."""

    strict: bool = False
    fresh_from_ns: int | None = None


NO_DEMANDS = Demands()


def stale_in(library: Library[Recorded], fresh_from_ns: int | None) -> dict[str, str]:
    """The exchanges that are too old: label -> when they were recorded."""
    if fresh_from_ns is None:
        return {}
    dated = ((entry.label, entry.answer.exchange.started_at) for entry in library.playable())
    judged = ((label, stale_since(started_at, fresh_from_ns)) for label, started_at in dated)
    return {label: when for label, when in judged if when is not None}


def stale_lines(library: Library[Recorded], fresh_from_ns: int | None) -> tuple[str, ...]:
    """The same as people read it."""
    stale = stale_in(library, fresh_from_ns).items()
    return tuple(f"{label} {endpoint(library.by_label[label])}, recorded {when}" for label, when in stale)
