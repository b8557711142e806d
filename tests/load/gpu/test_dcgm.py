"""dcgm-exporter's text: its names and units become ours, what it leaves blank is not supported."""

from pathlib import Path

import pytest

from harness.load.gpu.readings import Reading, Span
from harness.load.gpu.remote import parsed

TEXT = (Path(__file__).parent / "dcgm.txt").read_text(encoding="utf-8")
FIRST = "GPU-11111111-1111-1111-1111-111111111111"
SPAN = Span(1000, 2001)


@pytest.fixture
def readings() -> dict[str, Reading]:
    """What the text says, by card."""
    return {reading.card.gpu: reading for reading in parsed(TEXT, SPAN)}


def test_units_become_those_of_nvml(readings: dict[str, Reading]) -> None:
    ((_, sample),) = readings[FIRST].samples
    assert sample.values == {
        "sm_clock_mhz": 1980,
        "power_mw": 412_305,
        "energy_mj": 8_123_456_789,
        "utilisation_percent": 97,
        "violation_power_ns": 5_000_000,  # told in us
        "violation_thermal_ns": 7000,  # told in ns
        "memory_used_bytes": 71_234 * 1024 * 1024,
        "tensor_active_percent": 21.3456,
        "pcie_tx_kb_s": 1234.567,
    }
    assert all(isinstance(sample.values[name], int) for name in ("energy_mj", "memory_used_bytes"))


def test_blank_values_are_counters_that_are_not_supported(readings: dict[str, Reading]) -> None:
    assert set(readings[FIRST].unsupported) == {"memory_temperature_c", "dram_active_percent"}


def test_cards_and_instances(readings: dict[str, Reading]) -> None:
    assert list(readings) == [FIRST, "GPU-22222222-2222-2222-2222-222222222222", f"{FIRST}/7"]
    card = readings[FIRST].card
    assert (card.host, card.index, card.name) == ("gpu-node-1", 0, "NVIDIA H100 80GB HBM3")
    assert card.driver == "550.54.15"
    instance = readings[f"{FIRST}/7"].card
    assert (instance.parent, instance.index) == (FIRST, 7)
    assert instance.name == "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    ((_, sample),) = readings[f"{FIRST}/7"].samples
    assert sample.values == {"dram_active_percent": 50}


def test_nobody_knows_how_old_a_value_is(readings: dict[str, Reading]) -> None:
    reading = readings[FIRST]
    ((_, sample),) = reading.samples
    assert not reading.is_dated
    assert (sample.at_ns, sample.error_ns) == (1500, None)


def test_an_answer_with_the_same_values_has_the_same_stamp(readings: dict[str, Reading]) -> None:
    (same,) = (reading for reading in parsed(TEXT, SPAN) if reading.card.gpu == FIRST)
    (other,) = (r for r in parsed(TEXT.replace("412.305", "412.306"), SPAN) if r.card.gpu == FIRST)
    assert [stamp for stamp, _ in same.samples] == [stamp for stamp, _ in readings[FIRST].samples]
    assert [stamp for stamp, _ in other.samples] != [stamp for stamp, _ in readings[FIRST].samples]


def test_an_error_of_the_driver(readings: dict[str, Reading]) -> None:
    assert readings[FIRST].xids == {}
    text = TEXT.replace('gpu-node-1"} 0\n', 'gpu-node-1"} 79\n')
    (reading,) = (reading for reading in parsed(text, SPAN) if reading.card.gpu == FIRST)
    assert reading.xids == {79: 1}
