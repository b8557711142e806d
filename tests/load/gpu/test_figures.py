"""Figures of logs whose values are known."""

from collections.abc import Iterable
from typing import Any

import pytest

from harness.load.gpu.figures import CardFigures, Gauge, Window, figures
from harness.load.gpu.records import Card, Event, GpuRecord, Sample, What

S = 1_000_000_000
MS = 1_000_000
CARD = Card(gpu="GPU-1", host="here", index=0, name="Card")
OTHER = Card(gpu="GPU-2", host="here", index=1, name="Card")
WINDOW = Window(10 * S, 20 * S)


def samples(
    values: Iterable[tuple[float, Any]],
    counter: str = "energy_mj",
    gpu: str = "GPU-1",
    error_ns: int | None = 0,
) -> list[Sample]:
    """Samples of a counter at so many seconds."""
    return [
        Sample(gpu=gpu, at_ns=round(at * S), error_ns=error_ns, values={counter: value})
        for at, value in values
    ]


def of_card(records: Iterable[GpuRecord], window: Window = WINDOW) -> CardFigures:
    """The figures of the one card."""
    (card,) = figures([CARD, *records], window).cards
    return card


def steady(power_w: int, start: int = 8, end: int = 22, gpu: str = "GPU-1") -> list[Sample]:
    """An energy counter read every second while so much power is drawn."""
    return samples(((at, 5_000_000 + at * power_w * 1000) for at in range(start, end + 1)), gpu=gpu)


def test_energy_is_the_difference_over_the_window() -> None:
    energy = of_card(steady(300)).energy
    assert energy is not None
    assert (energy.joules, energy.error_joules, energy.source) == (3000, 0, "counter")


def test_the_ends_lie_on_a_line_between_samples_and_the_error_is_what_they_may_be_off() -> None:
    energy = of_card(steady(300), Window(round(10.25 * S), round(19.5 * S))).energy
    assert energy is not None
    assert energy.joules == pytest.approx(300 * 9.25)
    # at the start between 10 and 11 s, at the end between 19 and 20 s: at most 225 + 150 J off
    assert energy.error_joules == pytest.approx(375)


def test_times_that_are_not_sure_make_energy_less_sure() -> None:
    records = samples(((at, at * 300_000) for at in range(8, 23)), error_ns=100 * MS)
    energy = of_card(records).energy
    assert energy is not None
    assert energy.joules == 3000
    assert energy.error_joules == pytest.approx(600)  # a whole sample at each end
    unknown = of_card(samples(((at, at * 300_000) for at in range(8, 23)), error_ns=None)).energy
    assert unknown is not None
    assert (unknown.joules, unknown.error_joules) == (3000, None)


def test_tokens_a_joule_are_over_all_cards() -> None:
    told = figures([CARD, OTHER, *steady(300), *steady(100, gpu="GPU-2")], WINDOW, tokens_out=8000)
    assert told.energy_joules == 4000
    assert told.tokens_per_joule == 2


def test_no_ratio_where_something_is_not_known() -> None:
    assert figures([CARD, *steady(300)], WINDOW).tokens_per_joule is None
    half = figures([CARD, *steady(300, start=15)], WINDOW, 100)
    assert (half.energy_joules, half.tokens_per_joule) == (None, None)
    assert half.cards[0].covered == 0.5
    assert half.cards[0].notes == ("the log covers 50% of the window",)
    assert half.cards[0].energy is not None
    assert half.cards[0].energy.joules == 1500
    one_of_two = figures([CARD, OTHER, *steady(300)], WINDOW, 100)
    assert one_of_two.tokens_per_joule is None
    assert figures([], WINDOW, 100).tokens_per_joule is None


def test_instances_are_part_of_their_card() -> None:
    instance = Card(gpu="MIG-1", host="here", index=0, name="Card MIG", parent="GPU-1")
    told = figures([CARD, instance, *steady(300)], WINDOW, 3000)
    assert told.tokens_per_joule == 1
    assert told.cards[1].energy is None


def test_without_a_counter_power_is_summed_over_time() -> None:
    records = samples(((at, at * 10_000) for at in range(8, 23)), "power_mw")  # from 100 W to 200 W
    told = of_card(records)
    assert told.energy is not None
    assert (told.energy.joules, told.energy.error_joules, told.energy.source) == (1500, None, "power")
    assert told.notes == ("the card counts no energy: energy is power summed over time",)
    between = of_card(records, Window(round(10.5 * S), round(11.5 * S))).energy
    assert between is not None
    assert between.joules == pytest.approx(110)


def test_power_of_this_moment_is_better_than_an_average() -> None:
    instant = samples(((at, 200_000) for at in range(8, 23)), "power_instant_mw")
    average = samples(((at, 100_000) for at in range(8, 23)), "power_mw")
    energy = of_card([*average, *instant]).energy
    assert energy is not None
    assert energy.joules == 2000


def test_a_counter_that_began_anew_is_not_used() -> None:
    reset = samples((at, 300_000 * (at if at < 15 else at - 15)) for at in range(8, 23))
    power = samples(((at, 300_000) for at in range(8, 23)), "power_mw")
    told = of_card([*reset, *power])
    assert told.energy is not None
    assert (told.energy.joules, told.energy.source) == (3000, "power")
    assert told.notes == ("the energy counter began anew: energy is power summed over time",)
    assert of_card(reset).energy is None


def test_gauges_are_those_within_the_window_and_counters_are_none() -> None:
    records = [
        *samples([(9, 99), (10, 10), (15, 20), (20, 60), (21, 99)], "utilisation_percent"),
        *samples([(9, 9), (15, 7 << 30), (21, 99 << 30)], "memory_used_bytes"),
        *samples([(9, 4), (15, 4)], "throttle_reasons"),
        *steady(300),
    ]
    told = of_card(records)
    assert told.gauges["utilisation_percent"] == Gauge(30, 10, 60, 3)
    assert set(told.gauges) == {"utilisation_percent", "memory_used_bytes"}
    assert told.peak_memory_bytes == 7 << 30


def test_what_grows_gives_differences() -> None:
    told = of_card(
        [
            *samples([(10, 100), (20, 250)], "ecc_corrected"),
            *samples([(5, 0), (25, 2000)], "nvlink_tx_kib"),
            *samples([(10, 7), (20, 3)], "pcie_replays"),
        ]
    )
    assert told.grown == {"ecc_corrected": 150, "nvlink_tx_kib": 1000}
    assert told.notes == ("pcie_replays began anew",)


def test_throttling_lasts_from_sample_to_sample() -> None:
    told = of_card(samples([(8, 0x4), (11, 0x24), (12, 0x1), (19, 0x4), (30, 0)], "throttle_reasons"))
    assert told.throttled_s == {"sw_power_cap": 3, "sw_thermal_slowdown": 1}  # idle is not throttled


def test_what_happened() -> None:
    def event(at: float, what: What, gpu: str | None = "GPU-1", **more: Any) -> Event:
        return Event(gpu=gpu, at_ns=round(at * S), what=what, **more)

    told = figures(
        [
            CARD,
            event(5, What.UNSUPPORTED, counter="energy_mj", detail="Not Supported"),
            event(9, What.XID, code=13),
            event(12, What.XID, code=79),
            event(13, What.LOST, detail="GPU is lost"),
            event(14, What.UNREACHABLE, gpu=None),
        ],
        WINDOW,
    )
    (card,) = told.cards
    assert card.xids == (79,)
    assert card.lost_ns == 13 * S
    assert card.unsupported == {"energy_mj": "Not Supported"}
    assert told.unreachable == 1
    assert (card.samples, card.covered, card.energy) == (0, 0, None)


def test_a_window_without_length() -> None:
    told = of_card(steady(300), Window(10 * S, 10 * S))
    assert (told.covered, told.energy) == (0, None)


def test_samples_in_any_order() -> None:
    assert of_card(list(reversed(steady(300)))).energy == of_card(steady(300)).energy
