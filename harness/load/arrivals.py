"""Arrivals: when the requests of an open loop are due, in ns from the start of the run.

The law of this file: pure, and chance comes from a seed. Due times are absolute integers that never
decrease, so no error adds up. They are made in three steps: a process of rate 1 in operational time, a
time change that gives it its rate and its ramp, and a cut after so many requests or so long.

A process of rate r that is started at rate 0 and grows linearly over R seconds has had, by time t,

    L(t) = r t² / 2R   for t < R,      L(t) = r (t - R/2)   afterwards

arrivals on average; an arrival at operational time u is therefore due at the t with L(t) = u (time change
of a point process: Daley and Vere-Jones, An Introduction to the Theory of Point Processes, 7.4).
"""

import math
import random
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from harness.load.words import Pattern

S = 1_000_000_000
"""Nanoseconds of a second."""


@dataclass(frozen=True, slots=True)
class Process:
    """Arrivals at a rate a second. `burstiness` is the shape of the gamma distribution.

    1 is Poisson, smaller is burstier, larger is more regular, as in `vllm bench serve`.
    """

    rate: float
    pattern: Pattern = Pattern.POISSON
    burstiness: float = 1.0
    ramp_s: float = 0.0
    seed: int = 0

    def times_ns(self) -> Iterator[int]:
        """Due times without an end."""
        ramped = self.rate * self.ramp_s / 2  # operational time at the end of the ramp
        for at in UNIT_TIMES[self.pattern](random.Random(self.seed), self.burstiness):  # noqa: S311
            if at < ramped:
                yield round(math.sqrt(2 * self.ramp_s * at / self.rate) * S)
            else:
                yield round((at / self.rate + self.ramp_s / 2) * S)


def constant(_chance: random.Random, _shape: float) -> Iterator[float]:
    """Every unit of time, the first at once."""
    return map(float, count())


def poisson(chance: random.Random, _shape: float) -> Iterator[float]:
    """A Poisson process of rate 1: the first arrival comes after a gap like all others."""
    return summed(lambda: chance.expovariate(1.0))


def gamma(chance: random.Random, shape: float) -> Iterator[float]:
    """Gaps that are gamma distributed with mean 1."""
    return summed(lambda: chance.gammavariate(shape, 1 / shape))


def summed(gap: Callable[[], float]) -> Iterator[float]:
    """The times of arrivals with such gaps."""
    at = 0.0
    while True:
        at += gap()
        yield at


UNIT_TIMES: dict[Pattern, Callable[[random.Random, float], Iterator[float]]] = {
    Pattern.CONSTANT: constant,
    Pattern.POISSON: poisson,
    Pattern.GAMMA: gamma,
}
"""The processes of rate 1, in operational time."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a schedule a run takes: warm-up, and then so many requests or so long, what ends first.

    The warm-up is over with the first of its limits that is passed; one that is 0 does not count.
    """

    warmup_requests: int = 0
    warmup_s: float = 0.0
    requests: int | None = None
    duration_s: float | None = None


def cut(times_ns: Iterable[int], extent: Extent) -> "array[int]":
    """The part of ascending times that a run takes; all of them where nothing limits it."""
    taken = array("q")
    measured, start = 0, 0
    warm = not (extent.warmup_requests or extent.warmup_s)
    for at in times_ns:
        if not warm and warmup_is_over(extent, len(taken), at):
            warm, start = True, warmup_end(extent, taken)
        if warm and (
            measured == extent.requests
            or (extent.duration_s is not None and at >= start + extent.duration_s * S)
        ):
            break
        taken.append(at)
        measured += warm
    return taken


def warmup_is_over(extent: Extent, taken: int, at: int) -> bool:
    """Whether a request that is due at `at`, after so many others, is no longer warm-up."""
    by_count = 0 < extent.warmup_requests <= taken
    return by_count or (extent.warmup_s > 0 and at >= extent.warmup_s * S)


def warmup_end(extent: Extent, taken: "array[int]") -> int:
    """When the warm-up was over: with its last request, or after its time."""
    if 0 < extent.warmup_requests <= len(taken):
        return taken[-1]
    return round(extent.warmup_s * S)


def from_start(times_ns: Iterable[int], speed: float) -> "array[int]":
    """Times of any clock as due times: the first at 0, ascending, `speed` times as fast."""
    ordered = sorted(times_ns)
    return array("q", (round((at - ordered[0]) / speed) for at in ordered))
