"""Times for exchanges whose recording kept none: asked for, or drawn from another recording. Pure.

The law of this file: given times are played, never counted: `timing_known` stays false, so that no
figure is made of them. Chance comes as a seed. What is not generated (a role, a ping) comes with the
first token, or right after the one before it; a plain body comes when its last token would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Protocol

from harness.core.derive import Derived, derive
from harness.core.errors import BadInput
from harness.core.exchange import Exchange

NS_PER_MS = 1_000_000
NAMES = ("ttft", "icl", "jitter")
TOKEN_CHARACTERS = 4
"""Characters of text that count as one token where the provider did not say how many there were."""


class Source(Protocol):
    """Where times come from, in ns."""

    def ttft_ns(self, derived: Derived) -> int:
        """The wait for the first token."""

    def icl_ns(self, derived: Derived) -> int:
        """The next gap between two tokens."""


@dataclass(slots=True)
class Asked:
    """Times as a user asks for them, in ms: each is off by up to `jitter` to either side, evenly."""

    ttft_ms: float
    icl_ms: float
    jitter_ms: float
    random: Random

    def ttft_ns(self, _: Derived) -> int:
        """The wait for the first token."""
        return self._around(self.ttft_ms)

    def icl_ns(self, _: Derived) -> int:
        """The next gap between two tokens."""
        return self._around(self.icl_ms)

    def _around(self, ms: float) -> int:
        return max(0, round((ms + self.random.uniform(-self.jitter_ms, self.jitter_ms)) * NS_PER_MS))


@dataclass(slots=True)
class Drawn:
    """Times drawn from what was recorded: of the same model, else of the same dialect, else of all."""

    random: Random
    ttft: dict[str, list[int]] = field(default_factory=dict)
    icl: dict[str, list[int]] = field(default_factory=dict)

    def add(self, derived: Derived) -> None:
        """Take in what an exchange of the other recording shows."""
        for name in pools_of(derived):
            if derived.ttft_ns is not None:
                self.ttft.setdefault(name, []).append(derived.ttft_ns)
            self.icl.setdefault(name, []).extend(derived.icl_ns)

    def ttft_ns(self, derived: Derived) -> int:
        """The wait for the first token."""
        return self._drawn(self.ttft, derived)

    def icl_ns(self, derived: Derived) -> int:
        """The next gap between two tokens."""
        return self._drawn(self.icl, derived)

    def _drawn(self, pools: Mapping[str, Sequence[int]], derived: Derived) -> int:
        found = next((pools[name] for name in pools_of(derived) if pools.get(name)), ())
        return self.random.choice(found) if found else 0


def pools_of(derived: Derived) -> tuple[str, str, str]:
    """The names of the pools of an exchange, the closest first."""
    return f"model {derived.model}", f"dialect {derived.dialect}", "all"


def asked(text: str, seed: int) -> Asked:
    """Times from `ttft=300,icl=20,jitter=5` (ms); what is left out is 0. BadInput for anything else."""
    values = dict.fromkeys(NAMES, 0.0)
    for part in text.split(","):
        name, mark, value = (piece.strip() for piece in part.partition("="))
        if not mark or name not in NAMES:
            known = ", ".join(NAMES)
            raise BadInput(f"--timing: '{part}' should be one of {known} with its ms, such as icl=20")
        values[name] = milliseconds_of(name, value)
    return Asked(values["ttft"], values["icl"], values["jitter"], Random(seed))  # noqa: S311  no secret


def milliseconds_of(name: str, value: str) -> float:
    """A time in ms, from 0 to a day."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 86_400_000:
        raise BadInput(f"--timing: {name} should be a number of ms from 0, not '{value}'")
    return number


def timed(exchange: Exchange, source: Source) -> Exchange:
    """The exchange with times from a source; as it is where its times are known, or no answer came."""
    response = exchange.response
    if exchange.timing_known or response is None:
        return exchange
    numbered = tuple((number, data) for number, (_, data) in enumerate(response.chunks))
    derived = derive(replace(exchange, response=replace(response, chunks=numbered)))
    times = stream_ns(len(numbered), derived, source) if derived.stream else plain_ns(derived, source)
    chunks = tuple(zip(times, (data for _, data in numbered), strict=False))
    ends_ns = chunks[-1][0] if chunks else times[0]
    changed = replace(response, headers_ns=times[0], chunks=chunks, end_ns=ends_ns)
    return replace(exchange, response=changed, end_ns=ends_ns)


def stream_ns(count: int, derived: Derived, source: Source) -> list[int]:
    """The times of the chunks of a stream, of which `derived` numbers those that generated content ends."""
    carrying, now = set(derived.content_ns), source.ttft_ns(derived)
    first = min(carrying, default=0)
    times = [now]
    for number in range(1, count):
        now += source.icl_ns(derived) if number in carrying and number > first else 0
        times.append(now)
    return times


def plain_ns(derived: Derived, source: Source) -> list[int]:
    """The time of a plain body: when its last token would come."""
    tokens = derived.usage.output or len(derived.text) // TOKEN_CHARACTERS
    return [source.ttft_ns(derived) + sum(source.icl_ns(derived) for _ in range(1, tokens))]
