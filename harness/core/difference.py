"""How two requests differ: the fields, by JSON pointer, as a person wants to read them."""

from array import array
from dataclasses import dataclass
from typing import Any

from harness.core.canonical import Json, canonical_query, flatten, parse_json, plain_body
from harness.core.exchange import Request
from harness.core.visible import visible

SHOWN = 60
"""Characters of a value that are shown, around the place where it differs."""

ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs. `where` is `method`, `path`, `query.NAME`, `body` or `body` + pointer."""

    where: str
    recorded: str
    requested: str

    def __str__(self) -> str:
        return f"{self.where}: recorded {self.recorded}, requested {self.requested}"


def fields(request: Request) -> dict[str, Any]:
    """All that matching looks at, by name: method, path, query, and the leaves of the body."""
    bare, _, query = request.path.partition("?")
    found: dict[str, Any] = {"method": request.method.upper(), "path": bare}
    found |= {f"query.{name}": value for name, value in canonical_query(query)}
    plain = plain_body(request.body, request.headers)
    value = parse_json(plain)
    if value is None:
        return found | ({"body": plain.decode("utf-8", "replace")} if plain else {})
    return found | body_fields(value)


def body_fields(value: Json) -> dict[str, Any]:
    """The leaves of a JSON body, each under `body` and its pointer."""
    return {f"body{pointer}": leaf for pointer, leaf in flatten(value).items()}


def differences(recorded: dict[str, Any], requested: dict[str, Any]) -> list[Difference]:
    """The fields in which two requests (as `fields` gives them) differ, in the order of the request."""
    names = list(requested) + [name for name in recorded if name not in requested]
    return [
        Difference(name, *shortened(recorded.get(name, ABSENT), requested.get(name, ABSENT)))
        for name in names
        if not same(recorded.get(name, ABSENT), requested.get(name, ABSENT))
    ]


def fingerprint(found: dict[str, Any]) -> array[int]:
    """The fields of a request as numbers: small, and quick to compare (within one run of Python)."""
    return array("q", (hash((name, repr(value))) for name, value in found.items()))


def similarity(recorded: array[int], requested: frozenset[int]) -> float:
    """Share of equal fields among all fields of two fingerprints, 0 to 1 (Jaccard's index)."""
    equal = sum(number in requested for number in recorded)
    return equal / (len(recorded) + len(requested) - equal)


def same(one: Any, other: Any) -> bool:
    """Equal in value and kind: JSON's `true` is not `1`."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def shortened(one: Any, other: Any) -> tuple[str, str]:
    """Both values as text, cut to the surroundings of their first difference."""
    texts = [show(value) for value in (one, other)]
    common = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    start = max(0, common - SHOWN // 3)
    left, right = (cut(text, start) for text in texts)
    return left, right


def show(value: Any) -> str:
    """A value as text on one line; strings in quotes, so that `1` and `"1"` differ."""
    if value is ABSENT:
        return "nothing"
    return f'"{visible(value)}"' if isinstance(value, str) else str(value)


def cut(text: str, start: int) -> str:
    """`SHOWN` characters of a text from `start`, with dots where something is left out."""
    if len(text) <= SHOWN:
        return text
    end = start + SHOWN
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
