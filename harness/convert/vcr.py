"""Cassettes of VCR.py (https://vcrpy.readthedocs.io) and of Ruby's VCR, as YAML or JSON, in; VCR.py YAML out.

The law of this file: VCR.py's headers are name -> list of values, bodies are text (UTF-8) or binary.
Ruby's VCR keeps `http_interactions`; httpx stubs of VCR.py before 6.0 wrote `status_code` and `content`;
pydantic-ai and others write `parsed_body` in place of a JSON body.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

import yaml
from pydantic import BaseModel, model_validator

from harness.convert.interaction import Interaction, date_of
from harness.core.exchange import Exchange, Headers
from harness.core.json_text import healed
from harness.core.url import plain_url

Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's, where it is there: ten times as fast."""

VERSION = 1
"""Of the cassettes that VCR.py writes since 1.0."""


def headers_of(values: dict[str, Any] | None) -> Headers:
    """Headers of a cassette: a value, or a list of them."""
    return tuple(
        (name, str(value))
        for name, given in (values or {}).items()
        for value in (given if isinstance(given, list) else [given])
        if value is not None
    )


def bytes_of(value: Any) -> bytes:
    """A body as it stands in a cassette: text, bytes, or a mapping with either; JSON that was parsed."""
    match value:
        case None:
            return b""
        case bytes():
            return value
        case str():
            return value.encode("utf-8", "surrogateescape")
        case {"base64_string": str(text)}:
            return base64_of(text)
        case {"string": text}:
            return bytes_of(text)
        case _:
            return json_of(value)


def json_of(value: Any) -> bytes:
    """JSON that was parsed, as a body. ValueError: it is none, as a date of YAML is not."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except TypeError as error:
        raise ValueError(f"a body is no JSON: {error}") from None


def base64_of(text: str) -> bytes:
    """Bytes from base64, in which lines may be broken. ValueError: it is none."""
    return base64.b64decode("".join(text.split()), validate=True)


class Message(BaseModel):
    """What requests and answers have in common."""

    headers: dict[str, Any] | None = None
    body: Any = None
    parsed_body: Any = None

    @property
    def content(self) -> bytes:
        """The body."""
        if self.parsed_body is None:
            return bytes_of(self.body)
        is_text = isinstance(self.parsed_body, str)
        return bytes_of(self.parsed_body) if is_text else json_of(self.parsed_body)


class Asked(Message):
    """A request."""

    method: str
    uri: str


class Status(BaseModel):
    """The status line."""

    code: int


class Answered(Message):
    """An answer."""

    status: Status

    @model_validator(mode="before")
    @classmethod
    def of_old_httpx(cls, value: Any) -> Any:
        """What the httpx stubs wrote before VCR.py 6.0: flat, under httpx's own names."""
        if isinstance(value, dict) and "status_code" in value:
            return {**value, "status": {"code": value["status_code"]}, "body": value.get("content")}
        return value


class Recorded(BaseModel):
    """An interaction."""

    request: Asked
    response: Answered
    recorded_at: str | None = None


class Cassette(BaseModel):
    """A cassette of either tool."""

    interactions: list[Recorded]

    @model_validator(mode="before")
    @classmethod
    def of_ruby(cls, value: Any) -> Any:
        """Ruby's VCR names them otherwise."""
        if isinstance(value, dict) and "http_interactions" in value:
            return {"interactions": value["http_interactions"]}
        return value


def interactions(document: Any) -> Iterator[Interaction]:
    """The interactions of a parsed cassette; pydantic's ValidationError names what is wrong."""
    return map(interaction_of, Cassette.model_validate(document).interactions)


def interaction_of(found: Recorded) -> Interaction:
    """One interaction."""
    return Interaction(
        method=found.request.method,
        url=found.request.uri,
        request_headers=headers_of(found.request.headers),
        request_body=found.request.content,
        status=found.response.status.code,
        response_headers=headers_of(found.response.headers),
        response_body=found.response.content,
        started_at=date_of(found.recorded_at or ""),
        decoded=True if found.response.parsed_body is not None else None,
    )


def cassette(exchanges: Iterable[Exchange]) -> Iterator[str]:
    """A YAML cassette of VCR.py in pieces of text, an exchange each; what got no answer is left out.

    Bodies are kept as they came; what is text stands as text, so that a change of it can be reviewed.
    """
    before = "interactions:\n"
    for exchange in exchanges:
        if exchange.response is not None:
            yield before + dumped([interaction_object(exchange)])
            before = ""
    yield "interactions: []\n" if before else ""
    yield f"version: {VERSION}\n"


def dumped(value: Any) -> str:
    """A value as YAML, which ends with a line feed."""
    text: str = yaml.dump(value, Dumper=Dumper, allow_unicode=True)
    return text


def interaction_object(exchange: Exchange) -> dict[str, Any]:
    """An exchange as VCR.py keeps it."""
    request, response = exchange.request, exchange.response
    assert response is not None
    return {
        "request": {
            "method": request.method,
            "uri": plain_url(request.url),
            "body": text_or_bytes(request.body),
            "headers": listed(request.headers),
        },
        "response": {
            "status": {"code": response.status, "message": reason_of(response.status)},
            "headers": listed(response.headers),
            "body": {"string": text_or_bytes(response.body)},
        },
    }


def listed(headers: Headers) -> dict[str, list[str]]:
    """Headers as VCR.py has them: each name once, as it was written first; YAML holds no broken UTF-8."""
    names: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(names.setdefault(name.lower(), healed(name)), []).append(healed(value))
    return found


def text_or_bytes(body: bytes) -> str | bytes:
    """A body as text where it is UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def reason_of(status: int) -> str:
    """The reason phrase of a status; empty for one that has none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
