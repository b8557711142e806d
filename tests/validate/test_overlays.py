from copy import deepcopy
from typing import Any

import pytest
from pydantic import ValidationError

from harness.validate.overlays import Overlay, Rule, apply

DOCUMENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
        "usage": {"type": ["null", "object"], "if": {"type": "object"}, "then": {"$ref": "#/$defs/Usage"}},
        "owner": {"$ref": "#/$defs/Usage"},
        "kind": {"type": "string", "enum": ["a"]},
        "free": {"type": "string"},
        "part": {
            "type": "object",
            "allOf": [
                {
                    "if": {
                        "type": "object",
                        "properties": {"type": {"enum": ["x", "y"]}},
                        "required": ["type"],
                    },
                    "then": {"$ref": "#/$defs/Item"},
                },
                {"if": {"type": "object", "not": {"required": ["type"]}}, "then": {"$ref": "#/$defs/Usage"}},
            ],
        },
    },
    "required": ["kind"],
    "$defs": {
        "Item": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        "Usage": {"type": "object", "properties": {"tokens": {"type": "integer"}}},
    },
}


def changed(**rule: Any) -> dict[str, Any]:
    document = deepcopy(DOCUMENT)
    apply(document, Rule(schemas=("x",), **rule))
    return document


@pytest.mark.parametrize(
    ("at", "where"),
    [
        ("", []),
        ("items/*", ["$defs", "Item"]),
        ("usage", ["$defs", "Usage"]),
        ("owner", ["$defs", "Usage"]),
        ("part/type=x", ["$defs", "Item"]),
        ("part/type=*", ["$defs", "Item"]),
        ("part/type=", ["$defs", "Usage"]),
    ],
)
def test_a_rule_is_found_at_its_place_in_messages(at: str, where: list[str]) -> None:
    found = changed(at=at, members={"new": {"type": "string"}})
    expected = deepcopy(DOCUMENT)
    place = expected
    for step in where:
        place = place[step]
    place["properties"]["new"] = {"type": "string"}
    assert found == expected


@pytest.mark.parametrize(
    ("rule", "what", "expected"),
    [
        ({"require": ["free", "kind"]}, "required", ["free", "kind"]),
        ({"openai_only": ["free"]}, "required", ["free", "kind"]),
        ({"openai_only": ["free"]}, "x-openai-only", ["free"]),
        ({"optional": ["kind"]}, "required", None),
    ],
)
def test_what_is_required(rule: dict[str, Any], what: str, expected: object) -> None:
    assert changed(**rule).get(what) == expected


@pytest.mark.parametrize(
    ("rule", "member", "expected"),
    [
        ({"allow": {"free": ["null"]}}, "free", {"type": ["null", "string"]}),
        ({"allow": {"kind": ["null"]}}, "kind", {"type": ["null", "string"], "enum": ["a", None]}),
        (
            {"allow": {"owner": ["null"]}},
            "owner",
            {"type": ["null", "object"], "if": {"type": "object"}, "then": {"$ref": "#/$defs/Usage"}},
        ),
        ({"values": {"kind": ["", "a"]}}, "kind", {"type": "string", "enum": ["", "a"]}),
        ({"values": {"free": ["x"]}}, "free", {"type": "string"}),
        ({"members": {"kind": {"type": "integer"}}}, "kind", {"type": "integer"}),
    ],
)
def test_what_a_member_may_be(rule: dict[str, Any], member: str, expected: object) -> None:
    assert changed(**rule)["properties"][member] == expected


@pytest.mark.parametrize(
    "rule",
    [
        {"at": "nowhere", "require": ["id"]},
        {"at": "items/id", "require": ["id"]},
        {"at": "part/type=z", "require": ["id"]},
        {"at": "part/role=x", "require": ["id"]},
        {"allow": {"nothing": ["null"]}},
        {"values": {"nothing": ["a"]}},
    ],
)
def test_a_place_that_is_not_there_is_an_error(rule: dict[str, Any]) -> None:
    with pytest.raises(LookupError):
        changed(**rule)


@pytest.mark.parametrize(
    "rule",
    [
        {"at": "x"},
        {"schemas": ["a"], "requires": ["b"]},
        {"schemas": ["a"], "members": {"b": {"type": "text"}}},
        {"schemas": ["a"], "members": {"b": {"pattern": "x"}}},
        {"schemas": ["a"], "members": {"b": {"$ref": "#/$defs/C"}}},
    ],
)
def test_a_rule_that_means_nothing_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Overlay.model_validate({"rules": [rule]})
