"""The forms that the schemas of this project take, and how they are read.

The law of this file: schemas are JSON Schema 2020-12 with these keywords alone:

- `type`, `enum` (of strings and null), `minimum`, `items`, `properties`, `required`,
  `additionalProperties` (a schema), `$ref` into the same document, `$defs`;
- `if` and `then`, alone or as the elements of `allOf`, where the condition asks for the `type` `object`
  or `string`, and of an object for the value of one member (`properties` with `enum`, `required`), or
  whether a member is there (`required`, `not` with `required`);
- `x-openai-only`: members of `required` that OpenAI always sends and others leave out. To a
  validator it means nothing.

There is no `anyOf`: an alternative is chosen by type or by a member's value, so whatever a validator
reports is of the one branch that was meant. There is no `pattern`, `format`, length or range beyond
`minimum`: whether a message passes depends on its shape (members, types, signs, and the strings of an
`enum`) and on nothing else, which makes a memo of shapes sound.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

type Schema = dict[str, Any]

OPENAI_ONLY = "x-openai-only"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


class Choice(NamedTuple):
    """Alternatives of an object: by the value of `member`, or by its absence."""

    member: str
    branches: Mapping[str, Schema]
    absent: Schema | None


def conditionals(schema: Schema) -> Iterator[tuple[Schema, Schema]]:
    """The pairs of `if` and `then` of a schema, its own and those of its `allOf`."""
    for holder in (schema, *schema.get("allOf", ())):
        if "if" in holder:
            yield holder["if"], holder["then"]


def choice(schema: Schema) -> Choice | None:
    """The alternatives among which a member's value chooses; None where a schema has none."""
    member, branches, absent = "", {}, None
    for condition, then in conditionals(schema):
        for name, asked in condition.get("properties", {}).items():
            member = name
            branches.update(dict.fromkeys(asked["enum"], then))
        if "not" in condition:
            absent = then
    return Choice(member, branches, absent) if branches else None


def target(document: Schema, schema: Schema) -> Schema:
    """A schema itself, or the definition that its `$ref` names. KeyError where there is none."""
    while "$ref" in schema:
        schema = document["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


def applying(document: Schema, schema: Schema, value: object) -> Iterator[Schema]:
    """The schemas that say what this very value must be: its own, and those whose condition it meets."""
    own = target(document, schema)
    yield own
    for condition, then in conditionals(own):
        if meets(value, condition):
            yield from applying(document, then, value)


def meets(value: object, condition: Schema) -> bool:
    """Whether a value meets the condition of an `if`."""
    if condition.get("type") == "string":
        return isinstance(value, str)
    if not isinstance(value, dict):
        return False
    if any(name not in value for name in condition.get("required", ())):
        return False
    if "not" in condition and all(name in value for name in condition["not"]["required"]):
        return False
    asked: Schema = condition.get("properties", {})
    return all(value.get(name) in schema["enum"] for name, schema in asked.items())


def fault(document: object) -> str | None:
    """What is wrong with the form of a schema document, in a few words; None for a sound one."""
    if not isinstance(document, dict) or document.get("$schema") != DIALECT:
        return f"'$schema' is not {DIALECT}"
    definitions = document.get("$defs", {})
    if not isinstance(definitions, dict):
        return "'$defs' is no object"
    names = frozenset(f"#/$defs/{name}" for name in definitions)
    plain = {key: value for key, value in document.items() if key not in ("$schema", "$defs")}
    return next((found for schema in (plain, *definitions.values()) for found in faults(schema, names)), None)


def faults(schema: object, names: frozenset[str] = frozenset()) -> Iterator[str]:
    """What is wrong with the form of a schema that may refer to these names (`#/$defs/...`)."""
    if not isinstance(schema, dict):
        yield "a schema is no object"
        return
    for keyword, value in schema.items():
        check = CHECKS.get(keyword)
        if check is None:
            yield f"the keyword '{keyword}' is not used here"
        elif not check(value):
            yield f"'{keyword}' has no value of its kind"
        elif keyword == "$ref" and value not in names:
            yield f"nothing is defined as '{value}'"
        elif keyword in INNER:
            for inner in INNER[keyword](value):
                yield from faults(inner, names)


def _is_types(value: object) -> bool:
    return value in TYPES if isinstance(value, str) else _is_list(value, lambda item: item in TYPES)


def _is_values(value: object) -> bool:
    return _is_list(value, lambda item: item is None or isinstance(item, str))


def _is_names(value: object) -> bool:
    return _is_list(value, lambda item: isinstance(item, str))


def _is_list(value: object, check: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(map(check, value))


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_condition(value: object) -> bool:
    if not isinstance(value, dict) or value.get("type") not in ("object", "string"):
        return False
    asked = {key: inner for key, inner in value.items() if key != "type"}
    fitting = value["type"] == "object" or not asked
    return fitting and all(key in CONDITIONS and CONDITIONS[key](inner) for key, inner in asked.items())


def _is_asking(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(schema, dict) and list(schema) == ["enum"] and _is_values(schema["enum"])
        for schema in value.values()
    )


CONDITIONS: Mapping[str, Callable[[object], bool]] = {
    "not": lambda value: (
        isinstance(value, dict) and list(value) == ["required"] and _is_names(value["required"])
    ),
    "properties": _is_asking,
    "required": _is_names,
}
"""Keyword of the condition of an object -> whether a value fits it."""

CHECKS: Mapping[str, Callable[[object], bool]] = {
    "$ref": lambda value: isinstance(value, str),
    "additionalProperties": _is_object,
    "allOf": lambda value: _is_list(value, lambda item: isinstance(item, dict)),
    "enum": _is_values,
    "if": _is_condition,
    "items": _is_object,
    "minimum": lambda value: type(value) is int and value == 0,
    "properties": _is_object,
    "required": _is_names,
    "then": _is_object,
    "type": _is_types,
    OPENAI_ONLY: _is_names,
}
"""Keyword -> whether a value fits it."""


INNER: Mapping[str, Callable[[Any], Iterable[object]]] = {
    "additionalProperties": lambda value: (value,),
    "allOf": lambda value: value,
    "items": lambda value: (value,),
    "properties": lambda value: value.values(),
    "then": lambda value: (value,),
}
"""Keyword -> the schemas inside its value."""
