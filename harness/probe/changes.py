"""What is other on one side of a gateway than on the other: fields of events, headers, requests. Pure.

The law of this file: places are told, values never, since they may quote a prompt.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from harness.core.canonical import canonical_query, flatten, plain_body
from harness.core.difference import same
from harness.core.exchange import Headers, Request
from harness.core.masks import MASK
from harness.probe.blocks import NO_JSON, Block

OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "proxy-connection",
        "server",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-accel-buffering",
    }
)
"""Headers that are every hop's own (RFC 9110, 6.6 and 7.6), and the one that tells nginx what to do."""
OF_EACH_SENDER = frozenset({"host", "accept-encoding", "expect", "te", "user-agent"})
"""Headers of a request that a gateway, being the provider's client, says of itself."""
NOT_COMPARED = ("x-harness-", "x-stainless-")
"""How headers begin by which a probe tells its requests apart, and by which SDKs tell of themselves."""


class Kind(StrEnum):
    """How something is other."""

    CHANGED = "changed"
    LOST = "lost"
    ADDED = "added"


type Change = tuple[str, Kind]
"""A place (JSON pointer, `event` for the name of an SSE event, `data` for what is no JSON; or a header, or
a part of a request's first line)."""


def changes_of(sent: Block, got: Block) -> list[Change]:
    """The fields in which an event is another."""
    found: list[Change] = [("event", Kind.CHANGED)] if sent.name != got.name else []
    one, other = sent.value(), got.value()
    if one is NO_JSON or other is NO_JSON:
        return found + ([("data", Kind.CHANGED)] if sent.data != got.data else [])
    return found + differing(flatten(one), flatten(other))


def differing(one: Mapping[str, object], other: Mapping[str, object]) -> list[Change]:
    """The pointers at which two events differ."""
    found: list[Change] = [(name, Kind.LOST) for name in one if name not in other]
    found += [(name, Kind.ADDED) for name in other if name not in one]
    found += [(name, Kind.CHANGED) for name in one if name in other and not same(one[name], other[name])]
    return found


def header_changes(sent: Headers, got: Headers) -> list[Change]:
    """The headers, in lower case, that are other; those of a connection aside."""
    return differing(by_name(sent), by_name(got))


def line_changes(sent: Request, got: Request) -> list[Change]:
    """Method, path and query parameters (`?name`) in which a request is another."""
    return differing(line_of(sent), line_of(got))


def line_of(request: Request) -> dict[str, object]:
    """What the first line of a request says, by place; several parameters of one name as a list."""
    path, _, query = request.path.partition("?")
    found: dict[str, object] = {"method": request.method, "path": path}
    for name, value in canonical_query(query):
        found[f"?{name}"] = f"{found[f'?{name}']}, {value}" if f"?{name}" in found else value
    return found


def request_header_changes(sent: Request, got: Request) -> list[Change]:
    """The headers of a request, in lower case, that are other; those of a connection or a sender aside."""
    changes = header_changes(sent.headers, got.headers)
    return [one for one in changes if one[0] not in OF_EACH_SENDER and not one[0].startswith(NOT_COMPARED)]


def credentials(*requests: Request) -> frozenset[str]:
    """The headers that hold secrets (masked here): which of them a provider gets is the gateway's to say."""
    mask = MASK.decode()
    return frozenset(name.lower() for one in requests for name, value in one.headers if mask in value)


def body_changes(sent: Request, got: Request) -> list[Change]:
    """The fields in which the body of a request is another."""
    return changes_of(*(Block(0, None, plain_body(one.body, one.headers)) for one in (sent, got)))


def by_name(headers: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Values of headers by name; several of one name as a list."""
    found: dict[str, object] = {}
    for name, value in headers:
        key = name.lower()
        if key not in OF_THE_CONNECTION:
            plain = normal(key, value)
            found[key] = f"{found[key]}, {plain}" if key in found else plain
    return found


ANY_CASE = ("accept", "accept-encoding", "content-encoding", "content-type")
"""Headers whose values are told apart by no case (RFC 9110, 8.3.1 and 8.4.1)."""


def normal(name: str, value: str) -> str:
    """A header's value without what means nothing in it. `name` is in lower case.

    >>> normal("content-type", "text/event-stream; charset=UTF-8"), normal("x-id", " aB")
    ('text/event-stream;charset=utf-8', 'aB')
    """
    plain = value.replace("; ", ";").strip()
    return plain.lower() if name in ANY_CASE else plain
