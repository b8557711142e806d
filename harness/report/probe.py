"""The document of a probe: what `harness probe --json` said, with distributions and the error of each figure.

The law of this file: pure. What a gateway adds at a quantile is the gateway's quantile minus that of the
direct path. Its error is that of two quantiles: each lies, with 95 %, between two order statistics of its
own values (the binomial distribution of ranks, by its normal approximation), as if these were independent.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil, floor, sqrt

from harness.core.histogram import bottom_of
from harness.core.visible import visible
from harness.probe.document import (
    BehaviourDocument,
    ChangeDocument,
    LevelDocument,
    ProbeDocument,
    SpreadDocument,
)
from harness.probe.latency import SHARPNESS_BITS
from harness.report.model import (
    Added,
    Changed,
    Conformance,
    Distribution,
    ProbeLevel,
    ProbePath,
    ProbeReport,
)
from harness.report.spread import About, Counts, distribution_of, quantiles_of
from harness.report.waterfall import shown

NS_PER_MS = 1_000_000
Z95 = 1.96
"""Standard deviations within which 95 % of a normal distribution lie."""
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
DIRECT = "direct"
KINDS = {
    "ttft": About("ttft", "TTFT", "the client's TTFT minus the provider's: both ways count"),
    "events": About("events", "Each event", "from the provider's write to the client's read"),
}
"""What is timed on both paths, by its field of `LevelDocument`."""


def probe_report(file: str, probe: ProbeDocument) -> ProbeReport:
    """The document of a page."""
    verdicts = Counter(row.verdict.value for row in probe.behaviours)
    return ProbeReport(
        file=visible(file),
        version=visible(probe.version),
        outcome=probe.outcome.value,
        reason=shown(probe.reason),
        gateway=visible(probe.gateway),
        recording=visible(probe.recording),
        started_at=visible(probe.started_at),
        max_added_ms=probe.max_added_ms,
        verdicts=dict(verdicts),
        conformance=tuple(conformance(probe.behaviours, probe.floor)),
        levels=tuple(levels(probe.levels)),
        events=probe.events.model_dump(),
        changes=tuple(map(changed, probe.changes)),
        requests=probe.requests,
        missed=probe.missed,
        marked=probe.marked,
    )


def conformance(
    rows: Sequence[BehaviourDocument], floor_rows: Sequence[BehaviourDocument]
) -> Iterator[Conformance]:
    """The behaviours, each beside that of the direct path."""
    direct = {row.behaviour: row for row in floor_rows}
    for row in rows:
        beside = direct.get(row.behaviour)
        yield Conformance(
            behaviour=row.behaviour.value,
            verdict=row.verdict.value,
            evidence=shown(row.evidence),
            direct=beside.verdict.value if beside else None,
            direct_evidence=shown(beside.evidence) if beside else None,
            sources=tuple(source.value for source in row.sources),
        )


def changed(change: ChangeDocument) -> Changed:
    """A place that is other, whose name may be anybody's."""
    return Changed(
        what=visible(change.what), place=shown(change.place), kind=change.kind.value, count=change.count
    )


def levels(rows: Sequence[LevelDocument]) -> Iterator[ProbeLevel]:
    """The levels of concurrency, both paths beside each other."""
    direct = {row.concurrency: row for row in rows if row.path == DIRECT}
    for row in sorted((row for row in rows if row.path != DIRECT), key=lambda row: row.concurrency):
        beside = direct.get(row.concurrency)
        yield ProbeLevel(
            concurrency=row.concurrency,
            direct=path_of(beside) if beside else None,
            gateway=path_of(row),
            added=tuple(added(beside, row)) if beside else (),
        )


def path_of(level: LevelDocument) -> ProbePath:
    """The figures of one path."""
    return ProbePath(
        streams=level.streams,
        failed=level.failed,
        events_read=level.events.count if level.events else 0,
        merged=level.merged,
        ttft=times_of(KINDS["ttft"], level.ttft),
        events=times_of(KINDS["events"], level.events),
    )


def times_of(about: About, spread: SpreadDocument | None) -> Distribution | None:
    """A distribution of a histogram in ns, with the exact figures that the probe has of it."""
    found = distribution_of(about, dict(spread.histogram), per_ms=NS_PER_MS) if spread else None
    if found is None or spread is None:
        return None
    exact = {"p50": spread.p50_ms, "p90": spread.p90_ms, "p99": spread.p99_ms, "max": spread.max_ms}
    return found.model_copy(update={"spread": found.spread.model_copy(update=exact)})


def added(direct: LevelDocument, gateway: LevelDocument) -> Iterator[Added]:
    """What lies between the two paths at each quantile."""
    for kind in KINDS:
        near: SpreadDocument | None = getattr(direct, kind)
        far: SpreadDocument | None = getattr(gateway, kind)
        if near and far:
            for name, share in QUANTILES.items():
                yield added_at(kind, name, share, near, far)


def added_at(kind: str, name: str, share: float, near: SpreadDocument, far: SpreadDocument) -> Added:
    """What lies between the two paths at one quantile, and between which bounds that is."""
    near_low, near_high = bounds_ms(near, share)
    far_low, far_high = bounds_ms(far, share)
    direct_ms, gateway_ms = (float(getattr(spread, f"{name}_ms")) for spread in (near, far))
    return Added(
        kind=kind,
        quantile=name,
        direct_ms=direct_ms,
        gateway_ms=gateway_ms,
        added_ms=round(gateway_ms - direct_ms, 3),
        low_ms=difference(far_low, near_high),
        high_ms=difference(far_high, near_low),
    )


def difference(one: float | None, other: float | None) -> float | None:
    """One minus the other, to the microsecond; None where one is not known."""
    return None if one is None or other is None else round(one - other, 3)


def bounds_ms(spread: SpreadDocument, share: float) -> tuple[float | None, float | None]:
    """Between which values a quantile lies with 95 %; None where too few values were seen to tell.

    The histogram tells a value's bucket: the bounds are the outer edges of theirs.
    """
    counts = dict(spread.histogram)
    number = sum(counts.values())
    low, high = ranks(number, share)
    low_ms = bottom_of(value_at(counts, low / number), SHARPNESS_BITS) / NS_PER_MS if low >= 1 else None
    high_ms = value_at(counts, high / number) / NS_PER_MS if high <= number else None
    return low_ms, high_ms if high_ms is None else min(high_ms, spread.max_ms)


def value_at(counts: Counts, share: float) -> int:
    """One quantile of counts."""
    return quantiles_of(counts, (share,))[0]


def ranks(number: int, share: float) -> tuple[int, int]:
    """The ranks (from 1) between which a quantile of so many values lies; they may not exist.

    >>> ranks(1000, 0.5), ranks(16, 0.99)
    ((469, 532), (15, 18))
    """
    middle, wide = number * share, Z95 * sqrt(number * share * (1 - share))
    return floor(middle - wide), ceil(middle + wide) + 1
