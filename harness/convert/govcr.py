"""Cassettes of go-vcr (https://github.com/dnaeon/go-vcr), versions 1 and 2, YAML or JSON, in.

The law of this file: Go's client decodes gzip that it asked for itself and takes the header away; what is
left of `content-encoding` may or may not be true. `duration` is one total, and no time of a chunk.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from harness.convert.interaction import Interaction
from harness.convert.vcr import bytes_of, headers_of


class Asked(BaseModel):
    """A request. `form` repeats what a form's body holds."""

    method: str
    url: str
    headers: dict[str, Any] | None = None
    body: Any = None
    proto: str = ""


class Answered(BaseModel):
    """An answer: `code` is the status, `status` its line."""

    code: int
    headers: dict[str, Any] | None = None
    body: Any = None
    proto: str = ""


class Recorded(BaseModel):
    """An interaction."""

    request: Asked
    response: Answered


class Cassette(BaseModel):
    """A cassette."""

    interactions: list[Recorded]


def interactions(document: Any) -> Iterator[Interaction]:
    """The interactions of a parsed cassette; pydantic's ValidationError names what is wrong."""
    return map(interaction_of, Cassette.model_validate(document).interactions)


def interaction_of(found: Recorded) -> Interaction:
    """One interaction."""
    return Interaction(
        method=found.request.method or "GET",  # what Go's client takes an empty one for
        url=found.request.url,
        request_headers=headers_of(found.request.headers),
        request_body=bytes_of(found.request.body),
        status=found.response.code,
        response_headers=headers_of(found.response.headers),
        response_body=bytes_of(found.response.body),
        http_version=found.response.proto or "HTTP/1.1",
    )
