"""`/__admin/metrics`: the census in the text format of Prometheus.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from harness.core.census import Census
from harness.core.histogram import Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "harness_replay_"
BOUNDS_S = (0.0, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Buckets of lateness in seconds; what is written early is in the first."""
NS_PER_S = 1_000_000_000


def metrics_text(census: Census, *, exchanges: int, speed: float, workers: int) -> bytes:
    """All metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Families((*counters(census), *gauges(census, exchanges, speed, workers), late(census))))
    return generate_latest(registry)


class Families:
    """A collector of families that are made already."""

    def __init__(self, made: Sequence[Any]) -> None:
        self.made = made

    def describe(self) -> Iterable[Any]:
        """Nothing: names do not clash in a registry of our own."""
        return ()

    def collect(self) -> Iterable[Any]:
        """What there is."""
        return self.made


def counters(census: Census) -> Iterator[Any]:
    """What only grows, until a reset."""
    refused = {"key": census.unauthorised, "limit": census.limited}
    yield counted("requests", "requests by what they got", "result", census.results)
    yield counted("misses", "requests that nothing recorded answers", "", {"": census.missed})
    yield counted("faults", "faults played", "fault", census.played)
    yield counted("unfit_faults", "faults that did not fit their answer", "fault", census.unfit)
    yield counted("refused", "requests refused for their key, or over a limit", "why", refused)
    events = "parts of answers written: the head, then mostly one event each"
    yield counted("events", events, "", {"": census.events})
    held = "writes that waited for a slow reader, whose lateness is not the server's"
    yield counted("held_writes", held, "", {"": census.held})


def counted(name: str, says: str, label: str, values: Mapping[str, float]) -> Any:
    """A counter, by one label or none."""
    family: Any = CounterMetricFamily(PREFIX + name, says, labels=[label] if label else [])
    for value, count in values.items():
        family.add_metric([value] if label else [], count)
    return family


def gauges(census: Census, exchanges: int, speed: float, workers: int) -> Iterator[Any]:
    """What is so now."""
    now = {
        "open_streams": ("answers under way", census.streams),
        "open_connections": ("connections of clients", census.connections),
        "exchanges": ("recorded exchanges that are served", exchanges),
        "speed": ("time scale: 1 as recorded, 0 at once", speed),
        "workers": ("processes that serve", workers),
    }
    for name, (says, value) in now.items():
        yield GaugeMetricFamily(PREFIX + name, says, value=value)


def late(census: Census) -> Any:
    """How late the server wrote, as a histogram in seconds."""
    histogram = census.histogram
    total = sum(bucket * count for bucket, count in histogram.counts.items()) / NS_PER_S
    family: Any = HistogramMetricFamily(f"{PREFIX}lateness_seconds", "time of each write minus its deadline")
    family.add_metric([], buckets=list(buckets(histogram)), sum_value=total)
    return family


def buckets(histogram: Histogram) -> Iterator[tuple[str, int]]:
    """How many values were at most so much, in seconds (of a histogram in ns)."""
    values = sorted(histogram.counts)
    upto = [0, *accumulate(histogram.counts[value] for value in values)]
    for bound in BOUNDS_S:
        yield str(bound), upto[bisect_right(values, bound * NS_PER_S)]
    yield "+Inf", upto[-1]
