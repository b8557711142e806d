from typing import Any

import pytest

from harness.validate.forms import DIALECT, applying, choice, fault, target

OBJECT: dict[str, Any] = {"type": "object"}
BY_TYPE: dict[str, Any] = {
    "type": ["object", "string"],
    "allOf": [
        {"if": {"type": "string"}, "then": {"enum": ["all"]}},
        {
            "if": {"type": "object", "properties": {"type": {"enum": ["a", "b"]}}, "required": ["type"]},
            "then": {"$ref": "#/$defs/A"},
        },
        {"if": {"type": "object", "not": {"required": ["type"]}}, "then": {"$ref": "#/$defs/B"}},
    ],
}
DOCUMENT: dict[str, Any] = {
    "$schema": DIALECT,
    "$ref": "#/$defs/Root",
    "$defs": {"Root": BY_TYPE, "A": {"properties": {"x": {}}}, "B": {"$ref": "#/$defs/A"}},
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("all", [BY_TYPE, {"enum": ["all"]}]),
        ({"type": "a"}, [BY_TYPE, {"properties": {"x": {}}}]),
        ({}, [BY_TYPE, {"properties": {"x": {}}}]),
        ({"type": "unknown"}, [BY_TYPE]),
        ({"type": []}, [BY_TYPE]),
        ([], [BY_TYPE]),
        (1, [BY_TYPE]),
    ],
)
def test_which_schemas_apply_to_a_value(value: object, expected: list[object]) -> None:
    assert list(applying(DOCUMENT, DOCUMENT, value)) == expected


def test_alternatives_are_read_from_their_conditions() -> None:
    found = choice(target(DOCUMENT, DOCUMENT))
    assert found is not None
    assert found.member == "type"
    assert found.branches == {"a": {"$ref": "#/$defs/A"}, "b": {"$ref": "#/$defs/A"}}
    assert found.absent == {"$ref": "#/$defs/B"}
    assert choice({"type": "object", "if": {"type": "object"}, "then": {}}) is None


def test_a_sound_document_has_no_fault() -> None:
    assert fault(DOCUMENT) is None


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ([], "'$schema'"),
        ({"type": "object"}, "'$schema'"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "'$schema'"),
        ({"$schema": DIALECT, "$defs": []}, "'$defs'"),
        ({"$schema": DIALECT, "$ref": "#/$defs/Gone"}, "#/$defs/Gone"),
        ({"$schema": DIALECT, "$defs": {"A": []}}, "no object"),
        ({"$schema": DIALECT, "anyOf": [OBJECT]}, "'anyOf'"),
        ({"$schema": DIALECT, "pattern": "x"}, "'pattern'"),
        ({"$schema": DIALECT, "minimum": 1}, "'minimum'"),
        ({"$schema": DIALECT, "type": "text"}, "'type'"),
        ({"$schema": DIALECT, "enum": [1]}, "'enum'"),
        ({"$schema": DIALECT, "enum": [True]}, "'enum'"),
        ({"$schema": DIALECT, "enum": []}, "'enum'"),
        ({"$schema": DIALECT, "required": "id"}, "'required'"),
        ({"$schema": DIALECT, "additionalProperties": False}, "'additionalProperties'"),
        ({"$schema": DIALECT, "properties": {"a": {"items": {"maxItems": 2}}}}, "'maxItems'"),
        ({"$schema": DIALECT, "if": {"properties": {"a": {"enum": ["x"]}}}, "then": {}}, "'if'"),
        ({"$schema": DIALECT, "if": {"type": "object", "minProperties": 1}, "then": {}}, "'if'"),
        ({"$schema": DIALECT, "if": {"type": "array"}, "then": {}}, "'if'"),
        ({"$schema": DIALECT, "if": {"type": "object", "properties": {"a": {"type": "null"}}}}, "'if'"),
    ],
)
def test_a_fault_is_named(damage: object, found: str) -> None:
    assert found in (fault(damage) or "")
