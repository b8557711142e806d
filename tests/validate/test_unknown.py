"""Unknown fields: at every depth, in the branch that is meant, and none where an object is open."""

from typing import Any

import pytest

from harness.validate.unknown import unknown_fields

SCHEMA: dict[str, Any] = {
    "properties": {
        "known": {"type": "string"},
        "free": {"type": "object"},
        "map": {"type": "object", "additionalProperties": {"$ref": "#/$defs/leaf"}},
        "list": {"type": "array", "items": {"$ref": "#/$defs/leaf"}},
        "one": {"$ref": "#/$defs/one"},
        "both": {"allOf": [{"properties": {"x": {}}}, {"properties": {"y": {}}}]},
    },
    "$defs": {
        "leaf": {"type": "object", "properties": {"v": {"type": "integer"}}},
        "one": {
            "type": ["object", "null"],
            "properties": {"type": {"enum": ["a", "b"]}},
            "allOf": [
                {"if": {"properties": {"type": {"enum": ["a"]}}}, "then": {"properties": {"a": {}}}},
                {"if": {"properties": {"type": {"enum": ["b"]}}}, "then": {"properties": {"b": {}}}},
            ],
        },
    },
}
CASES: dict[str, tuple[Any, list[str]]] = {
    "known": ({"known": "x"}, []),
    "unknown": ({"known": "x", "new": 1}, ["/new"]),
    "open object": ({"free": {"anything": {"goes": 1}}}, []),
    "map": ({"map": {"any": {"v": 1}, "name": {"w": 1}}}, ["/map/name/w"]),
    "list": ({"list": [{"v": 1}, {"v": 1, "w": 2}]}, ["/list/1/w"]),
    "branch that is meant": ({"one": {"type": "b", "b": 1, "a": 1}}, ["/one/a"]),
    "no branch is meant": ({"one": {"type": "c", "b": 1, "a": 1, "c": 1}}, []),
    "all of": ({"both": {"x": 1, "y": 1}}, []),
    "other type": ({"list": {"w": 1}, "one": 5}, []),
    "no object": ([1], []),
}


@pytest.mark.parametrize(("instance", "expected"), CASES.values(), ids=CASES)
def test_members_that_the_schema_does_not_name_are_found(instance: Any, expected: list[str]) -> None:
    assert [problem.pointer for problem in unknown_fields(SCHEMA, SCHEMA, instance)] == expected
