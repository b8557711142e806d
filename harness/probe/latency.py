"""Figures of a path: how long events and first tokens were on their way, at each concurrency. Pure."""

from collections.abc import Sequence

from harness.core.histogram import Histogram
from harness.core.metrics import Summary
from harness.probe.document import AddedDocument, LevelDocument, SpreadDocument
from harness.probe.observed import Observed, is_whole

NS_PER_MS = 1e6
SHARPNESS_BITS = 8
"""Of the histograms: at most 1 % too high, which no chart shows. The quantiles beside them are exact."""


def spread(values_ns: Sequence[int]) -> SpreadDocument | None:
    """The distribution of some times; None of none."""
    summary = Summary.of(values_ns)
    if summary is None:
        return None
    histogram = Histogram(bits=SHARPNESS_BITS)
    histogram.add(values_ns)
    return SpreadDocument(
        count=summary.count,
        p50_ms=in_ms(summary.p50),
        p90_ms=in_ms(summary.p90),
        p99_ms=in_ms(summary.p99),
        max_ms=in_ms(summary.max),
        histogram=histogram.pairs(),
    )


def in_ms(ns: float) -> float:
    """Nanoseconds as ms, to the microsecond."""
    return round(ns / NS_PER_MS, 3)


def level(path: str, concurrency: int, seen: Sequence[Observed]) -> LevelDocument:
    """The figures of one path at one concurrency."""
    first = [ns for one in seen if (ns := one.ttft_added_ns()) is not None]
    return LevelDocument(
        path=path,
        concurrency=concurrency,
        streams=len(seen),
        failed=sum(not is_whole(one) or bool(one.joined.lost) for one in seen),
        ttft=spread(first),
        events=spread([ns for one in seen for ns in one.added_ns()]),
        merged=sum(one.merged() for one in seen),
    )


def added(direct: LevelDocument, gateway: LevelDocument) -> AddedDocument:
    """What lies between the two paths."""
    return AddedDocument(
        concurrency=gateway.concurrency,
        ttft_p50_ms=between(direct.ttft, gateway.ttft, "p50_ms"),
        event_p50_ms=between(direct.events, gateway.events, "p50_ms"),
        event_p90_ms=between(direct.events, gateway.events, "p90_ms"),
        event_p99_ms=between(direct.events, gateway.events, "p99_ms"),
    )


def between(direct: SpreadDocument | None, gateway: SpreadDocument | None, quantile: str) -> float | None:
    """One quantile of the gateway's minus that of the direct path."""
    if direct is None or gateway is None:
        return None
    return round(float(getattr(gateway, quantile)) - float(getattr(direct, quantile)), 3)
