"""Streams and plain bodies of a dialect, derived: how a row reads them is seen at the end of the pipe."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from harness.core.derive import Derived, derive
from harness.core.exchange import Exchange, Request, Response

type Stream = Callable[..., Derived]
type Body = Callable[..., Derived]

MS = 1_000_000


def sse(value: Any) -> bytes:
    """An SSE event of a JSON value, named as its `type` says; text is sent as it is."""
    if isinstance(value, str):
        return f"data: {value}\n\n".encode()
    name = value.get("type") if isinstance(value, dict) else None
    lines = [f"event: {name}\n"] if name else []
    return "".join([*lines, f"data: {json.dumps(value)}\n\n"]).encode()


def ndjson(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


@pytest.fixture
def derive_stream() -> Stream:
    """Derive a stream of these values, one every ms from 1 ms on. `lines`: as NDJSON."""

    def derived(path: str, *values: Any, lines: bool = False, asked: str | None = None) -> Derived:
        media_type = "application/x-ndjson" if lines else "text/event-stream"
        written = [(ndjson if lines else sse)(value) for value in values]
        chunks = tuple((number * MS, data) for number, data in enumerate(written, 1))
        request = Request("POST", f"https://api.test{path}", (), json.dumps({"model": asked}).encode())
        return derive(Exchange(request, Response(200, (("Content-Type", media_type),), 0, chunks, 0)))

    return derived


@pytest.fixture
def derive_body() -> Body:
    """Derive a plain JSON body."""

    def derived(path: str, value: Any, status: int = 200, asked: str | None = None) -> Derived:
        request = Request("POST", f"https://api.test{path}", (), json.dumps({"model": asked}).encode())
        chunks = ((MS, json.dumps(value).encode()),)
        return derive(
            Exchange(request, Response(status, (("Content-Type", "application/json"),), 0, chunks, 0))
        )

    return derived
