"""An exchange: one request, its response as raw chunks with times, and how it ended.

The law of this file: chunks are the truth, everything else is derived from them (`core.derive`).
All offsets are integer nanoseconds from t0, the moment at which the recorder held the last byte of
the request, on a monotonic clock. Chunk data is the body as it came off the wire: free of HTTP
framing (chunked encoding, DATA frames), still content-encoded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

type Headers = tuple[tuple[str, str], ...]
"""Names as they were written, values as text (UTF-8 with surrogate escapes), in their order."""


BODILESS = (204, 304)
"""Statuses whose responses end with their head (RFC 9112, 6.3)."""

PATH = re.compile("[/?]")
"""Where the authority of a URL ends (RFC 3986, 3.2)."""


class State(StrEnum):
    """How an exchange ended."""

    COMPLETE = "complete"
    UNTERMINATED = "unterminated"
    UPSTREAM_CUT = "upstream_cut"
    UPSTREAM_ERROR = "upstream_error"
    CONNECT_FAILED = "connect_failed"
    CLIENT_ABORT = "client_abort"
    INTERRUPTED = "interrupted"


REQUEST_LIMIT = 256 * 1024 * 1024
"""Bytes of a request's body that are recorded, and taken by a replay: all of it goes through memory."""

RESET = "the upstream reset the connection"
"""The `error` of an exchange whose upstream broke the connection; another cut is one that was closed."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request. `url` is the upstream's; `path` is what the client asked for, with the query."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""
    http_version: str = "HTTP/1.1"
    path: str = ""

    def __post_init__(self) -> None:
        if not self.path:
            object.__setattr__(self, "path", path_of(self.url))


@dataclass(frozen=True, slots=True)
class Response:
    """A response. `chunks` are (offset_ns, data) in the order of arrival; offsets never decrease."""

    status: int
    headers: Headers
    headers_ns: int
    chunks: tuple[tuple[int, bytes], ...]
    end_ns: int
    http_version: str = "HTTP/1.1"

    @property
    def body(self) -> bytes:
        """All chunks joined, still content-encoded."""
        return b"".join(data for _, data in self.chunks)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its response (None: no response head ever came), with its end and its errors.

    `started_at` is the wall clock of t0 in RFC 3339 with a `Z`; empty where it is unknown.
    `connect_ns` is the part of connection set-up that fell after t0. `error_bound_ns` is how late
    the recorder's stamps may be (None: unknown). `extra` holds unknown keys of an interchange line.
    """

    request: Request
    response: Response | None
    state: State = State.COMPLETE
    started_at: str = ""
    upstream: str = ""
    connect_ns: int = 0
    error_bound_ns: int | None = None
    timing_known: bool = True
    rewritten: bool = False
    error: str | None = None
    end_ns: int = 0
    id: int = 0
    capture: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)


def path_of(url: str) -> str:
    """Path and query of an absolute URL, at least `/`.

    >>> path_of("https://api.openai.com/v1/models?limit=2")
    '/v1/models?limit=2'
    """
    _, _, rest = url.partition("#")[0].partition("://")
    found = PATH.search(rest)
    if found is None:
        return "/"
    return rest[found.start() :] if found[0] == "/" else f"/{rest[found.start() :]}"


def header(headers: Headers, name: str) -> str | None:
    """The value of the first header of this name, in any case; None where there is none."""
    wanted = name.lower()
    for key, value in headers:
        if key.lower() == wanted:
            return value
    return None
