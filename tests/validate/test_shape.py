"""Shapes: what a schema can tell apart has different shapes, and what it cannot, the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from harness.validate.shape import MANY, shape, words_of

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["kind", "n"],
    "properties": {
        "kind": {"enum": ["a", "b", None]},
        "n": {"type": "integer", "minimum": 0},
        "x": {"anyOf": [{"type": "number"}, {"const": True}]},
        "list": {"type": "array", "items": {"type": ["string", "null"]}},
        "free": {"type": "object"},
    },
}
WORDS = words_of(SCHEMA)
LEAF = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.sampled_from(["a", "b", "c", ""])
)
VALUE = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "n", "x", "list", "free"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.lists(VALUE, min_size=2, max_size=30))
def test_values_of_one_shape_are_valid_or_not_together(values: list[Any]) -> None:
    validator = Draft202012Validator(SCHEMA)
    verdicts: dict[Any, bool] = {}
    for value in values:
        verdict = validator.is_valid(value)
        assert verdicts.setdefault(shape(value, WORDS), verdict) is verdict


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True), (0, False), (1, 0), (1, -1), (1, 1.5), (1.5, -1.5), (None, 0), ("a", "b"), ("a", "text"),
        ([], {}), ([1], {"a": 1}), ([1], [[1]]), ({"a": 1}, {"b": 1}), ([1, "t"], ["t", 1]), ("text", 2),
    ],
)  # fmt: skip
def test_what_a_schema_tells_apart_has_another_shape(one: object, other: object) -> None:
    assert shape(one, WORDS) != shape(other, WORDS)


@pytest.mark.parametrize(
    ("one", "other"),
    [("some text", "other text"), (7, 1234567), (1, 1.0), (0, -0.0), (2.5, 0.1), ({"a": "x"}, {"a": "y"})],
)
def test_what_a_schema_cannot_tell_apart_has_one_shape(one: object, other: object) -> None:
    assert shape(one, WORDS) == shape(other, WORDS)


def test_a_long_list_of_equal_shapes_is_short() -> None:
    assert len(shape([0.5] * 1536, WORDS)) == 2  # type: ignore[arg-type]
    assert shape([0.5] * 1536 + ["a"], WORDS) != shape([0.5] * 1536, WORDS)
    assert shape([1] * MANY, WORDS) != shape([1] * (MANY - 1), WORDS)


def test_words_are_those_of_enums_and_constants_only() -> None:
    schema = {"properties": {"enum": {"const": "c"}, "t": {"enum": ["x", 1, None]}}, "required": ["no"]}
    assert words_of(schema) == {"c", "x"}
