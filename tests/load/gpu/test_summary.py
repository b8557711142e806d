"""Figures in words and as JSON."""

import json

import pytest

from harness.load.gpu.figures import CardFigures, Energy, Figures, Gauge
from harness.load.gpu.records import Card
from harness.load.gpu.summary import as_object, lines, of_object

CARD = Card(gpu="GPU-1", host="node", index=3, name="Card", memory_total_bytes=80 << 30)
FULL = CardFigures(
    card=CARD,
    samples=100,
    covered=1.0,
    energy=Energy(12_345.6, 78.9, "counter"),
    gauges={
        "utilisation_percent": Gauge(97.4, 80, 100, 50),
        "power_mw": Gauge(412_300, 70_000, 700_000, 100),
    },
    throttled_s={"sw_power_cap": 3.25},
    grown={"ecc_corrected": 2.0},
    peak_memory_bytes=71 << 30,
    xids=(79,),
    unsupported={"sm_active_percent": "Not Supported"},
    lost_ns=5,
    notes=("the log covers 98% of the window",),
)


def test_lines() -> None:
    together, card = lines(Figures((FULL,), 12_345.6, 2.3456))
    assert together == "energy 12,346 J · 2.35 output tokens/J"
    assert card.split(" · ") == [
        "GPU 3 Card on node",
        "LOST",
        "Xid 79",
        "12,346 ± 79 J",
        "busy 97% (80 to 100)",
        "power (averaged) 412 W (70 to 700)",
        "memory up to 71.0 GiB",
        "sw_power_cap for 3.2 s",
        "the log covers 98% of the window",
    ]


def test_what_is_not_known_is_left_out() -> None:
    bare = CardFigures(card=CARD, samples=0, covered=0)
    assert list(lines(Figures((bare,), None, None))) == ["GPU 3 Card on node"]
    assert list(lines(Figures((), 10.0, None))) == ["energy 10 J"]


@pytest.mark.parametrize(
    "figures",
    [
        Figures((FULL, FULL), 12_345.6, 2.5, unreachable=1),
        Figures((CardFigures(card=CARD, samples=0, covered=0),), None, None),
    ],
    ids=["full", "bare"],
)
def test_json_gives_the_figures_back(figures: Figures) -> None:
    assert of_object(json.loads(json.dumps(as_object(figures)))) == figures


def test_as_json() -> None:
    told = json.loads(json.dumps(as_object(Figures((FULL,), 12_345.6, 2.5, unreachable=1))))
    assert (told["energy_joules"], told["output_tokens_per_joule"], told["unreachable"]) == (12_345.6, 2.5, 1)
    (card,) = told["gpus"]
    assert (card["gpu"], card["host"], card["energy_error_joules"]) == ("GPU-1", "node", 78.9)
    assert card["gauges"]["power_mw"] == {"mean": 412_300, "least": 70_000, "most": 700_000, "samples": 100}
    assert card["unsupported"] == {"sm_active_percent": "Not Supported"}
    bare = as_object(Figures((CardFigures(card=CARD, samples=0, covered=0),), None, None))
    assert bare["gpus"][0]["energy_joules"] is None
