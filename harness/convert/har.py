"""HTTP archives (HAR 1.2, http://www.softwareishard.com/blog/har-12-spec/) in and out.

The law of this file: browsers, Playwright and mitmproxy keep bodies decoded, whatever `content-encoding`
says; Polly.js keeps encoded ones, as a JSON list of base64 texts. Entries that are no HTTP exchange with a
server (data URLs, WebSockets) are left out and counted. Times of a HAR are totals: no chunk has one.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, Field

from harness import __version__
from harness.convert.interaction import Interaction, date_of
from harness.convert.vcr import base64_of
from harness.core.canonical import plain_body
from harness.core.encoding import encoding_of
from harness.core.exchange import BODILESS, Exchange, Headers, header

VERSIONS = {"": "HTTP/1.1", "UNKNOWN": "HTTP/1.1", "H2": "HTTP/2.0", "HTTP/2": "HTTP/2.0", "H3": "HTTP/3.0"}
"""What tools write in place of a version, in capitals."""

NS_PER_MS = 1e6
SWITCHING = 101


class Named(BaseModel):
    """A header, or a parameter of a form."""

    name: str
    value: str = ""


class PostData(BaseModel):
    """A request's body: as text, or as the parameters of a form."""

    mimeType: str = ""  # noqa: N815  HAR's own names, here and below
    text: str | None = None
    encoding: str | None = None
    params: list[Named] = Field(default=[])


class Asked(BaseModel):
    """A request."""

    method: str
    url: str
    httpVersion: str = ""  # noqa: N815
    headers: list[Named] = Field(default=[])
    postData: PostData | None = None  # noqa: N815


class Content(BaseModel):
    """A response's body."""

    mimeType: str = ""  # noqa: N815
    text: str | None = None
    encoding: str | None = None
    size: int = 0


class Answered(BaseModel):
    """An answer. `status` below 1: none came; `error` is Chrome's word for why."""

    status: int
    headers: list[Named] = Field(default=[])
    content: Content = Field(default=Content())
    httpVersion: str = ""  # noqa: N815
    error: str | None = Field(default=None, validation_alias="_error")


class Entry(BaseModel):
    """One exchange."""

    startedDateTime: str = ""  # noqa: N815
    request: Asked
    response: Answered


class Log(BaseModel):
    """All of them."""

    entries: list[Entry]


class Archive(BaseModel):
    """A HAR file."""

    log: Log


def interactions(document: Any) -> Iterator[Interaction]:
    """The HTTP exchanges of a parsed archive; pydantic's ValidationError names what is wrong."""
    return map(interaction_of, filter(is_http, Archive.model_validate(document).log.entries))


def is_http(entry: Entry) -> bool:
    """Whether an entry is an HTTP exchange with a server."""
    url = entry.request.url.lower()
    return url.startswith(("http:", "https:")) and entry.response.status != SWITCHING


def interaction_of(entry: Entry) -> Interaction:
    """One entry."""
    asked, answered = entry.request, entry.response
    came = answered.status > 0
    return Interaction(
        method=asked.method,
        url=asked.url.partition("#")[0],
        request_headers=headers_of(asked.headers),
        request_body=requested(asked.postData),
        status=answered.status if came else None,
        response_headers=headers_of(answered.headers),
        response_body=body_of(answered.content.text, answered.content.encoding),
        started_at=date_of(entry.startedDateTime),
        http_version=version_of(answered.httpVersion or asked.httpVersion),
        decoded=True if answered.content.encoding != "base64" else None,
        truncated=lacks_body(entry),
        error=None if came else answered.error or "no answer came",
    )


def lacks_body(entry: Entry) -> bool:
    """Whether the answer had a body that the file left out, as browsers do that had no room for it."""
    content = entry.response.content
    bodiless = entry.request.method.upper() == "HEAD" or entry.response.status in BODILESS
    return content.size > 0 and not content.text and not bodiless


def headers_of(found: Iterable[Named]) -> Headers:
    """Headers without HTTP/2's pseudo headers; several values of one name stand on lines of their own."""
    fields = ((field.name, line) for field in found for line in field.value.split("\n"))
    return tuple((name, value) for name, value in fields if not name.startswith(":"))


def requested(data: PostData | None) -> bytes:
    """A request's body."""
    if data is None:
        return b""
    if data.text is None and data.params:
        return urlencode([(one.name, one.value) for one in data.params]).encode()
    return body_of(data.text, data.encoding)


def body_of(text: str | None, encoding: str | None) -> bytes:
    """A body: text, base64, or Polly's list of base64 texts. ValueError: damaged."""
    if not text:
        return b""
    if encoding != "base64":
        return text.encode("utf-8", "surrogateescape")
    pieces = json.loads(text) if text.startswith("[") else [text]
    if not all(isinstance(piece, str) for piece in pieces):
        raise ValueError("a body that is a list holds more than texts of base64")
    return b"".join(map(base64_of, pieces))


def version_of(name: str) -> str:
    """An HTTP version as harness writes it.

    >>> version_of("h2"), version_of("http/1.1")
    ('HTTP/2.0', 'HTTP/1.1')
    """
    return VERSIONS.get(name.upper(), name.upper())


def archive(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """A HAR file in pieces of text, an exchange each."""
    creator = json.dumps({"name": "harness", "version": __version__})
    yield '{"log": {"version": "1.2", "creator": ' + creator + ', "entries": ['
    before = ""
    for exchange in exchanges:
        yield before + "\n" + json.dumps(entry_of(exchange))
        before = ","
    yield "\n]}}\n"


def entry_of(exchange: Exchange) -> dict[str, Any]:
    """An exchange as an entry. Times are totals in ms: `wait` is TTFB, `receive` what followed."""
    response = exchange.response
    headers_ns = response.headers_ns if response else exchange.end_ns
    end_ns = response.end_ns if response else exchange.end_ns
    connect_ns = min(exchange.connect_ns, headers_ns)
    wait, receive = (headers_ns - connect_ns) / NS_PER_MS, max(0, end_ns - headers_ns) / NS_PER_MS
    connect = connect_ns / NS_PER_MS
    return {
        "startedDateTime": exchange.started_at or "1970-01-01T00:00:00.000000Z",
        "time": connect + wait + receive,
        "request": request_object(exchange),
        "response": response_object(exchange),
        "cache": {},
        "timings": {"connect": connect, "send": 0, "wait": wait, "receive": receive},
        "comment": f"{exchange.state.value} {exchange.upstream}".strip(),
    }


def request_object(exchange: Exchange) -> dict[str, Any]:
    """The request of an entry."""
    request = exchange.request
    query = parse_qsl(request.url.partition("?")[2], keep_blank_values=True)
    found: dict[str, Any] = {
        "method": request.method,
        "url": request.url,
        "httpVersion": request.http_version,
        "cookies": [],
        "headers": named(request.headers),
        "queryString": [{"name": name, "value": value} for name, value in query],
        "headersSize": -1,
        "bodySize": len(request.body),
    }
    if request.body:
        kind = header(request.headers, "content-type") or ""
        found["postData"] = {"mimeType": kind, **text_of_body(plain_body(request.body, request.headers))}
    return found


def response_object(exchange: Exchange) -> dict[str, Any]:
    """The response of an entry; status 0 where none came."""
    response = exchange.response
    headers, body = (response.headers, response.body) if response else ((), b"")
    plain = plain_body(body, headers)
    return {
        "status": response.status if response else 0,
        "statusText": "",
        "httpVersion": response.http_version if response else "",
        "cookies": [],
        "headers": named(headers),
        "content": {
            "size": len(plain),
            "mimeType": header(headers, "content-type") or "",
            **text_of_body(plain),
        },
        "redirectURL": header(headers, "location") or "",
        "headersSize": -1,
        "bodySize": len(body) if encoding_of(headers) else len(plain),
        **({} if response else {"_error": exchange.error or exchange.state.value}),
    }


def named(headers: Headers) -> list[dict[str, str]]:
    """Headers as HAR has them."""
    return [{"name": name, "value": value} for name, value in headers]


def text_of_body(body: bytes) -> dict[str, str]:
    """A body as text, or as base64 where it is none."""
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(body).decode(), "encoding": "base64"}
