"""Figures of a GPU log as people read them, a line a card, and as JSON.

The law of this file: pure. In JSON, names end in their unit and what is not known is null; numbers are as
they were figured, the lines round them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

from harness.load.gpu.figures import CardFigures, Energy, Figures, Gauge
from harness.load.gpu.records import Card

GIB = 1024**3
MW_PER_W = 1000
SHOWN = (
    ("busy", "utilisation_percent", 1, "%"),
    ("SM", "sm_active_percent", 1, "%"),
    ("power", "power_instant_mw", MW_PER_W, " W"),
    ("power (averaged)", "power_mw", MW_PER_W, " W"),
)
"""What a line says of gauges: word, counter, its unit in the shown one, the shown unit."""


def as_object(figures: Figures) -> dict[str, Any]:
    """The figures as JSON has them."""
    return {
        "energy_joules": figures.energy_joules,
        "output_tokens_per_joule": figures.tokens_per_joule,
        "unreachable": figures.unreachable,
        "gpus": [card_object(card) for card in figures.cards],
    }


def card_object(figures: CardFigures) -> dict[str, Any]:
    """The figures of a card, its facts among them."""
    told = {name: value for name, value in asdict(figures).items() if name not in ("card", "energy")}
    energy = figures.energy
    return {
        **figures.card.model_dump(exclude={"kind"}),
        "energy_joules": energy.joules if energy else None,
        "energy_error_joules": energy.error_joules if energy else None,
        "energy_source": energy.source if energy else None,
        **told,
    }


def of_object(told: Mapping[str, Any]) -> Figures:
    """The figures of what `as_object` gave, also once it was stored as JSON."""
    cards = tuple(card_figures_of(card) for card in told["gpus"])
    return Figures(cards, told["energy_joules"], told["output_tokens_per_joule"], told["unreachable"])


def card_figures_of(told: Mapping[str, Any]) -> CardFigures:
    """The figures of a card of what `card_object` gave."""
    facts = {name: told[name] for name in Card.model_fields if name != "kind"}
    plain = {field.name: told[field.name] for field in fields(CardFigures) if field.name in told}
    joules = told["energy_joules"]
    changed = {
        "card": Card(**facts),
        "energy": None
        if joules is None
        else Energy(joules, told["energy_error_joules"], told["energy_source"]),
        "gauges": {name: Gauge(**gauge) for name, gauge in told["gauges"].items()},
        "xids": tuple(told["xids"]),
        "notes": tuple(told["notes"]),
    }
    return CardFigures(**plain | changed)


def lines(figures: Figures) -> Iterator[str]:
    """A line for all cards together, where their energy is known, then one a card."""
    if figures.energy_joules is not None:
        ratio = figures.tokens_per_joule
        tokens = "" if ratio is None else f" · {ratio:.3g} output tokens/J"
        yield f"energy {figures.energy_joules:,.0f} J{tokens}"
    for card in figures.cards:
        yield " · ".join([name_of(card), *facts(card)])


def name_of(figures: CardFigures) -> str:
    """How a card is called; NVML's name of an instance holds the word MIG."""
    return f"GPU {figures.card.index} {figures.card.name} on {figures.card.host}"


def facts(figures: CardFigures) -> Iterator[str]:
    """What a line says of a card, most telling first; nothing of what is not known."""
    if figures.lost_ns is not None:
        yield "LOST"
    yield from (f"Xid {code}" for code in figures.xids)
    if figures.energy:
        yield energy_text(figures.energy)
    for word, counter, unit, sign in SHOWN:
        if gauge := figures.gauges.get(counter):
            spread = f"{gauge.least / unit:.0f} to {gauge.most / unit:.0f}"
            yield f"{word} {gauge.mean / unit:.0f}{sign} ({spread})"
    if figures.peak_memory_bytes is not None:
        yield f"memory up to {figures.peak_memory_bytes / GIB:.1f} GiB"
    yield from (f"{word} for {seconds:.1f} s" for word, seconds in figures.throttled_s.items())
    yield from figures.notes


def energy_text(energy: Energy) -> str:
    """Energy with its error, where that is known.

    >>> energy_text(Energy(3000.4, 12.3, "counter")), energy_text(Energy(3000.4, None, "power"))
    ('3,000 ± 12 J', '3,000 J')
    """
    error = "" if energy.error_joules is None else f" ± {energy.error_joules:,.0f}"
    return f"{energy.joules:,.0f}{error} J"
