"""Faults: what can be made to go wrong with an answer, one model a kind.

The law of this file: a fault says what, not when (`harness.core.fault_rules`) and not how
(`harness.core.spoiling`). Its fields are an interface: the same names stand in flags, files, request
headers and the admin API. Times are of the client's clock, whatever the speed: a stall of two seconds
lasts two seconds in a replay at speed 0. The first line of a model's docstring is its row in the docs.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationError, model_validator
from pydantic_core import ErrorDetails

from harness.core.document import Document

NS_PER_S = 1_000_000_000
UNITS_NS = {"ms": NS_PER_S // 1000, "s": NS_PER_S, "m": 60 * NS_PER_S}
DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m)", re.ASCII)
LONGEST_NAME = 40
"""Of a name that is none, so much is repeated."""
LONGEST_NS = 24 * 3600 * NS_PER_S
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header (RFC 9110, 5.6.2)."""
FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})
NOT_IN_LINES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
"""What would end a header's line, or cannot be sent."""


def duration_ns(value: object) -> int:
    """A length of time, such as `2s` or `300ms`, in ns. ValueError for anything else.

    >>> duration_ns("1.5s")
    1500000000
    """
    found = DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write a number and its unit, for example 2s or 300ms")
    ns = round(float(found[1]) * UNITS_NS[found[2]])
    if ns > LONGEST_NS:
        raise ValueError("is longer than a day")
    return ns


def duration_text(ns: int) -> str:
    """A length of time as it is written.

    >>> duration_text(1_500_000_000), duration_text(20_000_000)
    ('1.5s', '20ms')
    """
    return f"{ns / NS_PER_S:g}s" if ns >= NS_PER_S else f"{ns / UNITS_NS['ms']:g}ms"


def seconds_ns(value: object) -> int:
    """As `duration_ns`, and a bare number counts seconds, as `retry-after` does (RFC 9110, 10.2.3)."""
    bare = isinstance(value, int) or (isinstance(value, str) and value.strip().isdigit())
    return duration_ns(f"{value}s" if bare else value)


def line(text: str) -> str:
    """Text that fits into one line of a head or of a stream."""
    if NOT_IN_LINES.search(text):
        raise ValueError("cannot hold line breaks or control characters")
    return text


def field_names(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Headers whose names are such."""
    if wrong := next((name for name in headers if not TOKEN.fullmatch(name)), None):
        raise ValueError(f"{wrong!r} is no name of a header")
    if framing := next((name for name in headers if name.lower() in FRAMING), None):
        raise ValueError(f"{framing} is up to the server")
    return headers


type Duration = Annotated[int, BeforeValidator(duration_ns), PlainSerializer(duration_text, when_used="json")]
type Seconds = Annotated[int, BeforeValidator(seconds_ns), PlainSerializer(duration_text, when_used="json")]
type Line = Annotated[str, AfterValidator(line)]
type Count = Annotated[int, Field(ge=1)]
type Place = Annotated[int, Field(ge=0)]


UNSPOKEN = {"kind", "headers"}
"""Fields that have no place in a line."""


def quoted(value: object) -> str:
    """A value as it is written in a line: in quotes where it holds what parts fields."""
    text = str(value)
    return f'"{text}"' if "," in text or ";" in text else text


def written(model: Document, unspoken: set[str] | None = None) -> list[str]:
    """The fields of a model that are not as they always are, each as it is written in a line."""
    fields = model.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=unspoken)
    return [f"{name}={quoted(value)}" for name, value in fields.items()]


SSE, NDJSON, PLAIN = "SSE", "NDJSON", "plain"
ANY, STREAMS = (SSE, NDJSON, PLAIN), (SSE, NDJSON)


class Fault(Document):
    """Any fault. `needs_body`: it does something to the answer's body; `of`: to the bodies of these forms."""

    kind: str
    needs_body: ClassVar[bool] = True
    of: ClassVar[tuple[str, ...]] = ANY

    def words(self) -> str:
        """As it is written in a request's header.

        >>> Cut(kind="cut", event=3).words()
        'cut; event=3'
        """
        return "; ".join([self.kind, *written(self, UNSPOKEN)])


class Placed(Fault):
    """A fault at a place: after an event (0: before the first), or after a byte of the decoded body."""

    event: Place | None = None
    byte: Place | None = None

    @model_validator(mode="after")
    def one_place(self) -> Self:
        """There is one place at most."""
        if self.event is not None and self.byte is not None:
            raise ValueError("event and byte exclude each other")
        return self


class HttpError(Fault):
    """An error status in the API's own form, with its headers, before anything is matched."""

    kind: Literal["error"]
    status: Annotated[int, Field(ge=400, le=599)]
    retry_after: Seconds | None = None
    message: Line = ""
    headers: Annotated[dict[str, Line], AfterValidator(field_names)] = Field(default_factory=dict)
    needs_body: ClassVar[bool] = False


class Cut(Placed):
    """The answer breaks off, and the connection is closed. Without a place: half way."""

    kind: Literal["cut"]


class Reset(Placed):
    """The connection is reset (RST). Without a place: before any answer, and before anything is matched."""

    kind: Literal["reset"]

    @property
    def is_before_answer(self) -> bool:
        """Whether nothing at all is answered."""
        return self.event is None and self.byte is None


class Stall(Placed):
    """Silence for so long, then the rest as it was recorded. Without a place: half way."""

    kind: Literal["stall"]
    for_: Duration = Field(alias="for")


class Trickle(Placed):
    """At most `rate` bytes of the body a second. Without a place: from its first byte."""

    kind: Literal["trickle"]
    rate: Count


class Malformed(Fault):
    """One event (or a plain body) is no JSON (`how=json`), or no UTF-8 (`how=utf8`)."""

    kind: Literal["malformed"]
    event: Count = 1
    how: Literal["json", "utf8"] = "json"


class NoTerminator(Fault):
    """The stream ends properly, but without what ends it in its API, such as `[DONE]`."""

    kind: Literal["no-terminator"]
    of: ClassVar[tuple[str, ...]] = STREAMS


class Duplicate(Fault):
    """One event comes twice."""

    kind: Literal["duplicate"]
    event: Count = 1
    of: ClassVar[tuple[str, ...]] = STREAMS


class Delay(Fault):
    """Everything comes so much later, the headers too."""

    kind: Literal["delay"]
    for_: Duration = Field(alias="for")
    needs_body: ClassVar[bool] = False


class ContentType(Fault):
    """Another content type is declared than the body has."""

    kind: Literal["content-type"]
    type: Line = "text/html"
    needs_body: ClassVar[bool] = False


class Comments(Fault):
    """A comment (`: ping`) before every event, or every `each`th; before a plain body, white space."""

    kind: Literal["comments"]
    text: Line = "ping"
    each: Count = 1
    of: ClassVar[tuple[str, ...]] = (SSE, PLAIN)


MODELS: tuple[type[Fault], ...] = (
    HttpError, Cut, Reset, Stall, Trickle, Malformed, NoTerminator, Duplicate, Delay, ContentType, Comments
)  # fmt: skip
KINDS: dict[str, type[Fault]] = {model.model_fields["kind"].annotation.__args__[0]: model for model in MODELS}  # type: ignore[union-attr]
"""Kind -> its model."""


def fault_of(fields: Mapping[str, Any]) -> Fault:
    """The fault that these fields describe. ValueError in one line, which names the field, for others."""
    kind = fields.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        said = "is missing" if kind is None else f"there is no fault {str(kind)[:LONGEST_NAME]!r}"
        raise ValueError(f"kind: {said}; there are {', '.join(KINDS)}")
    return checked(model, fields, str(kind))


def checked[T: Document](model: type[T], fields: Mapping[str, Any], name: str) -> T:
    """A model of these fields. ValueError in one line for what does not fit; `name`: what people call it."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ValueError(said_of(first, model, name)) from None


def said_of(error: ErrorDetails, model: type[Document], name: str) -> str:
    """What is wrong with a field, in words."""
    where = ".".join(map(str, error["loc"]))[:LONGEST_NAME]
    if error["type"] == "extra_forbidden":
        return f"{where}: {name} has no such field; it has {', '.join(names_of(model)) or 'none'}"
    missing = error["type"] == "missing"
    message = "is missing" if missing else error["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def names_of(model: type[Document]) -> list[str]:
    """The fields of a model as people write them, but for the kind."""
    fields = model.model_fields.items()
    return [(field.alias or name) for name, field in fields if name != "kind"]
