"""JSON Schema to nodes: what pydantic writes, and what `writing` wrote.

The law of this file: a keyword that is not known here is prose (titles, descriptions, defaults) or
says what no check may depend on (formats), and is dropped. Booleans and numbers are never narrowed to
values, so a memo of shapes stays sound.
"""

import re

from harness.validate.forms import Schema, conditionals
from harness.validate.generate.node import ANYTHING, NUMBERS, Definitions, Node, Shape, join, parts

UNFIT = re.compile(r"\W")
"""Characters of a generic class's title that a pointer cannot hold."""

PACKAGE = "__types__"
"""pydantic writes the module into a name that two classes have."""


def read(document: Schema) -> tuple[Node, Definitions]:
    """The root and the definitions of a schema document.

    A root that is a class spelled out becomes a definition with its title for a name. Joins of
    definitions are left out: they are made of their parts.
    """
    schemas = document.get("$defs", {})
    definitions = {_short(name): _node(schema) for name, schema in schemas.items() if parts(name) == {name}}
    root = _node(document)
    if root.shape is not None and "title" in document:
        name = UNFIT.sub("_", document["title"])
        definitions[name] = root
        root = Node(frozenset({"object"}), refs=frozenset({name}))
    return root, definitions


def _node(schema: Schema) -> Node:
    if "$ref" in schema:
        return _reference(schema)
    union = schema.get("anyOf") or schema.get("oneOf")
    if union:
        return join(_node(branch) for branch in union)
    types = _types(schema)
    if not types:
        return ANYTHING
    refs = frozenset[str]().union(*(_names(then) for _, then in conditionals(schema) if "$ref" in then))
    return Node(
        types=types,
        values=_values(schema) if "string" in types else None,
        minimum=schema.get("minimum") if not types.isdisjoint(NUMBERS) else None,
        items=_items(schema) if "array" in types else None,
        refs=refs,
        shape=_shape(schema) if "object" in types and not refs else None,
    )


def _reference(schema: Schema) -> Node:
    return Node(frozenset({"object"}), refs=_names(schema))


def _names(schema: Schema) -> frozenset[str]:
    """The definitions, none of them a join of others, to which a `$ref` refers."""
    return parts(_short(schema["$ref"].rpartition("/")[2]))


def _types(schema: Schema) -> frozenset[str]:
    declared = schema.get("type")
    if declared is not None:
        return frozenset([declared] if isinstance(declared, str) else declared)
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return frozenset(_type_of(value) for value in values)


def _type_of(value: object) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return names[type(value)]


def _values(schema: Schema) -> frozenset[str] | None:
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    for condition, then in conditionals(schema):
        if condition == {"type": "string"}:
            values = then["enum"]
    return None if values is None else frozenset(value for value in values if isinstance(value, str))


def _items(schema: Schema) -> Node | None:
    return _node(schema["items"]) if schema.get("items") else None


def _shape(schema: Schema) -> Shape | None:
    rest = schema.get("additionalProperties")
    rest = None if rest is True or rest is False else rest
    if "properties" not in schema and not rest:
        return None
    members = {name: _node(member) for name, member in schema.get("properties", {}).items()}
    return Shape(members, frozenset(schema.get("required", ())), None if rest is None else _node(rest))


def _short(name: str) -> str:
    """The name of a definition without its package.

    >>> _short("openai__types__chat__completion_create_params__Function")
    'chat__completion_create_params__Function'
    """
    _, found, rest = name.partition(PACKAGE)
    return rest if found else name
