"""What one answer of another host says of a card, whichever program gave it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.load.gpu.records import Card, Sample

type Families = Iterable[Any]
"""Families of metrics, as prometheus_client's parser gives them."""


@dataclass(frozen=True, slots=True)
class Span:
    """When it was asked and when the answer was there, ns on our monotonic clock.

    The other host spoke at some moment between: in the middle, give or take half of it.
    """

    asked_ns: int
    had_ns: int

    @property
    def middle_ns(self) -> int:
        """The middle."""
        return (self.asked_ns + self.had_ns) // 2

    @property
    def half_ns(self) -> int:
        """Half the span, rounded up: the most that the middle can be off."""
        return (self.had_ns - self.asked_ns + 1) // 2


@dataclass(frozen=True, slots=True)
class Reading:
    """A card in the answer of a span.

    `samples`: each with a stamp, the same in all answers that tell of the same sample. `is_dated`: the
    answer says when they were taken, and they have that on our clock; otherwise it is not known from one
    answer. `xids` counts errors by code since the other program began. `lost_ns` is on our clock, give or
    take half the span.
    """

    card: Card
    samples: tuple[tuple[object, Sample], ...]
    span: Span
    is_dated: bool = True
    unsupported: Mapping[str, str] = field(default_factory=dict)
    xids: Mapping[int, int] = field(default_factory=dict)
    lost_ns: int | None = None
