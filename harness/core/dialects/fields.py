"""Fields of parsed JSON that may have any type: each getter returns the wished type or its nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

type JsonObject = Mapping[str, Any]
type Path = tuple[str, ...]
"""Keys from an object down; () is the object itself."""

NOTHING: JsonObject = {}
MAX_INTEGER = 2**63 - 1
"""What SQLite can hold."""


def at(value: Any, path: Path) -> Any:
    """What lies at the path; None where it breaks off."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def object_in(holder: JsonObject, key: str) -> JsonObject:
    """An object's field that is an object; else an empty one."""
    value = holder.get(key)
    return value if isinstance(value, dict) else NOTHING


def objects_in(holder: JsonObject, key: str) -> Sequence[JsonObject]:
    """The objects in a field that is an array; () where it is none."""
    value = holder.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()


def text_in(holder: JsonObject, key: str) -> str:
    """A field that is text; else the empty one."""
    value = holder.get(key)
    return value if isinstance(value, str) else ""


def integer(value: Any) -> int | None:
    """An integer that SQLite can hold; None for anything else (`true` is none)."""
    return value if type(value) is int and -MAX_INTEGER <= value <= MAX_INTEGER else None
