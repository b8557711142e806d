"""Exchanges and captures as rows of the tables, and back.

The law of this file: what an exchange holds comes back as it was; what is derived is stored beside
for people who query, and never read back as truth. Text that UTF-8 cannot hold stays exact inside
of JSON (headers, extra), is percent-encoded in URLs, and replaced by U+FFFD elsewhere.
"""

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from harness.core.canonical import match_key
from harness.core.derive import Derived
from harness.core.exchange import Exchange, Headers, Request, Response, State
from harness.core.json_text import healed
from harness.core.redaction import Rules
from harness.core.url import Origin, origin, plain_url
from harness.store.capture import Capture

type Row = dict[str, Any]

MAX_INTEGER = 2**63 - 1
"""The largest integer of an SQLite column."""


def insert(table: str, row: Row) -> str:
    """The statement that inserts a row with these columns."""
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"  # noqa: S608  names of ours


def exchange_row(exchange: Exchange, derived: Derived, capture_id: int, position: int) -> Row:
    """The row of an exchange, without its id."""
    return (
        {"capture_id": capture_id, "position": position}
        | request_columns(exchange.request)
        | response_columns(exchange.response, exchange.end_ns)
        | derived_columns(derived)
        | {
            "started_at": healed(exchange.started_at),
            "upstream": healed(exchange.upstream),
            "state": exchange.state.value,
            "connect_ns": exchange.connect_ns,
            "error_bound_ns": exchange.error_bound_ns,
            "timing_known": exchange.timing_known,
            "rewritten": exchange.rewritten,
            "error": optional(exchange.error),
            "extra": json.dumps(dict(exchange.extra)) if exchange.extra else None,
        }
    )


def request_columns(request: Request) -> Row:
    """What the client asked for. `query` is None where the path has no question mark."""
    url = plain_url(request.url)
    scheme, host, port = origin_or_nothing(url)
    path, mark, query = plain_url(request.path).partition("?")
    return {
        "method": healed(request.method),
        "scheme": scheme,
        "host": host,
        "port": port,
        "path": path,
        "query": query if mark else None,
        "url": url,
        "request_http_version": request.http_version,
        "match_key": match_key(request.method, request.path, request.body, request.headers),
        "request_headers": json.dumps(request.headers),
        "request_body": request.body,
    }


def origin_or_nothing(url: str) -> Origin:
    """Where a URL points to; empty for a malformed one, which must not stop a recorder."""
    try:
        return origin(url)
    except ValueError:
        return Origin("", "", None)


def response_columns(response: Response | None, end_ns: int) -> Row:
    """What came back; `end_ns` is the exchange's own, which counts where nothing came."""
    if response is None:
        return {"end_ns": end_ns, "chunk_count": 0}
    return {
        "status": response.status,
        "http_version": response.http_version,
        "response_headers": json.dumps(response.headers),
        "headers_ns": response.headers_ns,
        "first_ns": response.chunks[0][0] if response.chunks else None,
        "end_ns": response.end_ns,
        "chunk_count": len(response.chunks),
    }


def derived_columns(derived: Derived) -> Row:
    """What the body says."""
    usage = derived.usage
    return {
        "dialect": derived.dialect,
        "model": optional(derived.model),
        "stream": derived.stream,
        "ttft_ns": derived.ttft_ns,
        "tokens_in": integer(usage.input),
        "tokens_out": integer(usage.output),
        "tokens_cached": integer(usage.cached),
        "tokens_reasoning": integer(usage.reasoning),
        "finish_reason": optional(derived.finish_reason),
    }


def optional(text: str | None) -> str | None:
    """Text that UTF-8 can hold, or None."""
    return None if text is None else healed(text)


def integer(value: int | None) -> int | None:
    """An integer that fits a column; providers send what they like."""
    return None if value is None or abs(value) > MAX_INTEGER else value


def event_rows(exchange_id: int, derived: Derived) -> Iterable[tuple[int, int, int, str | None, str]]:
    """The rows of `events`."""
    for seq, event in enumerate(derived.events):
        yield exchange_id, seq, event.offset_ns, optional(event.name), event.data.decode("utf-8", "replace")


def exchange_of(row: sqlite3.Row, chunks: tuple[tuple[int, bytes], ...]) -> Exchange:
    """The exchange of a row."""
    return Exchange(
        request=request_of(row),
        response=response_of(row, chunks),
        state=State(row["state"]),
        started_at=row["started_at"],
        upstream=row["upstream"],
        connect_ns=row["connect_ns"],
        error_bound_ns=row["error_bound_ns"],
        timing_known=bool(row["timing_known"]),
        rewritten=bool(row["rewritten"]),
        error=row["error"],
        end_ns=row["end_ns"],
        id=row["id"],
        capture=row["capture_id"],
        extra=json.loads(row["extra"]) if row["extra"] else {},
    )


def request_of(row: sqlite3.Row) -> Request:
    """The request of a row."""
    path = row["path"] if row["query"] is None else f"{row['path']}?{row['query']}"
    headers = headers_of(row["request_headers"])
    return Request(row["method"], row["url"], headers, row["request_body"], row["request_http_version"], path)


def response_of(row: sqlite3.Row, chunks: tuple[tuple[int, bytes], ...]) -> Response | None:
    """The response of a row; None where no head came."""
    if row["status"] is None:
        return None
    headers = headers_of(row["response_headers"])
    return Response(row["status"], headers, row["headers_ns"], chunks, row["end_ns"], row["http_version"])


def headers_of(text: str) -> Headers:
    """Headers from their JSON."""
    return tuple((name, value) for name, value in json.loads(text))


def capture_row(capture: Capture) -> Row:
    """The row of a capture that begins, without its id."""
    return {
        "started_at": capture.started_at,
        "upstreams": json.dumps(dict(capture.upstreams)),
        "versions": json.dumps(dict(capture.versions)),
        "clock": json.dumps(dict(capture.clock)),
        "host": healed(capture.host),
        "redaction": capture.redaction.to_json() if capture.redaction else None,
    }


def capture_of(row: sqlite3.Row) -> Capture:
    """The capture of a row."""
    return Capture(
        started_at=row["started_at"],
        upstreams=json.loads(row["upstreams"]),
        versions=json.loads(row["versions"]),
        clock=json.loads(row["clock"]),
        host=row["host"],
        redaction=Rules.from_json(row["redaction"]) if row["redaction"] else None,
        ended_at=row["ended_at"],
        id=row["id"],
        masked=json.loads(row["masked"]) if row["masked"] else {},
    )
