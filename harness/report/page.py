"""The page of a report: one HTML file that needs no network, and in which nothing but ours runs.

The law of this file: text reaches the page escaped by Jinja, or as JSON in a data block without any
character that HTML or JavaScript could take for markup; a Content-Security-Policy allows the two scripts
and the one style sheet of this package by their hashes, and nothing else: no network, no images, no forms.
"""

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness import __version__
from harness.report import words
from harness.report.model import Comparison, ProbeReport, RecordingReport, Report, RunReport

HERE = Path(__file__).parent
STATIC = HERE / "static"
SCRIPTS = ("uPlot.iife.min.js", "report.js")
STYLES = ("uPlot.min.css", "report.css")
ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}
"""What may not stand in a data block as it is; in JSON these are in strings alone."""
NOT_DRAWN = {
    "a": {"waterfall": True, "lanes": True, "about": True},
    "b": {"waterfall": True, "lanes": True, "about": True},
}
"""Of a comparison, what its charts do not show."""


def page(report: Report) -> str:
    """The HTML of a report."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        digits=words.digits,
        whole=words.whole,
        percent=words.percent,
        change=words.change,
        signed=words.signed,
        bounds=words.bounds,
    )
    environment.globals.update(
        with_unit=words.with_unit, got=words.got, check_value=words.check_value, check_limit=words.check_limit
    )
    scripts, style = [text_of(name) for name in SCRIPTS], "\n".join(map(text_of, STYLES))
    return environment.get_template(f"{report.kind}.html.j2").render(
        report=report,
        title=title_of(report),
        policy=policy_of(scripts, style),
        scripts=scripts,
        style=style,
        data=data_block(report),
        version=__version__,
    )


def text_of(name: str) -> str:
    """A static file."""
    return (STATIC / name).read_text(encoding="utf-8")


def title_of(report: Report) -> str:
    """What the page is called."""
    if isinstance(report, RecordingReport):
        return f"Recording {report.file}"
    if isinstance(report, RunReport):
        return f"Load run {named(report)}"
    if isinstance(report, ProbeReport):
        return f"Probe of {report.gateway}"
    return f"Load runs {named(report.a)} and {named(report.b)}"


def named(report: RunReport) -> str:
    """A run as people call it."""
    about = report.about
    return f"{about.name or about.file} · {about.load}"


def data_block(report: Report) -> str:
    """The document as JSON that can stand inside a script element."""
    left_out = NOT_DRAWN if isinstance(report, Comparison) else None
    document = report.model_dump(mode="json", exclude=left_out)
    return json.dumps(document, separators=(",", ":")).translate(ESCAPES)


def policy_of(scripts: list[str], style: str) -> str:
    """The Content-Security-Policy: what we bundle, by hash."""
    hashes = " ".join(map(hash_of, scripts))
    return (
        f"default-src 'none'; script-src {hashes}; style-src {hash_of(style)}; "
        "base-uri 'none'; form-action 'none'"
    )


def hash_of(text: str) -> str:
    """The hash of an inline element, as a policy names it (https://www.w3.org/TR/CSP3/#grammardef-hash-source)."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
