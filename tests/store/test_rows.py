"""What goes into the tables comes out again, however odd."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.canonical import match_key
from harness.core.derive import Derived, Usage
from harness.core.exchange import Exchange, Request, Response, State
from harness.store.database import DatabaseRecording
from harness.store.rows import derived_columns, request_columns

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]

GET = Request("GET", "http://a.test/v1/models", path="/v1/models?")
ODD = [
    Exchange(GET, None, State.CONNECT_FAILED, error="refused", end_ns=7, connect_ns=3),
    Exchange(GET, Response(204, (), 5, (), 6), end_ns=6),
    Exchange(GET, Response(200, (), 5, ((5, b""), (5, b"\xff\0")), 9), State.UPSTREAM_CUT, end_ns=9),
    Exchange(
        Request(
            "POST", "https://[::1]:8/x", (("A", "caf\udce9"), ("a", "")), b"\0\xff", "HTTP/2.0", "/x?a=%20"
        ),
        Response(599, (("B", "\udcff\n"),), 0, (), 2**63 - 1, "HTTP/2.0"),
        State.CLIENT_ABORT,
        started_at="2026-01-02T03:04:05.000000001Z",
        upstream="é",
        error_bound_ns=9,
        timing_known=False,
        rewritten=True,
        end_ns=2**63 - 1,
        extra={"x-é": [1.5, None, "\udc80"], "request": {"deep": {}}},
    ),
]


@pytest.mark.parametrize("exchange", ODD)
def test_an_exchange_comes_back_as_it_was(exchange: Exchange, write: Write) -> None:
    with DatabaseRecording(write(exchange)) as recording:
        assert list(recording.exchanges()) == [replace(exchange, id=1, capture=1)]


def test_a_stream_as_people_query_it(make_exchange: MakeExchange, write: Write) -> None:
    exchange = make_exchange()
    with closing(sqlite3.connect(write(exchange))) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM exchanges").fetchone())
        events = connection.execute("SELECT offset_ns, name, data FROM events ORDER BY seq").fetchall()
        chunks = connection.execute("SELECT offset_ns, data FROM chunks ORDER BY seq").fetchall()
    request = exchange.request
    expected: dict[str, Any] = {
        "capture_id": 1, "position": 1, "upstream": "openai", "state": "complete", "method": "POST",
        "scheme": "http", "host": "api.test", "port": None, "path": "/v1/chat/completions", "query": None,
        "match_key": match_key("POST", request.path, request.body, request.headers),
        "dialect": "openai.chat", "model": "tiny", "stream": 1, "status": 200, "headers_ns": 90_000_000,
        "first_ns": 100_000_000, "ttft_ns": 100_000_000, "end_ns": 141_000_000, "chunk_count": 5,
        "tokens_in": 5, "tokens_out": 3, "finish_reason": "stop", "error": None, "extra": None,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert json.loads(row["response_headers"]) == [
        ["Content-Type", "text/event-stream"],
        ["X-Request-Id", "r1"],
    ]
    assert exchange.response is not None
    assert [tuple(chunk) for chunk in chunks] == list(exchange.response.chunks)
    assert [event["data"] for event in events] == [data.decode()[6:-2] for _, data in chunks]
    assert [event["offset_ns"] for event in events] == [offset_ns for offset_ns, _ in chunks]


def test_events_are_text_whatever_their_bytes(make_exchange: MakeExchange, write: Write) -> None:
    response = Response(200, (("content-type", "text/event-stream"),), 1, ((2, b"data: caf\xe9\0!\n\n"),), 3)
    with closing(sqlite3.connect(write(make_exchange(response=response)))) as connection:
        assert connection.execute("SELECT data FROM events").fetchall() == [("caf\ufffd\0!",)]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://a.test:8443/x", ("https", "a.test", 8443)),
        ("http://[::1]/x", ("http", "::1", None)),
        ("http://a.test:port/x", ("", "", None)),
        ("nonsense", ("", "", None)),
    ],
)
def test_where_the_upstream_was_and_nonsense_stops_nobody(
    url: str, origin: tuple[str, str, int | None]
) -> None:
    row = request_columns(Request("GET", url))
    assert (row["scheme"], row["host"], row["port"]) == origin


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("/a", ("/a", None)),
        ("/a?", ("/a", "")),
        ("/a?b?c", ("/a", "b?c")),
        ("/\udce9?\udcff", ("/%E9", "%FF")),
    ],
)
def test_path_and_query(path: str, stored: tuple[str, str | None]) -> None:
    row = request_columns(Request("GET", "http://a.test/", path=path))
    assert (row["path"], row["query"]) == stored


def test_figures_that_no_column_holds_are_unknown() -> None:
    derived = Derived("openai.chat", model="\ud800", usage=Usage(input=2**63, output=2**63 - 1))
    row = derived_columns(derived)
    assert (row["tokens_in"], row["tokens_out"], row["model"]) == (None, 2**63 - 1, "\ufffd")
