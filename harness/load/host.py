"""How busy this host is while load runs: a sample a second, by a thread of the parent process.

The law of this file: the only psutil import. Each sample is an anchor of its own (the same moment on
the wall clock and the monotonic clock), so steps of the wall clock are seen. The parent has no gevent,
so a thread is one; what it costs is about a millisecond a second.
"""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Self

import psutil

from harness.core.metrics import quantile
from harness.load.clock import RunClock

INTERVAL_S = 1.0
TENTHS = 10
"""CPU is summed in tenths of a percent."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A row of `host_samples`: `at_ns` on the run's clock, CPU of all cores since the one before."""

    host: str
    at_ns: int
    monotonic_ns: int
    wall_ns: int
    anchor_error_ns: int
    cpu_percent: float
    cores: tuple[float, ...]
    memory_used_bytes: int
    memory_total_bytes: int
    received_bytes: int
    sent_bytes: int

    def row(self) -> dict[str, Any]:
        """Its columns."""
        return asdict(self)


def sample_now(clock: RunClock) -> Sample:
    """The host as it is; CPU is that since the last call in this process (0 in the first)."""
    cores = psutil.cpu_percent(percpu=True)
    memory, network = psutil.virtual_memory(), psutil.net_io_counters()
    at = RunClock.now()
    return Sample(
        host=clock.host,
        at_ns=at.monotonic_ns - clock.monotonic_ns,
        monotonic_ns=at.monotonic_ns,
        wall_ns=at.wall_ns,
        anchor_error_ns=at.error_ns,
        cpu_percent=round(sum(cores) / len(cores), 1) if cores else 0.0,
        cores=tuple(cores),
        memory_used_bytes=memory.total - memory.available,
        memory_total_bytes=memory.total,
        received_bytes=network.bytes_recv if network else 0,
        sent_bytes=network.bytes_sent if network else 0,
    )


class HostSampler:
    """Samples until it is closed; a context manager. `taken` gives each sample once, in any thread."""

    def __init__(self, clock: RunClock, interval_s: float = INTERVAL_S) -> None:
        self._clock, self._interval_s = clock, interval_s
        self._samples: deque[Sample] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="host-sampler", daemon=True)

    def taken(self) -> list[Sample]:
        """The samples since the last call."""
        return [self._samples.popleft() for _ in range(len(self._samples))]

    def close(self) -> None:
        """Stop sampling."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        sample_now(self._clock)  # the first has nothing to compare with
        start_ns = self._clock.elapsed_ns()
        count = 1
        while not self._stop.wait(start_ns / 1e9 + count * self._interval_s - self._clock.elapsed_ns() / 1e9):
            self._samples.append(sample_now(self._clock))
            count += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class HostTold:
    """What a run's samples say: CPU in percent of all cores, and the wall clock's largest step."""

    cpu_p50: float
    cpu_max: float
    clock_step_ns: int

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Self | None:
        """Of one host's samples in the order of time; None of none."""
        if not samples:
            return None
        cpu = sorted(round(sample.cpu_percent * TENTHS) for sample in samples)
        return cls(quantile(cpu, 0.5) / TENTHS, cpu[-1] / TENTHS, largest_step_ns(samples))


def largest_step_ns(samples: Iterable[Sample]) -> int:
    """How far the wall clock moved at most against the monotonic clock between two samples.

    What the reading of the clocks itself may be off by is taken away; 0 where nothing is left.
    """
    steps = [
        abs(offset(after) - offset(before)) - before.anchor_error_ns - after.anchor_error_ns
        for before, after in pairwise(samples)
    ]
    return max([0, *steps])


def offset(sample: Sample) -> int:
    """Wall clock minus monotonic clock."""
    return sample.wall_ns - sample.monotonic_ns
