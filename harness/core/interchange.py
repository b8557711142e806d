"""Interchange: JSON Lines, one exchange a line.

The law of this file: text in, exchange out, and back again without a change; unknown keys are kept
in `Exchange.extra` (those of the request and the response under these two names). A line:

    {"request":  {"method", "url", "http_version", "headers": [[name, value]...], "body", "path"},
     "response": {"status", "http_version", "headers": [[name, value]...], "headers_ns",
                  "chunks": [[offset_ns, data]...], "end_ns"},
     "end": STATE, "started_at": "...Z", "upstream", "connect_ns", "error_bound_ns", "timing_known",
     "rewritten", "error", "end_ns"}

`body` and `data` are text, or `{"base64": "..."}` where the bytes are no UTF-8. Needed are method,
url, status, chunks. `path` is there only where the client asked for another path than the URL's,
`rewritten` where it is true, the outer `end_ns` where there is no response. Offsets are ns from t0.
Header bytes that are no UTF-8 stand as the escapes of U+DC80 to U+DCFF, 0xDC00 more than the byte
(Python's surrogateescape, PEP 383).

Lines come from anywhere, so they are read by models. They are written without: an exchange is sound
already, and the recorder writes one for each that it checks.
"""

import base64
import json
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Never

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    InstanceOf,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from harness.core.errors import BadInput
from harness.core.exchange import Exchange, Request, Response, State, path_of
from harness.core.json_text import healed
from harness.core.url import origin, plain_url

MAX_NS = 2**63 - 1
"""The largest integer of an SQLite column."""

ENDED_WITH_RESPONSE = (State.COMPLETE, State.UNTERMINATED)
TOKEN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # noqa: S105  RFC 9110, 5.6.2

UNSAFE = re.compile("[\x80-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON lets through raw, but terminals obey, line splitters split at, or UTF-8 cannot hold."""

NEVER_IN_HEADERS = re.compile("[\0\r\n\ud800-\udc7f\udd00-\udfff]")
"""What would end a header field (RFC 9110, 5.5), and surrogates that stand for no byte."""


class Wire:
    """How pydantic reads bytes here: as text, or as `{"base64": text}`; about 1 µs a chunk."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.typed_dict_field(core_schema.str_schema(strict=True))
        encoded = core_schema.typed_dict_schema({"base64": text}, extra_behavior="forbid")
        return core_schema.union_schema(
            [core_schema.bytes_schema(), core_schema.no_info_after_validator_function(decoded, encoded)],
            mode="left_to_right",
            custom_error_type="data",
            custom_error_message='should be text or {"base64": text}',
        )


def decoded(data: dict[str, str]) -> bytes:
    """The bytes of `{"base64": text}`; raises ValueError on anything that is no base64."""
    return base64.b64decode(data["base64"], validate=True)


def absolute(url: str) -> str:
    """The URL itself; raises ValueError if it is no absolute http(s) URL."""
    origin(unicode(url))
    return url


def unicode(text: str) -> str:
    """The text itself; raises ValueError if UTF-8 cannot hold it."""
    if healed(text) != text:
        raise ValueError("holds a lone surrogate")
    return text


def header_text(text: str) -> str:
    """The text itself; raises ValueError if no header field can hold it."""
    if NEVER_IN_HEADERS.search(text):
        raise ValueError("holds a line break, a NUL or a lone surrogate")
    return text


def header_name(text: str) -> str:
    """The text itself; raises ValueError if no header can have this name."""
    if not text:
        raise ValueError("has a name without characters")
    return header_text(text)


def ascending(chunks: tuple[tuple[int, bytes], ...]) -> tuple[tuple[int, bytes], ...]:
    """The chunks themselves; raises ValueError where an offset is smaller than the one before."""
    for number, ((before, _), (offset, _)) in enumerate(pairwise(chunks), 1):
        if offset < before:
            raise PydanticCustomError("order", "offset is smaller than the one before", {"index": number})
    return chunks


type Offset = Annotated[int, Field(strict=True, ge=0, le=MAX_NS)]
type Text = Annotated[str, AfterValidator(unicode)]
type Data = Annotated[bytes, Wire()]
type HeaderName = Annotated[InstanceOf[str], AfterValidator(header_name)]
type HeaderText = Annotated[InstanceOf[str], AfterValidator(header_text)]
type Pairs = tuple[tuple[HeaderName, HeaderText], ...]
type Chunks = Annotated[tuple[tuple[Offset, Data], ...], AfterValidator(ascending)]


class Open(BaseModel):
    """An object that keeps keys which it does not know."""

    model_config = ConfigDict(extra="allow")

    @property
    def unknown(self) -> dict[str, Any]:
        """The keys that are no fields."""
        return self.model_extra or {}


class RequestLine(Open):
    """The request of a line."""

    method: Annotated[str, Field(pattern=TOKEN)]
    url: Annotated[str, AfterValidator(absolute)]
    http_version: Text = "HTTP/1.1"
    headers: Pairs = ()
    body: Data | None = None
    path: Text = ""

    def request(self) -> Request:
        """What the line says, as harness holds it."""
        return Request(self.method, self.url, self.headers, self.body or b"", self.http_version, self.path)


class ResponseLine(Open):
    """The response of a line."""

    status: Annotated[int, Field(strict=True, ge=100, le=599)]
    http_version: Text = "HTTP/1.1"
    headers: Pairs = ()
    headers_ns: Offset | None = None
    chunks: Chunks
    end_ns: Offset | None = None

    @model_validator(mode="after")
    def in_order(self) -> "ResponseLine":
        """Headers before the first chunk, the end after the last."""
        first = self.chunks[0][0] if self.chunks else self.headers_ns or 0
        last = self.chunks[-1][0] if self.chunks else first
        self.headers_ns = first if self.headers_ns is None else self.headers_ns
        self.end_ns = last if self.end_ns is None else self.end_ns
        if self.headers_ns > first:
            raise ValueError("headers_ns is after the first chunk")
        if self.end_ns < last:
            raise ValueError("end_ns is before the headers or the last chunk")
        return self

    def response(self) -> Response:
        """What the line says, as harness holds it."""
        headers_ns, end_ns = self.headers_ns or 0, self.end_ns or 0
        return Response(self.status, self.headers, headers_ns, self.chunks, end_ns, self.http_version)


class Line(Open):
    """One line: an exchange."""

    request: RequestLine
    response: ResponseLine | None = None
    end: State = State.COMPLETE
    started_at: Text = ""
    upstream: Text = ""
    connect_ns: Offset = 0
    error_bound_ns: Offset | None = None
    timing_known: Annotated[bool, Field(strict=True)] = True
    rewritten: Annotated[bool, Field(strict=True)] = False
    error: Text | None = None
    end_ns: Offset = 0

    @model_validator(mode="after")
    def answered(self) -> "Line":
        """An exchange that ended properly has a response."""
        if self.response is None and self.end in ENDED_WITH_RESPONSE:
            raise ValueError(f"there is no response, but the end is {self.end}")
        return self

    def extra(self) -> dict[str, Any]:
        """Unknown keys; those of the request and the response under these names."""
        inner = {"request": self.request, "response": self.response}
        kept = {name: part.unknown for name, part in inner.items() if part is not None and part.unknown}
        return self.unknown | kept

    def exchange(self) -> Exchange:
        """What the line says, as harness holds it."""
        response = self.response.response() if self.response else None
        return Exchange(
            request=self.request.request(),
            response=response,
            state=self.end,
            started_at=self.started_at,
            upstream=self.upstream,
            connect_ns=self.connect_ns,
            error_bound_ns=self.error_bound_ns,
            timing_known=self.timing_known,
            rewritten=self.rewritten,
            error=self.error,
            end_ns=response.end_ns if response else self.end_ns,
            extra=self.extra(),
        )


def from_line(text: str, number: int) -> Exchange:
    """One line as an exchange; `number` (from 1) is named in errors.

    Raises BadInput, in one line that repeats nothing of the content.
    """
    try:
        line = json.loads(text, parse_constant=refuse, parse_float=finite)
        return Line.model_validate(line).exchange()
    except ValidationError as error:
        raise BadInput(f"line {number}: {describe(error)}") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"line {number}: is no JSON: {error.msg} at column {error.pos + 1}") from None
    except (ValueError, RecursionError):
        raise BadInput(f"line {number}: is no JSON: a number or its depth is out of range") from None


def refuse(_: str) -> Never:
    """NaN and Infinity, which Python reads, are no JSON."""
    raise ValueError


def finite(text: str) -> float:
    """A number of JSON; raises ValueError where it is too large to be written again."""
    number = float(text)
    return number if math.isfinite(number) else refuse(text)


EXPECTED = {
    "missing": "is missing",
    "model_type": "should be an object",
    "is_instance_of": "should be text",
    "string_type": "should be text",
    "tuple_type": "should be a list",
    "too_long": "has too many items",
    "string_pattern_mismatch": "is no HTTP method",
}
"""Pydantic's name of an error -> our words, where its own speak of Python."""

DEEPEST = 3
"""Items of `chunks` and `headers` are named; what is inside of them is short enough to see."""


def describe(error: ValidationError, deepest: int = DEEPEST) -> str:
    """The first thing that is wrong, as `place: what`; never a value from the line."""
    first = error.errors(include_url=False, include_input=False)[0]
    index = first.get("ctx", {}).get("index")
    place = [*first["loc"], *([] if index is None else [index])][:deepest]
    what = EXPECTED.get(first["type"]) or first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "missing" and len(first["loc"]) > deepest:
        what = "has too few items"
    return ": ".join([".".join(map(str, place)), what] if place else [what])


def to_line(exchange: Exchange) -> str:
    """An exchange as one line without its newline, in UTF-8 that no terminal or line splitter acts on."""
    text = json.dumps(line_of(exchange), ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def line_of(exchange: Exchange) -> dict[str, Any]:
    """An exchange as the object that its line holds."""
    extra = dict(exchange.extra)
    line: dict[str, Any] = {
        "request": request_line(exchange.request) | extra.pop("request", {}),
        "response": response_line(exchange.response, extra.pop("response", {})),
        "end": exchange.state.value,
        "started_at": healed(exchange.started_at),
        "upstream": healed(exchange.upstream),
        "connect_ns": exchange.connect_ns,
        "error_bound_ns": exchange.error_bound_ns,
        "timing_known": exchange.timing_known,
        "error": None if exchange.error is None else healed(exchange.error),
    }
    return line | rare(exchange) | extra


def rare(exchange: Exchange) -> dict[str, Any]:
    """The keys that a line holds only where they say something."""
    keys: dict[str, Any] = {"rewritten": True} if exchange.rewritten else {}
    return keys if exchange.response or not exchange.end_ns else keys | {"end_ns": exchange.end_ns}


def request_line(request: Request) -> dict[str, Any]:
    """The request of a line."""
    line: dict[str, Any] = {
        "method": request.method,
        "url": plain_url(request.url),
        "http_version": request.http_version,
        "headers": request.headers,
        "body": data_of(request.body),
    }
    return line if request.path == path_of(request.url) else line | {"path": plain_url(request.path)}


def response_line(response: Response | None, extra: Mapping[str, Any]) -> dict[str, Any] | None:
    """The response of a line; None where none came."""
    if response is None:
        return None
    line: dict[str, Any] = {
        "status": response.status,
        "http_version": response.http_version,
        "headers": response.headers,
        "headers_ns": response.headers_ns,
        "chunks": [(offset, data_of(data)) for offset, data in response.chunks],
        "end_ns": response.end_ns,
    }
    return line | dict(extra)


def data_of(data: bytes) -> str | dict[str, str]:
    """Bytes as text where they are UTF-8, else as base64."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
