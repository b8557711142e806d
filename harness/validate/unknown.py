"""Fields that a schema does not know: no error by default, but what drift is made of.

A member is known if any schema that may apply to its object names it. An object schema without
`properties`, or with an `additionalProperties` of its own, is open: it knows every member.
"""

from collections.abc import Iterator
from typing import Any

from harness.validate.finding import Kind
from harness.validate.problems import Path, Problem

type Schema = dict[str, Any]


def unknown_fields(root: Schema, schema: Schema, instance: Any) -> Iterator[Problem]:
    """The members of an instance that its schema does not name. `root` holds the `$defs`."""
    yield from walk(root, [schema], instance, ())


def walk(root: Schema, schemas: list[Schema], value: Any, path: Path) -> Iterator[Problem]:
    """The unknown members of a value to which any of some schemas may apply."""
    if isinstance(value, dict):
        yield from walk_object(root, expanded(root, schemas, value), value, path)
    elif isinstance(value, list):
        found = expanded(root, schemas, value)
        items = [one["items"] for one in found if isinstance(one.get("items"), dict)]
        for index, item in enumerate(value if items else ()):
            yield from walk(root, items, item, (*path, index))


def walk_object(root: Schema, schemas: list[Schema], value: dict[str, Any], path: Path) -> Iterator[Problem]:
    """The unknown members of an object."""
    if not schemas:
        return
    for name, item in value.items():
        known = [one["properties"][name] for one in schemas if name in one.get("properties", {})]
        others = [one.get("additionalProperties") for one in schemas]
        known += [other for other in others if isinstance(other, dict)]
        if known:
            yield from walk(root, [one for one in known if isinstance(one, dict)], item, (*path, name))
        elif not any(map(is_open, schemas)):
            yield Problem(Kind.UNKNOWN_FIELD, (*path, name), "a field that the schema does not know")


def is_open(schema: Schema) -> bool:
    """Whether an object schema takes any member."""
    return not schema.get("properties") or schema.get("additionalProperties") is True


def expanded(root: Schema, schemas: list[Schema], value: Any) -> list[Schema]:
    """The object or array schemas that may apply to a value, without `$ref`s and unions."""
    found: list[Schema] = []
    for schema in schemas:
        resolved = resolve(root, schema)
        if fits(resolved, value):
            found.append(resolved)
        found += expanded(root, resolved.get("allOf", []), value)
        if "if" in resolved and holds(resolve(root, resolved["if"]), value):
            found += expanded(root, [resolved.get("then", {})], value)
        branches = [resolve(root, one) for key in ("anyOf", "oneOf") for one in resolved.get(key, [])]
        branches = [one for one in branches if takes(one, value)]
        meant = [one for one in branches if is_meant(one, value)]
        found += expanded(root, meant or branches, value)
    return found


def resolve(root: Schema, schema: Schema) -> Schema:
    """A schema without a leading local `$ref`; what stands beside the `$ref` counts too."""
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        schema = {**target, **{key: item for key, item in schema.items() if key != "$ref"}}
    return schema


def fits(schema: Schema, value: Any) -> bool:
    """Whether a schema describes values of this type by itself."""
    members = "properties" if isinstance(value, dict) else "items"
    return members in schema or (takes(schema, value) and "type" in schema)


def takes(schema: Schema, value: Any) -> bool:
    """Whether the `type` of a schema, if it has one, is that of an object or array."""
    wanted = schema.get("type")
    names = [wanted] if isinstance(wanted, str) else wanted
    return names is None or ("object" if isinstance(value, dict) else "array") in names


def holds(condition: Schema, value: Any) -> bool:
    """Whether an `if` that asks for values of members holds."""
    if not isinstance(value, dict):
        return False
    members = condition.get("properties", {})
    return all(value.get(name, ...) in one.get("enum", [one.get("const")]) for name, one in members.items())


def is_meant(schema: Schema, value: Any) -> bool:
    """Whether the constants of a branch (`type`, `role`, ...) are those of the value."""
    if not isinstance(value, dict):
        return True
    members = schema.get("properties", {})
    constants = {
        name: one["const"] for name, one in members.items() if isinstance(one, dict) and "const" in one
    }
    return all(value.get(name, constant) == constant for name, constant in constants.items())
