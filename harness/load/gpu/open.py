"""A source by its name: `nvml` for the cards of this machine, a URL for those of another."""

from collections.abc import Iterable, Sequence
from threading import Event
from typing import Protocol

from harness.core.errors import BadInput
from harness.load.gpu.records import Card, Emit

NVML = "nvml"
OFF = "off"
LEAST_HZ, MOST_HZ = 1.0, 10.0


class Source(Protocol):
    """What samples cards: `cards` are those that it samples."""

    cards: Sequence[Card]

    def run(self, emit: Emit, stop: Event, duration_s: float | None = None) -> None:
        """Emit records until it is told to stop or the duration is over."""


def opened(source: str, rate_hz: float, gpus: Iterable[str] = ()) -> Source:
    """Open a source. Raises BadInput, Absent, MissingExtra, each in one line."""
    if not LEAST_HZ <= rate_hz <= MOST_HZ:
        raise BadInput(f"{rate_hz:g} samples a second is out of bounds: from {LEAST_HZ:g} to {MOST_HZ:g}")
    wanted = split(gpus)
    if source == NVML:
        from harness.load.gpu.sampler import NvmlSampler  # noqa: PLC0415  each imports its own tools

        return NvmlSampler(rate_hz, wanted)
    if "://" not in source:
        raise BadInput(f"there is no GPU source {source!r}: '{NVML}', a URL, or '{OFF}'")
    from harness.load.gpu.remote import UrlReader  # noqa: PLC0415

    return UrlReader(source, rate_hz, wanted)


def split(gpus: Iterable[str]) -> Sequence[str]:
    """Names that are given one by one or with commas between.

    >>> split(["0,1", "GPU-8f"])
    ['0', '1', 'GPU-8f']
    """
    return [name for given in gpus for raw in given.split(",") if (name := raw.strip())]
