"""The document of a load run, of the rows that the store holds of it.

The law of this file: pure. Figures and the verdict are the run's own, as they were stored; distributions
are of its measured requests, failures without latency, by the formulas of `docs/load-figures.md`.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import filterfalse, pairwise
from typing import Any

from harness.core.visible import visible
from harness.report.gpu import GpuRows, gpu_lanes, gpu_of
from harness.report.lanes import host_lanes, request_lanes
from harness.report.model import About, Check, Distribution, Lane, OverTime, RunReport, Slo, Step, Verdict
from harness.report.overtime import Axis, Gathered
from harness.report.spread import distribution_of
from harness.report.times import ICL, ITL, LATENCIES, Latency, Row, counts_tokens, gap, is_failure, rounded
from harness.report.waterfall import failures_of, waterfall_of

NS_PER_S = 1_000_000_000
LATER = ("ttft_ms", "icl_ms", "schedule_delay_ms")
"""The latencies that are shown over time."""
AT = {"ttft_ms": "first_token_ns", "schedule_delay_ms": "sent_ns"}
"""The stamp at which a latency is complete."""


@dataclass(frozen=True, slots=True)
class RunRows:
    """What the store holds of a run: its row, those of the runs of its sweep, and what belongs to it.

    `requests` are in the order of sending; instead of `offsets` they have `content_ns`: of the events with
    content, ns from sending, where they were kept. `file`: the name of the recording.
    """

    file: str
    run: Row
    sweep: Sequence[Row]
    requests: Sequence[Row]
    hosts: Sequence[Row]
    gpu: GpuRows


def run_report(rows: RunRows) -> RunReport:
    """The document."""
    measured = [row for row in rows.requests if row["phase"] == "measured"]
    window = window_of(measured)
    axis = axis_of(rows.requests)
    figures = rows.run["figures"]
    return RunReport(
        about=about_of(rows),
        verdict=verdict_of(rows.run),
        slos=tuple(
            Slo.model_validate({name: row[name] for name in Slo.model_fields})
            for row in rows.run["slos"] or ()
        ),
        figures=all_shown(figures),
        null_test=rows.run["null_test"],
        requests=len(rows.requests),
        window_s=None if window is None else (window[0] / NS_PER_S, window[1] / NS_PER_S),
        latencies=tuple(distributions(measured)),
        over_time=tuple(over_time(measured, axis)),
        failures=failures_of(measured),
        sweep=steps_of(rows.sweep),
        lanes=tuple(lanes_of(rows, axis)),
        gpu=gpu_of(rows.gpu, window, (figures or {}).get("tokens_out"), (figures or {}).get("gpu")),
        waterfall=waterfall_of(rows.requests),
    )


def window_of(measured: Sequence[Row]) -> tuple[int, int] | None:
    """The measured window in ns: from the first due time (or sending) to the last end; None of nothing."""
    if not measured:
        return None
    starts = (row["sent_ns"] if row["scheduled_ns"] is None else row["scheduled_ns"] for row in measured)
    return min(starts), max(row["end_ns"] for row in measured)


def axis_of(requests: Sequence[Row]) -> Axis:
    """The axis of all charts over time: from the run's start, or an earlier stamp, to the last end."""
    start = min((rounded(row["sent_ns"]) for row in requests), default=0)
    end = max((rounded(row["end_ns"]) for row in requests), default=0)
    return Axis(min(0, start), max(end, start + 1, 1))


def about_of(rows: RunRows) -> About:
    """Which run it is."""
    run = rows.run
    models = Counter(row["model"] for row in rows.requests if row["model"] is not None)
    return About(
        file=visible(rows.file),
        run_id=run["id"],
        name=shown(run["name"]),
        sweep=shown(run["sweep"]),
        target=visible(run["target"]),
        load=load_of(run),
        started_at=visible(run["started_at"]),
        ended_at=shown(run["ended_at"]),
        host=visible(run["host"]),
        workers=run["workers"],
        models=tuple(visible(model) for model, _ in models.most_common()),
        versions={visible(name): visible(str(text)) for name, text in run["versions"].items()},
        plan=all_shown(run["plan"]),
    )


def shown(text: str | None) -> str | None:
    """A text made visible; None stays."""
    return None if text is None else visible(text)


def all_shown(value: Any) -> Any:
    """A JSON value with all its texts made visible, names too: kinds of errors are names in figures."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {visible(name): all_shown(item) for name, item in value.items()}
    return [all_shown(item) for item in value] if isinstance(value, list) else value


def load_of(run: Row) -> str:
    """The load in words."""
    if run["loop"] == "closed":
        return f"{run['concurrency']} at once"
    return "recorded schedule" if run["rate"] is None else f"{run['rate']:g} requests/s"


def verdict_of(run: Row) -> Verdict:
    """The run's own judgement."""
    checks = tuple(check_of(check) for check in run["checks"] or ())
    return Verdict(
        verdict=run["verdict"] or "unjudged",
        reasons=tuple(map(visible, run["reasons"] or ())),
        warnings=tuple(check.line for check in checks if check.grade == "warning"),
        checks=checks,
    )


def check_of(check: Mapping[str, Any]) -> Check:
    """A stored check; what a newer version keeps besides is left out."""
    return Check.model_validate({name: check.get(name) for name in Check.model_fields})


def gaps_of(successes: Sequence[Row]) -> Counter[int]:
    """All gaps between content events, in us."""
    gaps: Counter[int] = Counter()
    for row in successes:
        for bound, count in row["icl"]:
            gaps[bound] += count
    return gaps


def sum_of_gaps(successes: Sequence[Row]) -> float:
    """Their exact sum in us, which the buckets of the gaps no longer tell."""
    between = (gap(row, "first_token_ns", "last_token_ns") for row in successes)
    return sum(time for time in between if time is not None)


def values_of(latency: Latency, measured: Sequence[Row]) -> Iterator[tuple[Row, int]]:
    """The requests that have this time, with it."""
    for row in measured:
        if latency.failures_too or not is_failure(row):
            value = latency.of(row)
            if value is not None:
                yield row, value


def distributions(measured: Sequence[Row]) -> Iterator[Distribution]:
    """All latencies that the run can tell, the gaps between tokens in their place."""
    found = {
        latency.name: distribution_of(
            latency.about, Counter(value for _, value in values_of(latency, measured))
        )
        for latency in LATENCIES
    }
    successes = list(filterfalse(is_failure, measured))
    for about, rows in ((ICL, successes), (ITL, list(filter(counts_tokens, successes)))):
        found[about.name] = distribution_of(about, gaps_of(rows), sum_of_gaps(rows))
    for name in ORDER:
        distribution = found[name]
        if distribution:
            yield distribution


ORDER = (
    "ttft_ms",
    "icl_ms",
    "itl_ms",
    "tpot_ms",
    "e2el_ms",
    "e2el_scheduled_ms",
    "schedule_delay_ms",
    "ttst_ms",
)


def over_time(measured: Sequence[Row], axis: Axis) -> Iterator[OverTime]:
    """TTFT, gaps and schedule lag over the time of the run."""
    by_name = {latency.name: latency for latency in LATENCIES}
    for name in LATER:
        if name == "icl_ms":
            found, about = gathered_gaps(measured, axis), ICL
        else:
            latency = by_name[name]
            found, about = Gathered(axis), latency.about
            for row, value in values_of(latency, measured):
                found.add(rounded(row[AT[name]]), value)
        document = found.over_time(*about)
        if document:
            yield document


def gathered_gaps(measured: Sequence[Row], axis: Axis) -> Gathered:
    """Gaps at their own time where events were kept, else at the last token of their answer."""
    gathered = Gathered(axis)
    for row in measured:
        if is_failure(row) or row["last_token_ns"] is None:
            continue
        content = [row["sent_ns"] + at for at in row["content_ns"]]
        for before, after in pairwise(content):
            gathered.add(rounded(after), rounded(after - before))
        if not content:
            gathered.add_counts(rounded(row["last_token_ns"]), row["icl"])
    return gathered


def lanes_of(rows: RunRows, axis: Axis) -> Iterator[Lane]:
    """All lanes, what the users did first."""
    if rows.requests:
        yield from request_lanes(rows.requests, axis)
    yield from gpu_lanes(rows.gpu)
    yield from host_lanes(rows.hosts)


def steps_of(runs: Sequence[Row]) -> tuple[Step, ...]:
    """The runs of a sweep, the lightest load first, in whatever order they were made."""
    return tuple(sorted(map(step_of, runs), key=lambda step: (step.level or 0, step.run_id)))


def step_of(run: Row) -> Step:
    """A run of a sweep."""
    figures = run["figures"] or {}
    gpu = figures.get("gpu") or {}

    def spread(name: str, statistic: str) -> float | None:
        found: float | None = (figures.get(name) or {}).get(statistic)
        return found

    return Step(
        run_id=run["id"],
        load=load_of(run),
        level=run["concurrency"] if run["loop"] == "closed" else run["rate"],
        verdict=run["verdict"] or "unjudged",
        requests=figures.get("requests", 0),
        failures=figures.get("failures", 0),
        requests_per_s=figures.get("request_throughput"),
        tokens_per_s=figures.get("output_token_throughput"),
        ttft_p50_ms=spread("ttft_ms", "p50"),
        ttft_p99_ms=spread("ttft_ms", "p99"),
        icl_p50_ms=spread("icl_ms", "p50"),
        icl_p99_ms=spread("icl_ms", "p99"),
        e2e_p50_ms=spread("e2el_ms", "p50"),
        e2e_p99_ms=spread("e2el_ms", "p99"),
        energy_j=gpu.get("energy_joules"),
        tokens_per_joule=gpu.get("output_tokens_per_joule"),
    )
