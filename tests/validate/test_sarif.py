"""The SARIF log has the published structure, and says where to look."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from harness.validate.finding import Profile
from harness.validate.report import Report
from harness.validate.sarif import SAYS, sarif_log, uri_of

STRING, INTEGER = {"type": "string"}, {"type": "integer", "minimum": -1}


def closed(required: str = "", **properties: Any) -> dict[str, Any]:
    """The schema of an object with no other properties."""
    return {
        "type": "object",
        "properties": properties | {"properties": {"type": "object"}},
        "required": required.split(),
        "additionalProperties": False,
    }


def many(schema: dict[str, Any], *, different: bool = False) -> dict[str, Any]:
    """The schema of an array."""
    return {"type": "array", "items": schema, "uniqueItems": different}


MESSAGE = closed("text", text=STRING)
ARTIFACT = closed(uri={"type": "string", "pattern": r"^[!#-;=?-Z_a-z~%]*$"}, uriBaseId=STRING, index=INTEGER)
LOGICAL = closed(name=STRING, fullyQualifiedName=STRING, kind=STRING, index=INTEGER, parentIndex=INTEGER)
LOCATION = closed(
    physicalLocation=closed(artifactLocation=ARTIFACT),
    logicalLocations=many(LOGICAL, different=True),
    message=MESSAGE,
)
RESULT = closed(
    "message",
    ruleId=STRING,
    ruleIndex=INTEGER,
    level={"enum": ["none", "note", "warning", "error"]},
    message=MESSAGE,
    locations=many(LOCATION),
    occurrenceCount={"type": "integer", "minimum": 1},
    partialFingerprints={"type": "object", "additionalProperties": STRING},
)
RULE = closed("id", id=STRING, shortDescription=MESSAGE)
DRIVER = closed("name", name=STRING, version=STRING, rules=many(RULE, different=True))
RUN = closed(
    "tool",
    tool=closed("driver", driver=DRIVER),
    invocations=many(closed("executionSuccessful", executionSuccessful={"type": "boolean"})),
    artifacts=many(
        closed(location=ARTIFACT, roles=many({"enum": ["analysisTarget"]}, different=True)), different=True
    ),
    results=many(RESULT),
)
LOG = closed("version runs", version={"enum": ["2.1.0"]}, runs=many(RUN)) | {"$defs": {}}
LOG["properties"]["$schema"] = STRING
"""The part of sarif-schema-2.1.0.json (OASIS, errata 01) that is about what we write."""


@pytest.fixture
def log(report: Report) -> Any:
    """The log of the report, as a reader gets it."""
    return json.loads(json.dumps(sarif_log(report, Path("recordings/a b.db"))))


def test_it_has_the_published_structure(log: Any) -> None:
    Draft202012Validator.check_schema(LOG)
    assert [error.json_path for error in Draft202012Validator(LOG).iter_errors(log)] == []
    damaged = json.loads(json.dumps(log).replace('"level": "error"', '"level": "fatal"'))
    assert len(list(Draft202012Validator(LOG).iter_errors(damaged))) == 1


def test_results_are_groups(log: Any) -> None:
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [(one["level"], one["ruleId"], one["occurrenceCount"]) for one in run["results"]] == [
        ("error", "schema.type", 3),
        ("warning", "chat.constant-id", 1),
        ("note", "schema.unknown-value", 1),
    ]
    assert [rules[one["ruleIndex"]] for one in run["results"]] == [one["ruleId"] for one in run["results"]]
    assert run["results"][0]["message"]["text"] == "event /choices/*/text: null instead of string"
    assert run["properties"] == {
        "profile": "compatible", "verdict": "failed", "exchanges": 3, "notChecked": 1,
    }  # fmt: skip


def test_locations_are_the_file_and_the_place_in_it(log: Any) -> None:
    (location,) = log["runs"][0]["results"][0]["locations"]
    assert location["physicalLocation"]["artifactLocation"] == {"uri": "recordings/a%20b.db", "index": 0}
    assert [(one["kind"], one["fullyQualifiedName"]) for one in location["logicalLocations"]] == [
        ("property", "exchange 7/event 1/choices/1/text"),
        ("element", "exchange 7/event 1"),
        ("resource", "exchange 7"),
    ]


def test_the_same_group_has_the_same_fingerprint_in_every_file(log: Any, report: Report) -> None:
    other = sarif_log(report, Path("/tmp/other.db"))
    prints = [[one["partialFingerprints"] for one in made["runs"][0]["results"]] for made in (log, other)]
    assert prints[0] == prints[1]
    assert len({one["group/v1"] for one in prints[0]}) == 3


def test_nothing_found(log: Any) -> None:
    empty = sarif_log(Report(Profile.STRICT), Path("a.db"))
    assert empty["runs"][0]["results"] == []
    assert Draft202012Validator(LOG).is_valid(empty)


def test_every_rule_says_something() -> None:
    assert all(SAYS.values())
    assert {"schema.missing", "chat.one-done"} <= SAYS.keys()


def test_absolute_paths_are_file_uris() -> None:
    assert uri_of(Path("/a b/c.db")) == "file:///a%20b/c.db"
