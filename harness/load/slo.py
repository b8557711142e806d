"""What users ask: `--slo ttft:p99<500ms` of a run, `--goodput ttft:200 tpot:50` of each request.

The law of this file: pure; text that cannot be read is BadInput that says what to write, before
anything is sent; where a run has no data for what was asked, that is not met. `--goodput` reads as in
`vllm bench serve` (https://docs.vllm.ai/en/latest/cli/bench/serve.html): name:milliseconds.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.core.errors import BadInput
from harness.load.figures import Figures, Spread, Times
from harness.load.plan import Frozen
from harness.load.records import Result

STATISTICS = ("p50", "p90", "p95", "p99", "max", "mean")
LATENCIES = {
    "ttft": "ttft_ms",
    "ttst": "ttst_ms",
    "icl": "icl_ms",
    "itl": "itl_ms",
    "tpot": "tpot_ms",
    "e2e": "e2el_ms",
    "e2el": "e2el_ms",
    "e2e_scheduled": "e2el_scheduled_ms",
    "schedule_delay": "schedule_delay_ms",
}
"""Name in an SLO -> distribution of the figures."""
NUMBERS = {
    "error_rate": ("error_rate", "%"),
    "success_rate": ("success_rate", "%"),
    "attainment": ("slo_attainment", "%"),
    "output_tokens": ("output_token_throughput", "/s"),
    "total_tokens": ("total_token_throughput", "/s"),
    "requests": ("request_throughput", "/s"),
    "goodput": ("request_goodput", "/s"),
}
"""Name in an SLO -> figure, and the unit in which it is asked for."""
UNITS = {"ms": 1.0, "s": 1000.0, "us": 0.001, "µs": 0.001, "%": 0.01, "/s": 1.0}
"""Unit -> its size in the figures' own (ms, parts of one, a second)."""
TIME_UNITS = ("ms", "s", "us", "µs")
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
SLO = re.compile(r"\s*([a-z0-9_]+)\s*(?::\s*([a-z0-9.]+))?\s*(<=|>=|<|>)\s*([0-9.]+)\s*(\S*)\s*")
EXAMPLES = "write for example ttft:p99<500ms, error_rate<1% or output_tokens>100/s"
GOOD_EXAMPLE = "write for example --goodput ttft:200 tpot:50 (milliseconds)"
GOOD = {"ttft": "ttft", "ttst": "ttst", "tpot": "tpot", "icl": "icl", "e2e": "e2e", "e2el": "e2e"} | {
    name: name for name in ("e2e_scheduled", "schedule_delay")
}
"""Name in `--goodput` -> field of `Times`."""


@dataclass(frozen=True, slots=True)
class Slo:
    """One that was asked for. `text` is what the user wrote; `limit` is in the figures' own unit."""

    text: str
    figure: str
    statistic: str | None
    operator: str
    limit: float
    unit: str

    def row(self, figures: Figures) -> "SloRow":
        """What came of it."""
        got = self.value(figures)
        met = got is not None and OPERATORS[self.operator](got, self.limit)
        return SloRow(
            asked=self.text, got=None if got is None else got / UNITS[self.unit], unit=self.unit, met=met
        )

    def value(self, figures: Figures) -> float | None:
        """The figure, in its own unit; None: the run has no data for it."""
        found: Spread | float | None = getattr(figures, self.figure)
        return getattr(found, self.statistic) if isinstance(found, Spread) and self.statistic else found  # type: ignore[return-value]


class SloRow(Frozen):
    """What was asked, what the run gave (`got` in `unit`; None: no data, which is not met)."""

    asked: str
    got: float | None
    unit: str
    met: bool


def slo_of(text: str) -> Slo:
    """Reads `METRIC[:STATISTIC]<LIMIT`; BadInput says what is wrong and what to write.

    >>> slo_of("ttft:p99<0.5s").limit
    500.0
    """
    found = SLO.fullmatch(text.lower())
    if not found:
        raise BadInput(f"--slo {text}: this cannot be read; {EXAMPLES}")
    name, statistic, sign, number, unit = found.groups()
    limit = number_of(number, f"--slo {text}")
    if name in LATENCIES:
        check_statistic(text, name, statistic)
        check_unit(text, unit, f"{name}:{statistic}{sign}{number}", TIME_UNITS)
        return Slo(text, LATENCIES[name], statistic, sign, limit * UNITS[unit], unit)
    if name not in NUMBERS:
        raise BadInput(f"--slo {text}: there is no '{name}'; there are {', '.join([*LATENCIES, *NUMBERS])}")
    figure, wanted = NUMBERS[name]
    if statistic:
        raise BadInput(f"--slo {text}: {name} is one figure of the run: write {name}{sign}{number}{wanted}")
    check_unit(text, unit, f"{name}{sign}{number}", (wanted,))
    return Slo(text, figure, None, sign, limit * UNITS[unit], unit)


def check_statistic(text: str, name: str, statistic: str | None) -> None:
    """BadInput where a distribution is asked for without one of its statistics."""
    if statistic is None:
        raise BadInput(f"--slo {text}: which {name}? Write {name}:p99, or one of {', '.join(STATISTICS)}")
    if statistic not in STATISTICS:
        raise BadInput(f"--slo {text}: there is no '{statistic}'; there are {', '.join(STATISTICS)}")


def check_unit(text: str, unit: str, without: str, units: Sequence[str]) -> None:
    """BadInput where a limit has no unit, or one of something else."""
    if unit not in units:
        what = f"'{unit}' is no unit of it" if unit else "the limit has no unit"
        raise BadInput(f"--slo {text}: {what}; write {' or '.join(f'{without}{unit}' for unit in units[:3])}")


def number_of(text: str, place: str) -> float:
    """A number that is not negative; BadInput names the place."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise BadInput(f"{place}: '{text}' is no number from 0 on")
    return number


def slos_of(texts: Iterable[str], goodput: "Goodput | None" = None) -> tuple[Slo, ...]:
    """All that were asked for; BadInput too where one needs `--goodput`, which is not given."""
    slos = tuple(slo_of(text) for text in texts)
    for slo in slos:
        if slo.figure in ("request_goodput", "slo_attainment") and goodput is None:
            raise BadInput(f"--slo {slo.text}: this needs to know which requests are good; {GOOD_EXAMPLE}")
    return slos


@dataclass(frozen=True, slots=True)
class Goodput:
    """Limits that a good request keeps, all of them: field of `Times` -> ns."""

    text: str
    limits_ns: tuple[tuple[str, int], ...]

    def __call__(self, result: Result, times: Times) -> bool:
        """Whether a success is good. What is not known is not kept, but one token has no pace to miss."""
        return all(self._kept(result, times, name, limit_ns) for name, limit_ns in self.limits_ns)

    @staticmethod
    def _kept(result: Result, times: Times, name: str, limit_ns: int) -> bool:
        value: int | None = getattr(times, name)
        if value is None:
            return (name == "tpot" and result.tokens_out in (0, 1)) or (
                name == "icl" and result.content_events == 1
            )
        return value <= limit_ns


def goodput_of(words: Iterable[str]) -> Goodput | None:
    """Reads `name:milliseconds` words, several in one text too; None of none. BadInput says what to write.

    >>> goodput_of(["ttft:200 tpot:50"]).limits_ns
    (('ttft', 200000000), ('tpot', 50000000))
    """
    separate = [word for text in words for word in text.split()]
    limits = {}
    for word in separate:
        name, colon, number = word.lower().partition(":")
        if not colon:
            raise BadInput(f"--goodput {word}: this cannot be read; {GOOD_EXAMPLE}")
        if name not in GOOD:
            raise BadInput(f"--goodput {word}: there is no '{name}'; there are {', '.join(GOOD)}")
        if GOOD[name] in limits:
            raise BadInput(f"--goodput {word}: {name} has a limit already: give each one limit")
        limit = number_of(number.removesuffix("ms"), f"--goodput {word}")
        limits[GOOD[name]] = round(limit * 1_000_000)
    return Goodput(" ".join(separate), tuple(limits.items())) if limits else None
