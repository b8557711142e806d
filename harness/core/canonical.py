"""The canonical form of a request: what two requests must share to be the same request.

The law of this file: equal means equal after the rules below, and nothing else. Real clients send
the same request with other key order, `0` beside `0.0`, `1e-8` beside `1e-08`, other query order
and explicit nulls where a field may as well be absent; all of those are the same request here.
Headers take no part, but for the `content-encoding` that says how to read the body.
"""

import hashlib
import json
from typing import Any
from urllib.parse import parse_qsl

from harness.core.encoding import decode_body, encoding_of
from harness.core.exchange import Headers

type Json = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

EXACT_FLOAT = 2**53
"""Beyond this, floats are no longer exact integers (IEEE 754 double)."""


def match_key(method: str, path: str, body: bytes, headers: Headers = ()) -> str:
    """The SHA-256 (hex) of a request's canonical form. `path` includes the query."""
    bare, _, query = path.partition("?")
    head = "\n".join((method.upper(), bare, json.dumps(canonical_query(query)), ""))
    digest = hashlib.sha256(head.encode("utf-8", "surrogateescape"))
    digest.update(canonical_bytes(body, headers))
    return digest.hexdigest()


def canonical_query(query: str) -> list[tuple[str, str]]:
    """The pairs of a query string, decoded and sorted.

    >>> canonical_query("b=2&a=%31")
    [('a', '1'), ('b', '2')]
    """
    return sorted(parse_qsl(query, keep_blank_values=True, errors="surrogateescape"))


def canonical_bytes(body: bytes, headers: Headers = ()) -> bytes:
    """A body in which equal requests are equal: canonical JSON in ASCII, or the bytes as they are.

    Bytes are not made text on the way: of a large upload that would take eight times its memory.
    """
    plain = plain_body(body, headers)
    value = parse_json(plain)
    if value is None:
        return plain
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def plain_body(body: bytes, headers: Headers) -> bytes:
    """A body without its content-encoding; as it is where that cannot be undone."""
    encoding = encoding_of(headers)
    if not encoding:
        return body
    try:
        return decode_body(encoding, body)
    except ValueError:
        return body


def parse_json(body: bytes) -> Json:
    """An object or array in a body, in canonical form; None for anything else, scalars included.

    JSON that is nested deeper than Python recurses (some hundred levels) counts as no JSON.
    """
    if body.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        return present(json.loads(body, parse_float=exact))
    except (ValueError, RecursionError):
        return None


def canonical(value: Json) -> Json:
    """JSON in canonical form: numbers by value, and no null members where they mean "absent".

    Null members are dropped from the body itself and from the objects in its arrays (`messages`,
    `input`, `tools`), where APIs read null as absent, and kept further down, where a JSON Schema or
    a tool's own data may tell the two apart.

    >>> canonical({"temperature": 1.0, "stop": None})
    {'temperature': 1}
    """
    return present(by_value(value))


def present(value: Json) -> Json:
    """JSON without the null members that mean "absent"."""
    if isinstance(value, dict):
        return {key: present_in(item) for key, item in value.items() if item is not None}
    return present_in(value)


def present_in(value: Json) -> Json:
    """A member of the body: in an array of objects (messages, tools), nulls mean absent as well."""
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def without_nulls(value: Json) -> Json:
    """An object without its null members; anything else as it is."""
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if item is not None}
    return value


def by_value(value: Json) -> Json:
    """JSON with every float that is a whole number as an integer, at any depth."""
    if isinstance(value, dict):
        return {key: by_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [by_value(item) for item in value]
    return whole(value) if isinstance(value, float) else value


def whole(value: float) -> float:
    """A number as an integer, if it is one."""
    return int(value) if value.is_integer() and abs(value) < EXACT_FLOAT else value


def exact(text: str) -> float:
    """The number that a JSON parser found with a point or an exponent."""
    return whole(float(text))


def flatten(value: Json) -> dict[str, Any]:
    """The leaves of JSON by their JSON pointer (RFC 6901), in their order; empty containers are leaves.

    >>> flatten({"a": [1, {"b/c": None}]})
    {'/a/0': 1, '/a/1/b~1c': None}
    """
    found: dict[str, Any] = {}
    if isinstance(value, dict | list) and value:
        gather(value, "", found)
    else:
        found[""] = value
    return found


def gather(value: dict[str, Json] | list[Json], pointer: str, found: dict[str, Any]) -> None:
    """Put the leaves below a pointer into `found`; leaves, which are most, cost no call."""
    named = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in named:
        name = key.replace("~", "~0").replace("/", "~1") if isinstance(key, str) else key
        if isinstance(item, dict | list) and item:
            gather(item, f"{pointer}/{name}", found)
        else:
            found[f"{pointer}/{name}"] = item
