"""The table of counters, against the tables that must know the same ones."""

from collections import Counter

from harness.load.gpu.counters import BY_NAME, COUNTERS, REASONS, reasons_of
from harness.load.gpu.dcgm import METRICS
from harness.load.gpu.reads import CALLS
from harness.store.schema import GPU_SAMPLES

OTHER_COLUMNS = ("id", "gpu_id", "at_ns", "error_ns", "throttling", "processes")


def columns() -> dict[str, str]:
    """The columns of `gpu_samples` and their types."""
    lines = (line.split() for line in GPU_SAMPLES.splitlines() if line.startswith("    "))
    return {words[0]: words[1].rstrip(",") for words in lines}


def test_every_counter_is_a_column_in_its_order() -> None:
    assert [name for name in columns() if name not in OTHER_COLUMNS] == [c.name for c in COUNTERS]


def test_what_has_no_parts_is_an_integer() -> None:
    types = columns()
    assert {c.name for c in COUNTERS if c.is_whole} == {
        c.name for c in COUNTERS if types[c.name] == "INTEGER"
    }


def test_every_counter_is_read_by_one_call() -> None:
    read = Counter(name for call in CALLS for name in call.counters)
    assert set(read.values()) == {1}
    assert set(read) == {c.name for c in COUNTERS} | {"processes"}


def test_what_dcgm_gives_is_in_the_table() -> None:
    assert {metric.counter for metric in METRICS.values()} <= set(BY_NAME)


def test_reasons() -> None:
    every = sum(REASONS)
    assert reasons_of(every) == tuple(REASONS.values())
    assert reasons_of(0x44) == ("sw_power_cap", "hw_thermal_slowdown")
