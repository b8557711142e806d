"""This host, sampled for real; steps of its clock from made samples."""

import threading
import time
from dataclasses import replace
from pathlib import Path

from harness.load.clock import RunClock
from harness.load.host import HostSampler, HostTold, Sample, largest_step_ns
from harness.store.load_runs import LoadRun, LoadWriter, host_samples

MS = 1_000_000
SAMPLE = Sample("here", 0, 0, 10**18, 1000, 50.0, (0.0, 100.0), 1, 2, 3, 4)


def at(second: int, **changes: object) -> Sample:
    """A sample of a second, whose clocks go together."""
    ns = second * 1000 * MS
    return replace(SAMPLE, at_ns=ns, monotonic_ns=ns, wall_ns=10**18 + ns, **changes)  # type: ignore[arg-type]


def test_a_host_is_sampled_until_the_end(tmp_path: Path) -> None:
    clock = RunClock.now()
    samples: list[Sample] = []
    with HostSampler(clock, interval_s=0.05) as sampler:
        deadline = time.monotonic() + 20
        while len(samples) < 3 and time.monotonic() < deadline:
            samples += sampler.taken()
            threading.Event().wait(0.01)
    samples += sampler.taken()
    assert sampler.taken() == []
    assert "host-sampler" not in [thread.name for thread in threading.enumerate()]
    stamps = [sample.at_ns for sample in samples]
    assert stamps == sorted(stamps)
    for sample in samples:
        assert 0 < sample.memory_used_bytes < sample.memory_total_bytes
        assert sample.monotonic_ns == clock.monotonic_ns + sample.at_ns
        assert all(0 <= core <= 100 for core in (sample.cpu_percent, *sample.cores))
    assert HostTold.of(samples) is not None
    with LoadWriter(tmp_path / "a.db") as writer:
        writer.start(LoadRun("2026-01-02T03:04:05Z", "http://a", "closed", 1, clock.host, {}, {}))
        writer.add_samples(sample.row() for sample in samples)
    assert [row["cores"] for row in host_samples(tmp_path / "a.db", 1)] == [list(s.cores) for s in samples]


def test_cpu_of_the_run_is_its_median() -> None:
    told = HostTold.of(
        [at(second, cpu_percent=cpu) for second, cpu in enumerate((10.0, 99.9, 20.0, 30.0, 15.0))]
    )
    assert told == HostTold(20.0, 99.9, 0)
    assert HostTold.of([]) is None


def test_steps_of_the_wall_clock_are_seen_above_what_reading_costs() -> None:
    assert largest_step_ns([at(0), at(1), at(2)]) == 0
    stepped = replace(at(1), wall_ns=at(1).wall_ns - 30 * MS)
    assert (
        largest_step_ns([at(0), stepped, replace(at(2), wall_ns=at(2).wall_ns - 30 * MS)]) == 30 * MS - 2000
    )
    assert largest_step_ns([at(0), replace(at(1), wall_ns=at(1).wall_ns + 1500)]) == 0
