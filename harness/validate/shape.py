"""The shape of a JSON value: what a schema can see of it, and no more.

Messages of a stream differ in their text and hardly ever in their shape (10,068 real chat chunks have
106), so what was found for one shape need not be searched for again. The shape keeps member names in
their order, types, the sign of numbers, and strings only where a schema names them in an `enum` or
`const`. That is sound as long as schemas use no keyword that looks further into a value (`pattern`,
`minLength`, `maxItems`, `minimum` other than 0, ...); a test holds the schemas to that.
"""

from typing import Any

TEXT, NULL, NEGATIVE, ZERO, POSITIVE, TRUE, FALSE, FRACTION, NEGATIVE_FRACTION, LIST, OBJECT = range(2, 13)
"""Stand for values in a shape. None of them is 0 or 1, which Python takes for False and True."""

MANY = 16
"""In longer lists, neighbours of one shape count as one: an embedding has a thousand numbers."""

SIMPLE = {str: TEXT, type(None): NULL}

type Shape = int | str | tuple[Any, ...]


def shape(value: Any, words: frozenset[str]) -> Shape:
    """The hashable shape of a parsed JSON value. `words` are the strings that the schema names."""
    kind = type(value)
    if kind is dict:
        return object_shape(value, words)
    if kind is list:
        return (LIST, *shapes(value, words))
    return value if kind is str and value in words else SIMPLE.get(kind) or number(value)


def object_shape(value: dict[str, Any], words: frozenset[str]) -> Shape:
    """The shape of an object. This is the hot path: what is frequent comes first, and costs no call."""
    members: list[Any] = [OBJECT]
    add = members.append
    for name, item in value.items():
        add(name)
        kind = type(item)
        if kind is str:
            add(item if item in words else TEXT)
        elif item is None:
            add(NULL)
        elif kind is dict:
            add(object_shape(item, words))
        elif kind is list:
            add((LIST, *shapes(item, words)))
        else:
            add(POSITIVE if kind is int and item > 0 else number(item))
    return tuple(members)


def shapes(values: list[Any], words: frozenset[str]) -> list[Shape]:
    """The shapes of a list's items."""
    found = [POSITIVE if type(item) is int and item > 0 else shape(item, words) for item in values]
    if len(found) <= MANY:
        return found
    return [one for index, one in enumerate(found) if index == 0 or one != found[index - 1]]


def number(value: float) -> int:
    """The shape of a number or boolean; to JSON Schema, 1.0 is an integer, and true is no 1."""
    if isinstance(value, bool):
        return TRUE if value else FALSE
    if isinstance(value, float) and not value.is_integer():
        return FRACTION if value > 0 else NEGATIVE_FRACTION
    return POSITIVE if value > 0 else NEGATIVE if value < 0 else ZERO


def words_of(schema: Any) -> frozenset[str]:
    """All strings that a schema names in `enum` and `const`, at any depth."""
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            named = [*one.get("enum", ()), one.get("const")] if is_schema(one) else []
            found.update(word for word in named if isinstance(word, str))
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return frozenset(found)


def is_schema(one: dict[str, Any]) -> bool:
    """Whether a dict is a schema and not a map of members of which one is called `enum`."""
    return isinstance(one.get("enum", []), list) and not isinstance(one.get("const"), dict)
