"""One request and answer as other tools keep them, and the exchange that it makes. Pure.

The law of this file: what the tool did not keep is not invented: times are unknown, and say so. What it
changed is put right as far as the rest of the interaction tells: a body that was decoded loses its
`content-encoding`, and a length that does not fit is corrected; both make it `rewritten`.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from harness.convert.cutting import cut
from harness.core.dates import text_of
from harness.core.encoding import decode_body, encoding_of
from harness.core.exchange import Exchange, Headers, Request, Response, State
from harness.core.variables import upstream_of

CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
FRAMING = ("transfer-encoding", "connection", "keep-alive")
"""Response headers about a connection that is long gone; the replay server has its own."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """What other tools keep. `status` None: no answer came; `truncated`: its body is not all there.

    `started_at` is RFC 3339 with a `Z`, empty where it is unknown. `decoded`: the tool keeps bodies
    without their content-encoding, whatever the headers say (None: it depends).
    """

    method: str
    url: str
    request_headers: Headers
    request_body: bytes
    status: int | None
    response_headers: Headers
    response_body: bytes
    started_at: str = ""
    http_version: str = "HTTP/1.1"
    decoded: bool | None = None
    truncated: bool = False
    error: str | None = None


def exchange_of(found: Interaction) -> Exchange:
    """The exchange of an interaction, its times unknown. ValueError: the URL is not absolute."""
    parts = urlsplit(found.url)
    if not (parts.scheme and parts.hostname):
        raise ValueError(f"the URL {found.url!r} is not absolute")
    headers, _ = fitted(found.request_headers, found.request_body, decoded=None)
    request = Request(found.method.upper(), found.url, headers, found.request_body, found.http_version)
    common = {"started_at": found.started_at, "upstream": upstream_of(parts.hostname), "timing_known": False}
    if found.status is None:
        return Exchange(request, None, State.CONNECT_FAILED, error=found.error, **common)  # type: ignore[arg-type]
    kept = tuple(each for each in found.response_headers if each[0].lower() not in FRAMING)
    headers, changed = fitted(kept, found.response_body, decoded=found.decoded)
    chunks = tuple((0, piece) for piece in cut(headers, found.response_body))
    response = Response(found.status, headers, 0, chunks, 0, found.http_version)
    state = State.UPSTREAM_CUT if found.truncated else State.COMPLETE
    return Exchange(request, response, state, rewritten=changed, error=found.error, **common)  # type: ignore[arg-type]


def fitted(headers: Headers, body: bytes, *, decoded: bool | None) -> tuple[Headers, bool]:
    """Headers that say what the body is, and whether they had to be changed for that."""
    kept = headers
    if encoding_of(headers) and (decoded or not is_encoded(headers, body)):
        kept = tuple(each for each in kept if each[0].lower() != "content-encoding")
    if body:  # answers to HEAD, and 304, tell the length of a body that is not there
        length = str(len(body))
        kept = tuple((name, length if name.lower() == "content-length" else text) for name, text in kept)
    return kept, kept != headers


def is_encoded(headers: Headers, body: bytes) -> bool:
    """Whether a body is encoded as its headers say.

    Text is not, though the first bytes of some are those of a deflate or Brotli stream as well.
    """
    if is_text(body):
        return False
    try:
        decode_body(encoding_of(headers), body)
    except ValueError:
        return False
    return True


def is_text(body: bytes) -> bool:
    """Whether a body is UTF-8 without control characters, which all encodings have from their first bytes on.

    >>> is_text(b"[1, 2]"), is_text(b"\\x1f\\x8b")
    (True, False)
    """
    if CONTROL.search(body):
        return False
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def date_of(text: str) -> str:
    """A date of ISO 8601, or one of HTTP as Ruby's VCR writes it, in UTC; empty where it is none.

    >>> date_of("Tue, 01 Nov 2011 04:58:44 GMT")
    '2011-11-01T04:58:44.000000Z'
    """
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError, OverflowError):
            return text_of(read(text).astimezone(UTC))
    return ""
