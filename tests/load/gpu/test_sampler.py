"""The sampler on cards of many kinds, through NVML's real wrappers."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.load.gpu.counters import COUNTERS
from harness.load.gpu.records import Ended, Process, What
from harness.load.records import WorkerRecord
from tests.plugins.cards import GPU_A, GPU_B, Log, harness_gpu, logged, without_cards

type Environment = Callable[..., dict[str, str]]

MS = 1_000_000
NO_LINKS = {f"nvlink_{kind}_errors" for kind in ("crc_flit", "crc_data", "replay", "recovery")}
ALWAYS_MISSING = NO_LINKS | {"sm_occupancy_percent", "dram_active_percent"}
"""What no card of the test library gives; the last is NaN there."""


@pytest.fixture(scope="module")
def mixed(cards: Environment, tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Two cards: one lacks counters and is lost, the other fails in one and reports an error."""
    environment = cards(
        NVML_LACKS="1:energy,1:gpm,1:utilisation,1:events",
        NVML_FAILS="0:sm_clock",
        NVML_LOST="1@0.7",
        NVML_XID="0:79@0.3",
    )
    return logged(environment, tmp_path_factory.mktemp("mixed") / "gpu.jsonl", 1.5)


def test_the_log_begins_with_its_clock_and_its_cards_and_says_that_it_ended(mixed: Log) -> None:
    first, second, third = mixed.records[:3]
    assert isinstance(first, WorkerRecord)
    assert 0 <= first.anchor_error_ns < 1_000 * MS
    assert [second, third] == mixed.cards
    assert [(card.gpu, card.index, card.name) for card in mixed.cards] == [
        (GPU_A, 0, "Test Card A"), (GPU_B, 1, "Test Card B"),
    ]  # fmt: skip
    assert {(card.driver, card.memory_total_bytes, card.power_limit_mw) for card in mixed.cards} == {
        ("580.95.05", 80 << 30, 700_000)
    }
    assert isinstance(mixed.records[-1], Ended)


def test_values_are_those_of_each_card(mixed: Log) -> None:
    assert mixed.values(GPU_A, "power_mw") == {100_000}
    assert mixed.values(GPU_B, "power_mw") == {200_000}
    assert mixed.values(GPU_A, "power_instant_mw") == {100_500}
    assert mixed.values(GPU_A, "memory_used_bytes") == {19 << 30}  # without what the driver keeps
    assert mixed.values(GPU_A, "utilisation_percent") == {40}
    assert mixed.values(GPU_A, "sm_active_percent") == {2.5}
    assert mixed.values(GPU_A, "tensor_active_percent") == {5.5}
    assert mixed.values(GPU_B, "sm_clock_mhz") == {1980}
    assert mixed.values(GPU_B, "memory_temperature_c") == {60}
    assert mixed.values(GPU_A, "throttle_reasons") == {4}
    assert mixed.values(GPU_A, "nvlink_tx_kib") == {138_000}
    assert mixed.values(GPU_A, "ecc_corrected") == {12}
    assert (mixed.values(GPU_A, "pcie_tx_kb_s"), mixed.values(GPU_A, "pcie_rx_kb_s")) == ({1000}, {2000})
    found = next(sample.processes for sample in mixed.samples if sample.processes)
    assert found == (Process(pid=4242, memory_bytes=8 << 30), Process(pid=4343, memory_bytes=None))


def test_support_is_a_matter_of_each_counter(mixed: Log) -> None:
    gpm = {c.name for c in COUNTERS if c.function == "nvmlGpmMetricsGet"}
    lacks = gpm | NO_LINKS | {"energy_mj", "utilisation_percent", "memory_utilisation_percent", "xid"}
    assert sorted(map(str, mixed.told(GPU_B, What.UNSUPPORTED))) == sorted(lacks)  # each is told once
    assert set(mixed.told(GPU_A, What.UNSUPPORTED)) == NO_LINKS | {"sm_occupancy_percent"}
    given = {name for sample in mixed.samples if sample.gpu == GPU_A for name in sample.values}
    assert given == {c.name for c in COUNTERS} - ALWAYS_MISSING - {"sm_clock_mhz"}


def test_what_fails_is_told_once_and_asked_again(mixed: Log) -> None:
    assert mixed.told(GPU_A, What.FAILED) == ["sm_clock_mhz"]
    assert mixed.values(GPU_A, "memory_clock_mhz") == {2619}


def test_a_lost_card_is_told_with_its_time_and_the_other_goes_on(mixed: Log) -> None:
    (lost,) = (event for event in mixed.events if event.what is What.LOST)
    assert lost.gpu == GPU_B
    assert max(sample.at_ns for sample in mixed.samples if sample.gpu == GPU_B) < lost.at_ns
    after = [sample for sample in mixed.samples if sample.gpu == GPU_A and sample.at_ns > lost.at_ns]
    assert len(after) >= 2


def test_errors_of_the_driver_are_told_as_they_come(mixed: Log) -> None:
    (xid,) = (event for event in mixed.events if event.what is What.XID)
    assert (xid.gpu, xid.code) == (GPU_A, 79)
    assert xid.at_ns > mixed.samples[0].at_ns


def test_energy_grows_with_the_time_between_samples_within_their_stated_error(mixed: Log) -> None:
    read = mixed.of(GPU_A, "energy_mj")
    assert len(read) > 3
    for (before, before_error, less), (after, after_error, more) in itertools.pairwise(read):
        assert before_error is not None
        assert after_error is not None
        error_ms = (before_error + after_error) / MS
        assert more - less == pytest.approx(100 * (after - before) / MS, abs=100 * error_ms + 1)


def test_each_counter_is_read_as_often_as_it_is_useful(mixed: Log) -> None:
    power, heat, errors = (
        len(mixed.of(GPU_A, name)) for name in ("power_mw", "temperature_c", "ecc_corrected")
    )
    pcie = mixed.of(GPU_A, "pcie_tx_kb_s")
    assert power > heat > errors >= 2
    assert len(pcie) <= 3  # at most one a second
    assert all(error and error >= 20 * MS for _, error, _ in pcie)  # its window is part of its error


def test_mig_lists_instances_and_has_no_utilisation(cards: Environment, tmp_path: Path) -> None:
    log = logged(cards(NVML_MIG="0"), tmp_path / "gpu.jsonl", 0.5)
    whole, first, second, other = log.cards
    assert [card.mig for card in log.cards] == [True, False, False, False]
    assert (first.gpu, first.parent, first.index) == ("MIG-00000000-bbbb", GPU_A, 0)
    assert (second.parent, other.parent) == (whole.gpu, None)
    refused = ["utilisation_percent", "memory_utilisation_percent"]
    for gpu in (whole.gpu, first.gpu, second.gpu):
        assert [name for name in log.told(gpu, What.UNSUPPORTED) if name in refused] == refused
    assert log.values(GPU_B, "utilisation_percent") == {41}
    assert log.values(first.gpu, "sm_active_percent") == {52.5}  # an instance has its own
    assert log.values(first.gpu, "memory_used_bytes")
    assert not log.values(first.gpu, "energy_mj")


def test_a_chosen_card_brings_its_instances(cards: Environment, tmp_path: Path) -> None:
    log = logged(cards(NVML_MIG="0"), tmp_path / "gpu.jsonl", 0.1, "--gpus", "0")
    assert [card.gpu for card in log.cards] == [GPU_A, "MIG-00000000-bbbb", "MIG-01000000-bbbb"]


@pytest.mark.parametrize("name", ["1", GPU_B, "GPU-1", "1,GPU-1"])
def test_cards_are_chosen_by_index_or_uuid(cards: Environment, tmp_path: Path, name: str) -> None:
    log = logged(cards(), tmp_path / "gpu.jsonl", 0.1, "--gpus", name)
    assert [card.gpu for card in log.cards] == [GPU_B]
    assert {sample.gpu for sample in log.samples} == {GPU_B}


def test_a_card_that_is_not_there_is_named_with_those_that_are(cards: Environment) -> None:
    done = harness_gpu(cards(), "--gpus", "7")
    assert done.returncode == 2
    assert done.stderr == f"harness: error: there is no GPU '7'; there are 0 ({GPU_A}), 1 ({GPU_B})\n"


def test_an_older_driver_is_asked_by_its_own_functions(cards: Environment, tmp_path: Path) -> None:
    log = logged(cards(old=True), tmp_path / "gpu.jsonl", 0.1)
    assert log.values(GPU_A, "memory_used_bytes") == {20 << 30}
    assert log.values(GPU_B, "temperature_c") == {51}
    assert log.values(GPU_B, "throttle_reasons") == {1}


def test_when_all_cards_are_lost_the_sampler_goes_on_to_its_end(cards: Environment, tmp_path: Path) -> None:
    log = logged(cards(NVML_CARDS="1", NVML_LOST="0@0.2"), tmp_path / "gpu.jsonl", 0.8)
    (lost,) = (event for event in log.events if event.what is What.LOST)
    ended = log.records[-1]
    assert isinstance(ended, Ended)
    assert ended.at_ns - lost.at_ns > 300 * MS


def test_a_card_that_is_gone_from_the_start_is_left_out(cards: Environment, tmp_path: Path) -> None:
    log = logged(cards(NVML_LOST="0@0"), tmp_path / "gpu.jsonl", 0.1)
    assert [card.gpu for card in log.cards] == [GPU_B]


def test_ticks_that_were_missed_are_counted(cards: Environment, tmp_path: Path) -> None:
    log = logged(cards(NVML_SLOW_MS="120"), tmp_path / "gpu.jsonl", 1)
    ended = log.records[-1]
    assert isinstance(ended, Ended)
    assert ended.missed >= 2
    assert log.values(GPU_A, "ecc_corrected")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"NVML_INIT": "9"}, "no NVIDIA driver here (Driver Not Loaded)"),
        ({"NVML_CARDS": "0"}, "no NVIDIA GPU here: the driver is loaded, and finds none"),
    ],
)
def test_a_driver_that_has_nothing_to_say(cards: Environment, variables: dict[str, str], said: str) -> None:
    done = harness_gpu(cards(**variables))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"harness: error: {said}\n"


def test_without_a_driver() -> None:
    done = harness_gpu(without_cards(), "--duration", "0.1")
    if done.returncode == 0:
        pytest.skip("this machine has a driver")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "harness: error: no NVIDIA driver here (libnvidia-ml.so.1 not found)\n"
