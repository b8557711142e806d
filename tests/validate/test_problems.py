"""Problems in words of our own: kind, pointer, and never the value."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from harness.validate.finding import Kind
from harness.validate.problems import problems

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id", "choices"],
    "x-openai-only": ["id"],
    "properties": {
        "id": {"type": "string"},
        "usage": {"$ref": "#/$defs/usage"},
        "choices": {"type": "array", "items": {"$ref": "#/$defs/choice"}},
        "item": {"$ref": "#/$defs/item"},
        "a/b": {"type": ["string", "null"]},
    },
    "$defs": {
        "usage": {
            "type": "object",
            "required": ["n"],
            "properties": {"n": {"type": "integer", "minimum": 0}},
        },
        "choice": {
            "type": "object",
            "properties": {"finish": {"type": ["string", "null"], "enum": ["stop", "length", None]}},
        },
        "item": {
            "type": "object",
            "properties": {"type": {"type": "string", "enum": ["text", "call"]}},
            "allOf": [
                {"if": {"properties": {"type": {"enum": ["text"]}}}, "then": {"required": ["text"]}},
                {"if": {"properties": {"type": {"enum": ["call"]}}}, "then": {"required": ["name"]}},
            ],
        },
    },
}
VALIDATOR = Draft202012Validator(SCHEMA)
GOOD: dict[str, Any] = {"id": "x", "choices": [{"finish": None}]}


def found(instance: Any, *, openai: bool = True) -> list[tuple[Kind, str, str]]:
    return [(one.kind, one.pointer, one.told(instance)) for one in problems(VALIDATOR, instance, openai)]


CASES: dict[str, tuple[Any, list[tuple[Kind, str, str]]]] = {
    "good": (GOOD, []),
    "missing": ({"id": "x"}, [(Kind.MISSING, "/choices", "required, but absent")]),
    "two missing": (
        {},
        [(Kind.MISSING, "/id", "required, but absent"), (Kind.MISSING, "/choices", "required, but absent")],
    ),
    "type": (GOOD | {"id": 1}, [(Kind.TYPE, "/id", "integer instead of string")]),
    "types": (GOOD | {"a/b": 1.5}, [(Kind.TYPE, "/a~1b", "number instead of string or null")]),
    "no object": ([], [(Kind.TYPE, "", "array instead of object")]),
    "negative": (GOOD | {"usage": {"n": -1}}, [(Kind.VALUE, "/usage/n", "breaks minimum 0")]),
    "numeric string": (GOOD | {"usage": {"n": "1"}}, [(Kind.TYPE, "/usage/n", "string instead of integer")]),
    "true for one": (GOOD | {"usage": {"n": True}}, [(Kind.TYPE, "/usage/n", "boolean instead of integer")]),
    "inside a union": (GOOD | {"usage": {}}, [(Kind.MISSING, "/usage/n", "required, but absent")]),
    "unknown word": (
        GOOD | {"choices": [{}, {"finish": "eos"}]},
        [(Kind.UNKNOWN_VALUE, "/choices/1/finish", "none of the known values: eos")],
    ),
    "unknown text": (
        GOOD | {"choices": [{"finish": "a secret prompt!"}]},
        [(Kind.UNKNOWN_VALUE, "/choices/0/finish", "none of the known values")],
    ),
    "wrong type of word": (
        GOOD | {"choices": [{"finish": 5}]},
        [(Kind.TYPE, "/choices/0/finish", "integer instead of string or null")],
    ),
    "branch by its constant": (
        GOOD | {"item": {"type": "call"}},
        [(Kind.MISSING, "/item/name", "required, but absent")],
    ),
}


@pytest.mark.parametrize(("instance", "expected"), CASES.values(), ids=CASES)
def test_every_kind_of_problem_is_told_by_kind_and_place(
    instance: Any, expected: list[tuple[Kind, str, str]]
) -> None:
    assert found(instance) == expected


def test_what_only_openai_always_sends_is_missing_only_there() -> None:
    assert [kind for kind, _, _ in found({"choices": []})] == [Kind.MISSING]
    assert [kind for kind, _, _ in found({"choices": []}, openai=False)] == [Kind.OPENAI_ONLY]
