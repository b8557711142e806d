"""Two runs side by side: their figures with the differences, and the settings in which they differ.

The law of this file: pure. A difference is told with its sign; whether it is good is told only of
figures that have a good side, and only where both runs are valid.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.report.model import Comparison, Difference, RunReport, Setting, Spread

STATISTICS = ("p50", "p99")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a whole run: words, unit, how to get it, and whether more is better (None: neither)."""

    title: str
    unit: str
    of: Callable[[RunReport], float | None]
    more_is_better: bool | None = True


def stored(name: str) -> Callable[[RunReport], float | None]:
    """Gets one of the stored figures."""

    def of(run: RunReport) -> float | None:
        return (run.figures or {}).get(name)

    return of


def error_percent(run: RunReport) -> float | None:
    """The error rate in percent."""
    rate = stored("error_rate")(run)
    return None if rate is None else rate * 100


def tokens_per_joule(run: RunReport) -> float | None:
    """Tokens a joule, where the run has a GPU log."""
    return run.gpu.tokens_per_joule if run.gpu else None


FIGURES = (
    Figure("requests", "/s", stored("request_throughput")),
    Figure("output tokens", "/s", stored("output_token_throughput")),
    Figure("goodput", "/s", stored("request_goodput")),
    Figure("at once", "", stored("concurrency_mean"), more_is_better=None),
    Figure("error rate", "%", error_percent, more_is_better=False),
    Figure("tokens a joule", "", tokens_per_joule),
)
SAME = 0.02
"""A change up to here is neither better nor worse: runs of the same thing differ by as much."""


def comparison(a: RunReport, b: RunReport) -> Comparison:
    """The document of two runs."""
    trusted = a.verdict.verdict == b.verdict.verdict == "valid"
    return Comparison(
        a=a,
        b=b,
        caution=tuple(cautions(a, b)),
        settings=tuple(settings(a, b)),
        differences=tuple(differences(a, b, trusted=trusted)),
    )


def cautions(a: RunReport, b: RunReport) -> Iterator[str]:
    """Why differences may not be those of the servers."""
    for name, run in (("A", a), ("B", b)):
        if run.verdict.verdict != "valid":
            word = run.verdict.verdict.upper()
            yield f"{name} is {word}: its figures cannot be trusted, nor the differences"
    if a.about.host != b.about.host:
        yield f"the runs were made from different hosts, {a.about.host} and {b.about.host}"
    if a.about.load != b.about.load:
        yield f"the load differs: {a.about.load} and {b.about.load}"


def settings(a: RunReport, b: RunReport) -> Iterator[Setting]:
    """What differs in plans, models and versions."""
    ours, theirs = (flat(told_of(run)) for run in (a, b))
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            yield Setting(name=name, a=ours.get(name, ""), b=theirs.get(name, ""))


def told_of(run: RunReport) -> Mapping[str, Any]:
    """The settings of a run."""
    about = run.about
    return {"load": about.load, "models": list(about.models), "versions": about.versions, "plan": about.plan}


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as names with dots, and JSON.

    >>> flat({"loop": {"kind": "closed"}})
    {'loop.kind': '"closed"'}
    """
    found: dict[str, str] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            found |= flat(item, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = json.dumps(item)
    return found


def differences(a: RunReport, b: RunReport, *, trusted: bool) -> Iterator[Difference]:
    """The figures of both runs: latencies, rates, failures, energy."""
    spreads = [{d.name: d for d in run.latencies} for run in (a, b)]
    for name in spreads[0] | spreads[1]:
        for statistic in STATISTICS:
            values = [value_of(found[name].spread if name in found else None, statistic) for found in spreads]
            title = (spreads[0] | spreads[1])[name].title
            yield difference(f"{title} {statistic}", "ms", *values, more_is_better=False if trusted else None)
    for figure in FIGURES:
        values = [figure.of(a), figure.of(b)]
        if values != [None, None]:
            more = figure.more_is_better if trusted else None
            yield difference(figure.title, figure.unit, *values, more_is_better=more)


def value_of(spread: Spread | None, statistic: str) -> float | None:
    """A statistic; None of nothing."""
    value: float | None = getattr(spread, statistic, None)
    return value


def difference(
    title: str, unit: str, a: float | None, b: float | None, *, more_is_better: bool | None
) -> Difference:
    """A figure of both runs."""
    change = None if a is None or b is None else ratio(a, b)
    better = None
    if a is not None and b is not None and more_is_better is not None and abs(b - a) > SAME * abs(a):
        better = (b > a) == more_is_better  # also where the change of nothing to something has no ratio
    return Difference(title=title, unit=unit, a=a, b=b, change=change, better=better)


def ratio(a: float, b: float) -> float | None:
    """(b - a) / a; of nothing only nothing can be told."""
    if a == 0:
        return 0.0 if b == 0 else None
    return (b - a) / abs(a)
