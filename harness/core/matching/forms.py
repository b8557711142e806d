"""Forms as bodies: their fields by name, so that boundaries and the order of names do not matter."""

import hashlib
from email.message import Message
from email.parser import HeaderParser

from harness.core.canonical import Json, canonical_query, parse_json
from harness.core.exchange import Headers, header
from harness.core.timeline import content_type

URL_ENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
LINE = b"\r\n"
HEAD_END = b"\r\n\r\n"


def by_name(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Values by name; those that share one become a list, in their order.

    >>> by_name([("a", "1"), ("b", "2"), ("a", "3")])
    {'a': ['1', '3'], 'b': '2'}
    """
    found: dict[str, list[Json]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def form_of(body: bytes, headers: Headers) -> tuple[str, Json] | None:
    """`form` or `part` and the fields of a form that is not content-encoded; None for any other body.

    None as well for an empty one, which some clients call a form with every request.
    """
    media_type = content_type(headers) if body else ""
    if media_type == URL_ENCODED:
        text = body.decode("utf-8", "surrogateescape")
        return "form", by_name(list(canonical_query(text.strip())))
    boundary = boundary_of(headers) if media_type == MULTIPART else None
    parts = parts_of(body, boundary) if boundary else None
    return None if parts is None else ("part", by_name(parts))


def boundary_of(headers: Headers) -> bytes | None:
    """The boundary that a multipart type declares (RFC 2046, 5.1.1); None: it declares none."""
    message = Message()
    message["content-type"] = header(headers, "content-type") or ""
    boundary = message.get_boundary()
    return boundary.encode("utf-8", "surrogateescape") if boundary else None


def parts_of(body: bytes, boundary: bytes) -> list[tuple[str, Json]] | None:
    """The parts of a multipart body by the names of their fields; None where it is not one (RFC 7578)."""
    pieces = (LINE + body).split(LINE + b"--" + boundary)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        return None
    parts = [part_of(piece) for piece in pieces[1:-1]]
    named = [part for part in parts if part is not None]
    return named if len(named) == len(parts) else None


def part_of(piece: bytes) -> tuple[str, Json] | None:
    """The name and value of a part; None where it has no head, no name, or a head that is no UTF-8."""
    padding, _, rest = piece.partition(LINE)
    head, end, data = (LINE + rest).partition(HEAD_END)
    if padding.strip() or not end:
        return None
    try:
        message = HeaderParser().parsestr(head.removeprefix(LINE).decode() + "\r\n\r\n")
    except UnicodeDecodeError:  # the parser would read all such bytes alike
        return None
    name = message.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        return None
    return name, described(message, content_of_part(data))


def described(message: "Message[str, str]", content: Json) -> Json:
    """A part's content, together with its file's name and type where it has them.

    Without these, JSON that could be taken for parts of one name, or for a file, is under `content` too.
    """
    told: dict[str, Json] = {}
    if (filename := message.get_filename()) is not None:
        told["filename"] = filename
    if "content-type" in message:
        told["type"] = message.get_content_type()
    mistakable = isinstance(content, list) or (isinstance(content, dict) and "content" in content)
    return told | {"content": content} if told or mistakable else content


def content_of_part(data: bytes) -> Json:
    """JSON in canonical form, text as it is, anything else as its length and SHA-256."""
    if (value := parse_json(data)) is not None:
        return value
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"
