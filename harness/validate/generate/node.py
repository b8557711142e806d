"""A schema in normal form: for each JSON type, what a value of it must be.

The law of this file: every keyword of JSON Schema that is used here speaks of one JSON type alone, so
any union of types is one node, and the join of two nodes allows what either allows. A join never
narrows, and is associative, commutative and idempotent: this is what makes accumulation safe.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce

NUMBERS = frozenset({"integer", "number"})


@dataclass(frozen=True, slots=True)
class Shape:
    """An object spelled out: its members, those it must have, and what members beyond them must be.

    `rest` None: others are unknown to the API, which is drift and no error.
    """

    members: Mapping[str, "Node"]
    required: frozenset[str] = frozenset()
    rest: "Node | None" = None


@dataclass(frozen=True, slots=True)
class Node:
    """What a value may be. `types` empty: anything.

    `values` are the only strings allowed (None: any), `minimum` the least number, `items` what each
    element of an array must be (None: anything). An object is one of the definitions in `refs`, or
    has this `shape`; with neither it is any object.
    """

    types: frozenset[str]
    values: frozenset[str] | None = None
    minimum: int | None = None
    items: "Node | None" = None
    refs: frozenset[str] = frozenset()
    shape: Shape | None = None

    def allows(self, *types: str) -> bool:
        """Whether values of one of these JSON types are allowed."""
        return not self.types or not self.types.isdisjoint(types)

    @property
    def is_open_object(self) -> bool:
        """Whether every object is allowed."""
        return self.allows("object") and not self.refs and self.shape is None


type Definitions = Mapping[str, Node]
"""Name -> definition."""

ANYTHING = Node(frozenset())
NULL = Node(frozenset({"null"}))


def join(nodes: Iterable[Node]) -> Node:
    """The node that allows what any of these (at least one) allows."""
    return reduce(_join, nodes)


def nullable(node: Node) -> Node:
    """The node that also allows null."""
    return _join(node, NULL)


def parts(name: str) -> frozenset[str]:
    """The definitions that a name stands for: `A+B` is the join of two that are used as one.

    >>> sorted(parts("Message+EasyMessage"))
    ['EasyMessage', 'Message']
    """
    return frozenset(name.split("+"))


def compound(names: Iterable[str]) -> str:
    """The name under which several definitions are used as one.

    >>> compound(["B", "A+C"])
    'A+B+C'
    """
    return "+".join(sorted(frozenset().union(*map(parts, names))))


def _join(one: Node, other: Node) -> Node:
    if not one.types or not other.types:
        return ANYTHING
    strings = [node.values for node in (one, other) if node.allows("string")]
    least = [node.minimum for node in (one, other) if node.allows(*NUMBERS)]
    arrays = [node.items for node in (one, other) if node.allows("array")]
    open_object = one.is_open_object or other.is_open_object
    shapes = [node.shape for node in (one, other) if node.shape is not None]
    mixed = bool(shapes) and bool(one.refs or other.refs)
    described = not open_object and not mixed
    return Node(
        types=_types(one.types | other.types),
        values=None if None in strings or not strings else frozenset().union(*(v for v in strings if v)),
        minimum=None if None in least or not least else min(value for value in least if value is not None),
        items=None if None in arrays or not arrays else _something(join(node for node in arrays if node)),
        refs=one.refs | other.refs if described else frozenset(),
        shape=reduce(_join_shapes, shapes) if shapes and described else None,
    )


def _something(node: Node) -> Node | None:
    """None for what may be anything: there is one way to say so."""
    return None if node == ANYTHING else node


def _types(types: frozenset[str]) -> frozenset[str]:
    """Every integer is a number."""
    return types - {"integer"} if "number" in types else types


def _join_shapes(one: Shape, other: Shape) -> Shape:
    members = dict(one.members)
    for name, node in other.members.items():
        members[name] = _join(members[name], node) if name in members else node
    return Shape(members, one.required & other.required, _join_rests(one.rest, other.rest))


def _join_rests(one: Node | None, other: Node | None) -> Node | None:
    if one is None and other is None:
        return None
    return _join(one, other) if one and other else ANYTHING


def with_nulls(node: Node) -> Node:
    """A definition whose members may be null wherever they may be absent, as clients send requests."""
    if node.shape is None:
        return node
    members = {
        name: member if name in node.shape.required else nullable(member)
        for name, member in node.shape.members.items()
    }
    return replace(node, shape=replace(node.shape, members=members))


def with_counts(node: Node) -> Node:
    """A definition whose counts of tokens and positions are never negative."""
    if node.shape is None:
        return node
    members = {
        name: replace(member, minimum=0) if member.allows("integer") and _is_count(name) else member
        for name, member in node.shape.members.items()
    }
    return replace(node, shape=replace(node.shape, members=members))


def _is_count(name: str) -> bool:
    return name in ("index", "sequence_number") or name.endswith(("_index", "tokens"))
