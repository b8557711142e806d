"""What a run amounts to: one object for machines, and a closing table that a person reads in ten seconds.

The law of this file: the verdict comes first, since figures of an invalid run mean nothing; then counts,
then times, then rates, then what was asked for, then how good the measurement itself was. The table is
made of the same object that `--json` prints. Text that servers sent is made visible and never markup.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.core.visible import visible
from harness.load.figures import Figures, Spread
from harness.load.gpu import summary as gpu
from harness.load.plan import Closed, Frozen, Plan
from harness.load.slo import SloRow
from harness.load.validity import ClientError, Finding, Grade, Judgement, exit_code

LATENCIES = {
    "TTFT": "ttft_ms",
    "TTST": "ttst_ms",
    "ICL": "icl_ms",
    "ITL": "itl_ms",
    "TPOT": "tpot_ms",
    "E2E from send": "e2el_ms",
    "E2E from schedule": "e2el_scheduled_ms",
    "schedule delay": "schedule_delay_ms",
}
"""Row of the table -> distribution of the figures."""
QUANTILES = ("p50", "p90", "p99", "max")
RATES = {
    "requests/s": "request_throughput",
    "output tokens/s": "output_token_throughput",
    "all tokens/s": "total_token_throughput",
    "goodput/s": "request_goodput",
}
KINDS_SHOWN = 5
STYLES = {"valid": "bold green", "invalid": "bold red"}
GAP = (0, 2, 0, 0)


class CheckRow(Frozen):
    """A check of the measurement: its value in `unit` (None: nothing to measure), the limit, the grade."""

    name: str
    value: float | None
    unit: str
    limit: float | None
    grade: Grade
    line: str

    @classmethod
    def of(cls, finding: Finding) -> "CheckRow":
        """The row of a finding."""
        check = finding.check
        unit = "share" if check.unit == "%" else check.unit
        return cls(
            name=check.name,
            value=finding.value,
            unit=unit,
            limit=finding.limit,
            grade=finding.grade,
            line=finding.line(),
        )


class Summary(Frozen):
    """A run and its figures, as `--json` prints it. `load`: the load in words; `recording` holds the run."""

    target: str
    load: str
    started_at: str
    workers: int
    verdict: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    exit_code: int
    figures: Figures
    slos: tuple[SloRow, ...] = ()
    goodput: str | None = None
    checks: tuple[CheckRow, ...]
    null_test: dict[str, float] | None = None
    name: str | None = None
    sweep: str | None = None
    recording: str | None = None
    run_id: int | None = None


def summary_of(
    plan: Plan, figures: Figures, judgement: Judgement, slos: Iterable[SloRow] = (), **about: object
) -> Summary:
    """The summary of a run; `about` are the other fields of `Summary`, `null_test` as a `ClientError`."""
    rows = tuple(slos)
    null_test = about.pop("null_test", None)
    values = {"load": load_of(plan), "workers": plan.workers, "target": plan.target} | about
    return Summary.model_validate(
        values
        | {
            "figures": figures,
            "verdict": judgement.verdict,
            "reasons": judgement.reasons,
            "warnings": judgement.warnings,
            "exit_code": exit_code(judgement, figures, rows),
            "slos": rows,
            "checks": tuple(map(CheckRow.of, judgement.findings)),
            "null_test": asdict(null_test) if isinstance(null_test, ClientError) else None,
        }
    )


def load_of(plan: Plan) -> str:
    """The load of a plan in words, as far as the plan knows it."""
    loop = plan.loop
    if isinstance(loop, Closed):
        return f"{loop.concurrency} at once"
    return "open loop" if loop.most_open is None else f"open loop, {loop.most_open} at once at most"


def digits(value: float | None) -> str:
    """A figure with three digits that matter.

    >>> digits(None), digits(0.0), digits(0.0461), digits(1234.4), digits(12.34)
    ('-', '0', '0.046', '1,234', '12.3')
    """
    if not value:
        return "-" if value is None else "0"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3}f}"


def closing(summary: Summary) -> RenderableType:
    """The closing table."""
    figures = summary.figures
    return Group(
        verdict(summary),
        counts(figures),
        Text(),
        latencies(figures),
        Text(),
        rates(figures),
        *gpu_lines(figures),
        *slo_lines(summary),
        *broken_rules(figures),
        client(summary),
    )


def verdict(summary: Summary) -> Text:
    """VALID or INVALID, why, and what to know."""
    text = Text(summary.verdict.upper(), style=STYLES[summary.verdict])
    about = " · ".join(filter(None, [summary.name, summary.load, summary.target]))
    text.append(f"  {visible(about)}", style="default not bold")
    for reason in summary.reasons:
        text.append(f"\n  {visible(reason)}", style="red not bold")
    for warning in summary.warnings:
        text.append(f"\n  warning: {visible(warning)}", style="yellow not bold")
    return text


def counts(figures: Figures) -> Text:
    """How many requests, how long, and the failures by kind."""
    warm = f", after {figures.warmup_requests:,} to warm up" if figures.warmup_requests else ""
    text = Text(f"{figures.requests:,} requests in {digits(figures.window_s)} s{warm}: ")
    text.append(f"{figures.successes:,} succeeded, ")
    text.append(f"{figures.failures:,} failed", style="bold red" if figures.failures else "")
    if figures.failures:
        text.append(f" ({percent(figures.error_rate)}): {kinds(figures)}")
    return text


def kinds(figures: Figures) -> str:
    """Failures by kind, the most frequent first."""
    told = [f"{visible(kind)} {count:,}" for kind, count in list(figures.errors.items())[:KINDS_SHOWN]]
    more = len(figures.errors) - len(told)
    return ", ".join([*told, *([f"{more} kinds more"] if more else [])])


def percent(value: float | None) -> str:
    """A share as percent."""
    return "-" if value is None else f"{digits(value * 100)} %"


def latencies(figures: Figures) -> Table:
    """A row a time, its quantiles in ms; times that the run cannot tell have no row."""
    table = plain_table("ms", *QUANTILES, "of")
    for title, name in LATENCIES.items():
        spread: Spread | None = getattr(figures, name)
        if spread:
            values = [digits(getattr(spread, quantile)) for quantile in QUANTILES]
            table.add_row(Text(title), *map(Text, values), Text(f"{spread.count:,}{of_what(name, figures)}"))
    return table


def of_what(name: str, figures: Figures) -> str:
    """What a distribution's count counts, where it is not all successes."""
    if name == "itl_ms" and figures.itl_requests < figures.streams:
        return f" gaps of {figures.itl_requests:,} of {figures.streams:,} streams"
    return " gaps" if name in {"icl_ms", "itl_ms"} else ""


def rates(figures: Figures) -> Text:
    """The rates that are known, on one line."""
    known = {title: getattr(figures, name) for title, name in RATES.items()}
    told = [f"{digits(value)} {title}" for title, value in known.items() if value is not None]
    if figures.slo_attainment is not None:
        told.append(f"{percent(figures.slo_attainment)} good")
    told.append(f"{digits(figures.concurrency_mean)} at once on average, {figures.concurrency_max:,} at most")
    return Text(" · ".join(told))


def gpu_lines(figures: Figures) -> list[Text]:
    """What cards did meanwhile, where somebody looked."""
    told = [] if figures.gpu is None else gpu.lines(gpu.of_object(figures.gpu))
    return [Text(visible(line)) for line in told]


def slo_lines(summary: Summary) -> list[Text]:
    """What was asked for, and whether it was met."""
    return [
        Text.assemble(
            ("met     " if slo.met else "NOT MET ", "green" if slo.met else "bold red"),
            f"{visible(slo.asked)}: ",
            "no data" if slo.got is None else f"{digits(slo.got)} {slo.unit}",
        )
        for slo in summary.slos
    ]


def broken_rules(figures: Figures) -> list[Text]:
    """The rules of streams that were broken, most often broken first; none where nobody checked."""
    if figures.violations is None:
        return []
    if not figures.violations:
        return [Text("no answer breaks a rule of streams", style="green")]
    return [
        Text(f"rule broken in {n:,} answers: {rule}", style="red") for rule, n in figures.violations.items()
    ]


def client(summary: Summary) -> Text:
    """The client's own error."""
    figures, test = summary.figures, summary.null_test
    stamps = ", ".join(f"{count:,} by the {who}" for who, count in figures.stamps.items()) or "none"
    told = f"client: answers stamped {stamps}, error up to {digits(figures.stamp_error_us)} us"
    if test:
        told += f"; null test p50 {digits(test['p50_us'])}, p99 {digits(test['p99_us'])} us"
    again = next((check.value for check in summary.checks if check.name == "retried"), None)
    if again:
        told += f"; {again:,.0f} sent again, since their kept connection was closed"
    return Text(told, style="dim")


def plain_table(*titles: str) -> Table:
    """A table without lines, its first column to the left and the others to the right."""
    table = Table(box=None, pad_edge=False, padding=GAP, header_style="bold")
    for number, title in enumerate(titles):
        table.add_column(title, justify="right" if number else "left", no_wrap=True)
    return table


SWEPT: Mapping[str, tuple[str, str | None]] = {
    "ttft_p50_ms": ("ttft_ms", "p50"),
    "ttft_p99_ms": ("ttft_ms", "p99"),
    "icl_p50_ms": ("icl_ms", "p50"),
    "icl_p99_ms": ("icl_ms", "p99"),
    "tokens_per_s": ("output_token_throughput", None),
    "requests_per_s": ("request_throughput", None),
    "goodput_per_s": ("request_goodput", None),
    "e2e_p99_ms": ("e2el_ms", "p99"),
    "scheduled_e2e_p99_ms": ("e2el_scheduled_ms", "p99"),
    "tpot_p50_ms": ("tpot_ms", "p50"),
    "tokens_per_joule": ("gpu", "output_tokens_per_joule"),
}
"""Column of a sweep -> the figure, and its statistic; the most wanted first."""


def sweep_rows(summaries: Sequence[Summary]) -> list[dict[str, float | str | None]]:
    """A row a run: its load, verdict and counts, and the figures of `SWEPT`; what no run has is left out."""
    cells = [
        {name: cell_of(summary.figures, *where) for name, where in SWEPT.items()} for summary in summaries
    ]
    kept = [name for name in SWEPT if any(row[name] is not None for row in cells)]
    return [
        {
            "load": summary.load,
            "verdict": summary.verdict.upper(),
            "requests": summary.figures.requests,
            "failed": summary.figures.failures,
            **{name: row[name] for name in kept},
        }
        for summary, row in zip(summaries, cells, strict=True)
    ]


def cell_of(figures: Figures, name: str, statistic: str | None) -> float | None:
    """A figure, or a statistic of a distribution."""
    found: Spread | dict[str, Any] | float | None = getattr(figures, name)
    if isinstance(found, Spread):
        value: float = getattr(found, statistic or "mean")
        return value
    return found.get(statistic or "") if isinstance(found, dict) else found
