"""Nodes to JSON Schema, in the forms of `harness.validate.forms`.

The law of this file: where several definitions may stand, the value of one member says which; those
that no member tells apart are one definition, joined. Such a join is written beside its parts, of which
it is made anew each time. Only what the root needs is written.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.validate.forms import DIALECT, Schema
from harness.validate.generate.node import Definitions, Node, Shape, compound, join, parts

PREFERRED = ("type", "role")
"""Members that tell alternatives apart even where two share a value; others must do so cleanly."""

POINTER = "#/$defs/"

type Groups = Mapping[str, str]
"""Value of a member -> name of the definition that it means."""


class Writer:
    """Writes a document out of all versions of its definitions."""

    def __init__(self, versions: Iterable[Definitions]) -> None:
        self._nodes: defaultdict[str, list[Node]] = defaultdict(list)
        for definitions in versions:
            for name, node in definitions.items():
                self._nodes[name].append(node)
        self._joined: dict[str, Node] = {}

    def document(self, root: Node) -> Schema:
        """The document whose root is this node."""
        schema = self._schema(root)
        definitions: dict[str, Schema] = {}
        waiting = list(_references(schema))
        while waiting:
            name = waiting.pop()
            if name not in definitions:
                definitions[name] = self._schema(self._definition(name))
                waiting += [*_references(definitions[name]), *parts(name)]
        return {"$schema": DIALECT, "$defs": definitions, **schema}

    def _definition(self, name: str) -> Node:
        """The join of all versions of all definitions that a name stands for."""
        if name not in self._joined:
            self._joined[name] = join(node for part in sorted(parts(name)) for node in self._nodes[part])
        return self._joined[name]

    def _schema(self, node: Node) -> Schema:
        member = self._telling_member(node.refs) if len(node.refs) > 1 else None
        if node.refs and member is None and node.types == {"object"}:
            return _reference(compound(node.refs))
        schema = _scalars(node)
        if node.items is not None:
            schema["items"] = self._schema(node.items)
        if node.shape is not None:
            schema |= self._shape(node.shape)
        conditions = _strings_alone(node)
        if member is not None:
            schema |= self._choosing(node.refs, member)
            conditions += self._branches(node.refs, member)
        elif node.refs:
            conditions.append({"if": {"type": "object"}, "then": _reference(compound(node.refs))})
        return schema | (
            conditions[0] if len(conditions) == 1 else {"allOf": conditions} if conditions else {}
        )

    def _shape(self, shape: Shape) -> Schema:
        schema: Schema = {}
        if shape.members or shape.rest is None:
            schema["properties"] = {name: self._schema(node) for name, node in shape.members.items()}
        if shape.required:
            schema["required"] = sorted(shape.required)
        if shape.rest is not None:
            schema["additionalProperties"] = self._schema(shape.rest)
        return schema

    def _choosing(self, refs: Iterable[str], member: str) -> Schema:
        """What holds of the member that chooses, whichever alternative it chooses."""
        shapes = [self._shape_of(ref) for ref in sorted(refs)]
        node = join(shape.members[member] for shape in shapes if member in shape.members)
        schema: Schema = {"properties": {member: _scalars(node)}}
        if all(member in shape.required for shape in shapes):
            schema["required"] = [member]
        return schema

    def _branches(self, refs: Iterable[str], member: str) -> list[Schema]:
        """One condition for each definition that the member's values choose; one for its absence."""
        values: defaultdict[str, list[str]] = defaultdict(list)
        for value, name in sorted(self._groups(refs, member).items()):
            values[name].append(value)
        branches: list[Schema] = [
            {
                "if": {"properties": {member: {"enum": chosen}}, "required": [member], "type": "object"},
                "then": _reference(name),
            }
            for name, chosen in values.items()
        ]
        absent = [ref for ref in refs if member not in self._shape_of(ref).required]
        if absent:
            branches.append(
                {
                    "if": {"not": {"required": [member]}, "type": "object"},
                    "then": _reference(compound(absent)),
                }
            )
        return branches

    def _groups(self, refs: Iterable[str], member: str) -> Groups:
        groups: defaultdict[str, list[str]] = defaultdict(list)
        for ref in refs:
            node = self._shape_of(ref).members.get(member)
            for value in (node.values if node else None) or ():
                groups[value].append(ref)
        return {value: compound(names) for value, names in groups.items()}

    def _telling_member(self, refs: frozenset[str]) -> str | None:
        """The member whose value tells these definitions apart; None where there is none."""
        if any(self._definition(ref).shape is None for ref in refs):
            return None
        names = sorted({name for ref in refs for name in self._shape_of(ref).members})
        telling = [name for name in names if self._tells(refs, name)]
        return next((name for name in PREFERRED if name in telling), next(iter(telling), None))

    def _tells(self, refs: frozenset[str], member: str) -> bool:
        nodes = [self._shape_of(ref).members.get(member) for ref in refs]
        if any(node and (node.values is None or not node.types <= {"null", "string"}) for node in nodes):
            return False
        groups = frozenset(self._groups(refs, member).values())
        absent = any(member not in self._shape_of(ref).required for ref in refs)
        return len(groups) + absent > 1 and (member in PREFERRED or groups == refs)

    def _shape_of(self, name: str) -> Shape:
        shape = self._definition(name).shape
        return shape if shape is not None else Shape({})


def _scalars(node: Node) -> Schema:
    """The keywords of a node that hold no schema."""
    schema: Schema = {}
    if node.types:
        schema["type"] = next(iter(node.types)) if len(node.types) == 1 else sorted(node.types)
    if node.minimum is not None:
        schema["minimum"] = node.minimum
    if node.values is not None and node.types <= {"null", "string"}:
        schema["enum"] = [*sorted(node.values), *([None] if "null" in node.types else [])]
    return schema


def _strings_alone(node: Node) -> list[Schema]:
    """A condition for the values of strings, where values of other types are allowed beside them."""
    if node.values is None or node.types <= {"null", "string"}:
        return []
    return [{"if": {"type": "string"}, "then": {"enum": sorted(node.values)}}]


def _reference(name: str) -> Schema:
    return {"$ref": POINTER + name}


def _references(value: Any) -> Iterator[str]:
    """The names of all definitions that a schema refers to."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].removeprefix(POINTER)
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
