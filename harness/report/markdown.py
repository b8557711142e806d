"""The short summary of a report in Markdown, for a pull request.

The law of this file: text of others stands in code spans, which make no table cell, link, tag or mention.
"""

import re

from harness.report import words
from harness.report.model import (
    CaptureReport,
    Comparison,
    ProbeReport,
    RecordingReport,
    Report,
    RunReport,
    Verdict,
)

SPECIAL = re.compile(r"([\\`*_\[\]<>#|~@&])")
SIGNS = {"valid": "✅ VALID", "invalid": "❌ INVALID", "unjudged": "⚠️ UNJUDGED"}
OUTCOMES = {"passed": "✅ PASSED", "failed": "❌ FAILED"}
VERDICTS = {"pass": "pass", "fail": "**fail**"}
SWEEP = {
    "tokens/s": "tokens_per_s",
    "TTFT p50 ms": "ttft_p50_ms",
    "TTFT p99 ms": "ttft_p99_ms",
    "ICL p50 ms": "icl_p50_ms",
    "energy J": "energy_j",
    "tokens/J": "tokens_per_joule",
}
"""Titles of a sweep's columns, and the fields of its steps."""
MOST_KINDS = 5
type Cells = tuple[str, ...]


def markdown(report: Report) -> str:
    """The summary of a report, which ends with a line feed."""
    if isinstance(report, RunReport):
        parts = run_parts(report)
    elif isinstance(report, Comparison):
        parts = comparison_parts(report)
    elif isinstance(report, ProbeReport):
        parts = probe_parts(report)
    else:
        parts = recording_parts(report)
    return "\n\n".join(part for part in parts if part) + "\n"


def code(text: str) -> str:
    """Text of others as a code span.

    >>> code("a`b")
    "`a'b`"
    """
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def plain(text: str) -> str:
    """Text of ours that Markdown shows as it is.

    >>> plain("<b>|@x")
    '\\\\<b\\\\>\\\\|\\\\@x'
    """
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def table(*rows: Cells, left: int = 1) -> str:
    """A table, its first row the titles; the first `left` columns to the left, the others to the right."""
    rule = tuple("---" if place < left else "---:" for place in range(len(rows[0])))
    shown = [[cell.replace("|", "\\|") for cell in cells] for cells in (rows[0], rule, *rows[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in shown)


def verdict_line(verdict: Verdict, about: str) -> str:
    """The verdict, what it is of, and why."""
    reasons = [f"- {plain(line)}" for line in verdict.reasons]
    warnings = [f"- warning: {plain(line)}" for line in verdict.warnings]
    return "\n".join([f"**{SIGNS[verdict.verdict]}** {about}", "", *reasons, *warnings]).rstrip()


def about_of(report: RunReport) -> str:
    """A run in words."""
    about = report.about
    models = ", ".join(map(code, about.models))
    return " · ".join(filter(None, (about.name and code(about.name), about.load, code(about.target), models)))


def run_parts(report: RunReport) -> list[str]:
    """What is told of a run."""
    figures = report.figures or {}
    rows = [
        (
            d.title,
            *(words.digits(getattr(d.spread, q)) for q in ("p50", "p90", "p99", "max")),
            words.whole(d.spread.count),
        )
        for d in report.latencies
    ]
    rates = [
        f"{words.digits(figures[name])} {unit}"
        for name, unit in (
            ("request_throughput", "requests/s"),
            ("output_token_throughput", "output tokens/s"),
        )
        if figures.get(name) is not None
    ]
    if report.gpu and report.gpu.tokens_per_joule is not None:
        rates.append(f"{words.digits(report.gpu.tokens_per_joule)} tokens a joule")
    slos = [(code(slo.asked), words.got(slo), "met" if slo.met else "**not met**") for slo in report.slos]
    return [
        verdict_line(report.verdict, about_of(report)),
        table(("ms", "p50", "p90", "p99", "max", "of"), *rows) if rows else "",
        " · ".join([*rates, failures_line(report)]),
        table(("asked", "came", "met"), *slos) if slos else "",
        sweep_table(report),
    ]


def sweep_table(report: RunReport) -> str:
    """The runs of a sweep, with tokens a joule where there is a GPU log; nothing of a run alone."""
    if len(report.sweep) < 2:
        return ""
    rows = [
        (step.load, step.verdict, *(words.digits(getattr(step, name)) for name in SWEEP.values()))
        for step in report.sweep
    ]
    return table(("load", "verdict", *SWEEP), *rows, left=2)


def failures_line(report: RunReport) -> str:
    """The failures by kind on one line."""
    if not report.failures:
        return "no failures"
    kinds = [
        f"{kind.outcome}{f' {code(kind.error)}' if kind.error else ''} {words.whole(kind.count)}"
        for kind in report.failures[:MOST_KINDS]
    ]
    more = len(report.failures) - len(kinds)
    total = sum(kind.count for kind in report.failures)
    return f"{words.whole(total)} failed: " + ", ".join([*kinds, *([f"{more} kinds more"] if more else [])])


def comparison_parts(report: Comparison) -> list[str]:
    """What is told of two runs."""
    rows = [
        (
            row.title,
            words.with_unit(row.a, row.unit),
            words.with_unit(row.b, row.unit),
            change_cell(row.change, row.better),
        )
        for row in report.differences
    ]
    return [
        "\n".join(
            f"- {name}: **{SIGNS[run.verdict.verdict]}** {about_of(run)}"
            for name, run in (("A", report.a), ("B", report.b))
        ),
        "\n".join(f"- {plain(line)}" for line in report.caution),
        table(("figure", "A", "B", "change"), *rows),
    ]


def change_cell(share: float | None, better: bool | None) -> str:
    """A change, and whether it is good."""
    sign = {True: " 🟢", False: " 🔴", None: ""}[better]
    return words.change(share) + sign


def recording_parts(report: RecordingReport) -> list[str]:
    """What is told of a recording."""
    rows = [
        (
            f"{code(model.model)} {model.dialect}",
            words.whole(model.exchanges),
            *(
                words.digits(getattr(d.spread, q)) if d else words.NOTHING
                for d in (model.ttft, model.icl)
                for q in ("p50", "p99")
            ),
            words.digits(model.tokens_per_s),
        )
        for model in report.models
    ]
    titles = ("model", "exchanges", "TTFT p50 ms", "TTFT p99 ms", "ICL p50 ms", "ICL p99 ms", "tokens/s")
    return [
        f"{exchanges(report.exchanges)} in {code(report.file)}",
        table(titles, *rows) if rows else "",
        "\n".join(map(capture_line, report.captures)),
    ]


def exchanges(count: int) -> str:
    """How many exchanges.

    >>> exchanges(1), exchanges(1234)
    ('1 exchange', '1,234 exchanges')
    """
    return f"{words.whole(count)} exchange{'' if count == 1 else 's'}"


def capture_line(capture: CaptureReport) -> str:
    """What the cards took beside a capture."""
    gpu = capture.gpu
    told = [words.with_unit(gpu.energy_j, "J"), f"{words.digits(gpu.tokens_per_joule)} tokens a joule"]
    return f"- capture {capture.id}: {exchanges(capture.exchanges)}, {', '.join(told)}"


def probe_parts(report: ProbeReport) -> list[str]:
    """What is told of a gateway."""
    outcome = OUTCOMES.get(report.outcome, f"⚠️ {report.outcome.upper()}")
    rows = [
        (row.behaviour, VERDICTS.get(row.verdict, row.verdict), code(row.evidence))
        for row in report.conformance
    ]
    added = [
        (
            str(level.concurrency),
            ADDED_TO[one.kind],
            one.quantile,
            words.digits(one.direct_ms),
            words.digits(one.gateway_ms),
            words.signed(one.added_ms),
            words.bounds(one),
        )
        for level in report.levels
        for one in level.added
    ]
    titles = ("at once", "of", "quantile", "direct ms", "gateway ms", "added ms", "with 95 %")
    return [
        f"**{outcome}** {code(report.gateway)} with {code(report.recording)}: {plain(report.reason)}",
        table(("behaviour", "verdict", "seen"), *rows, left=3) if rows else "",
        table(titles, *added, left=3) if added else "",
    ]


ADDED_TO = {"ttft": "TTFT", "events": "each event"}
