"""A report as SARIF 2.1.0, which code hosts and editors read.

Format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html. A result is a group of
findings; its location is the recording, and inside of it exchange, event and JSON pointer of the example.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness import __version__
from harness.validate.finding import Severity
from harness.validate.report import Group, Report
from harness.validate.rules import RULES

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.DRIFT: "note"}
SAYS: Mapping[str, str] = {
    "schema.json": "a body that should be JSON is JSON",
    "schema.missing": "what the schema requires is there",
    "schema.type": "a value has the type that the schema names",
    "schema.value": "a value is in the range that the schema allows",
    "schema.unknown-value": "a value is one of those that the schema knows",
    "schema.unknown-field": "a member is one of those that the schema knows",
    **{rule.name: rule.says for rule in RULES},
}
"""Rule -> what is so where it is kept."""


def sarif_log(report: Report, recording: Path) -> dict[str, Any]:
    """The log of one run."""
    groups = report.groups()
    rules = list(dict.fromkeys(group.key.rule for group in groups))
    driver = {"name": "harness validate", "version": __version__, "rules": list(map(descriptor, rules))}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "invocations": [{"executionSuccessful": True}],
                "artifacts": [{"location": {"uri": uri_of(recording)}, "roles": ["analysisTarget"]}],
                "results": [result(group, rules, recording) for group in groups],
                "properties": {
                    "profile": report.profile.value,
                    "verdict": report.verdict.value,
                    "exchanges": report.exchanges,
                    "notChecked": report.not_checked,
                },
            }
        ],
    }


def descriptor(rule: str) -> dict[str, Any]:
    """A rule, as `reportingDescriptor` (section 3.49)."""
    return {"id": rule, "shortDescription": {"text": SAYS.get(rule, rule)}}


def result(group: Group, rules: list[str], recording: Path) -> dict[str, Any]:
    """A group, as `result` (section 3.27)."""
    key = group.key
    return {
        "ruleId": key.rule,
        "ruleIndex": rules.index(key.rule),
        "level": LEVELS[group.severity],
        "message": {"text": f"{key.part.value} {key.pointer}".strip() + f": {key.message}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": uri_of(recording), "index": 0}},
                "logicalLocations": logical_locations(group),
            }
        ],
        "occurrenceCount": group.times,
        "partialFingerprints": {"group/v1": fingerprint(group)},
        "properties": {"exchanges": group.exchanges, "host": key.call.host, "endpoint": key.call.endpoint},
    }


def logical_locations(group: Group) -> list[dict[str, Any]]:
    """Exchange, event and pointer of the example, from inside out (section 3.33)."""
    example = group.example
    steps = [("resource", f"exchange {example.exchange}")]
    if example.event is not None:
        steps.append(("element", f"event {example.event}"))
    if example.pointer:
        steps.append(("property", example.pointer))
    names = [name.strip("/") for _, name in steps]
    return [
        {"kind": kind, "name": name, "fullyQualifiedName": "/".join(names[: depth + 1])}
        for depth, (kind, name) in reversed(list(enumerate(steps)))
    ]


def fingerprint(group: Group) -> str:
    """What is the same for a group in every recording, so that readers can tell new from known."""
    text = "\n".join([*group.key.call, *map(str, group.key[1:])])
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def uri_of(path: Path) -> str:
    """A relative path as a relative URI, an absolute one as `file:`."""
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
