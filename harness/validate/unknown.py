"""Fields that a schema does not know: no error by default, but what drift is made of.

A member is known if any schema that applies to its object names it. An object is open, and knows every
member, where a schema says so (`additionalProperties`) or names none, and where the member that should
choose among alternatives has a value that nobody knows.
"""

from collections.abc import Iterator
from typing import Any

from harness.validate.finding import Kind
from harness.validate.forms import Schema, applying, choice
from harness.validate.problems import Path, Problem


def unknown_fields(root: Schema, schema: Schema, instance: Any) -> Iterator[Problem]:
    """The members of an instance that its schema does not name. `root` holds the `$defs`."""
    yield from walk(root, [schema], instance, ())


def walk(root: Schema, schemas: list[Schema], value: Any, path: Path) -> Iterator[Problem]:
    """The unknown members of a value to which any of some schemas may apply."""
    found = [one for schema in schemas for one in applying(root, schema, value)]
    if isinstance(value, dict):
        yield from walk_object(root, [one for one in found if is_object(one)], value, path)
    elif isinstance(value, list):
        items = [one["items"] for one in found if isinstance(one.get("items"), dict)]
        for index, item in enumerate(value if items else ()):
            yield from walk(root, items, item, (*path, index))


def walk_object(root: Schema, schemas: list[Schema], value: dict[str, Any], path: Path) -> Iterator[Problem]:
    """The unknown members of an object."""
    is_open = not schemas or any(takes_any(schema, value) for schema in schemas)
    others = [
        one["additionalProperties"] for one in schemas if isinstance(one.get("additionalProperties"), dict)
    ]
    for name, item in value.items():
        known = [one["properties"][name] for one in schemas if name in one.get("properties", {})] + others
        if known:
            yield from walk(root, [one for one in known if isinstance(one, dict)], item, (*path, name))
        elif not is_open:
            yield Problem(Kind.UNKNOWN_FIELD, (*path, name), "a field that the schema does not know")


def is_object(schema: Schema) -> bool:
    """Whether a schema describes objects by itself."""
    wanted = schema.get("type", ())
    return "properties" in schema or "object" in ([wanted] if isinstance(wanted, str) else wanted)


def takes_any(schema: Schema, value: dict[str, Any]) -> bool:
    """Whether an object schema takes any member."""
    if not schema.get("properties") or schema.get("additionalProperties") is True:
        return True
    chosen = choice(schema)
    return chosen is not None and chosen.member in value and value[chosen.member] not in chosen.branches
