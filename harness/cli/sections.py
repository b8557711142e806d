"""One exchange laid out for people (titled sections of safe lines) and for machines (an object).

The law of this file: nothing is printed here; every line has been made visible.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from harness.cli.output import cell, milliseconds
from harness.cli.timeline import as_rows, lines_of, marks_of
from harness.core.canonical import plain_body
from harness.core.derive import Derived
from harness.core.exchange import Exchange, Headers
from harness.core.interchange import data_of, line_of
from harness.core.visible import visible

SHOWN = 40
"""Lines that are shown of a body or a text, unless all is asked for."""

type Section = tuple[str, list[str]]


def sections(exchange: Exchange, derived: Derived, *, width: int, everything: bool) -> Iterator[Section]:
    """Titles with their lines; the timeline at most `width` cells wide, unless everything is asked for."""
    request, response = exchange.request, exchange.response
    yield overview(exchange, derived)
    yield visible(f"{request.method} {request.url} {request.http_version}"), header_lines(request.headers)
    yield from body_section("request body", request.headers, request.body, everything=everything)
    if response is None:
        return
    yield visible(f"{response.http_version} {response.status}"), header_lines(response.headers)
    if not derived.stream:
        yield from body_section("response body", response.headers, response.body, everything=everything)
    yield from content_sections(derived, everything=everything)
    name, marks = marks_of(exchange, derived)
    if marks:
        yield "timeline", lines_of(name, marks, response.end_ns, width=width, everything=everything)


def review_sections(exchange: Exchange, derived: Derived) -> Iterator[Section]:
    """What a person reviews of a change of the recording: no times, nor headers, which always change."""
    request, response, usage = exchange.request, exchange.response, derived.usage
    yield visible(f"{request.method} {request.path}"), []
    yield from body_section("request body", request.headers, request.body, everything=True)
    if response is None:
        yield visible(f"no response: {exchange.error or exchange.state.value}"), []
        return
    tokens = f"{usage.input or 0} tokens in, {usage.output or 0} out"
    yield " ".join(map(str, (response.status, exchange.state.value, derived.finish_reason or ""))), [tokens]
    yield from content_sections(derived, everything=True)
    if not (derived.stream or derived.text or derived.tool_calls):
        yield from body_section("response body", response.headers, response.body, everything=True)


def content_sections(derived: Derived, *, everything: bool) -> Iterator[Section]:
    """What was generated, put together."""
    for title, text in (("reasoning", derived.reasoning), ("text", derived.text)):
        if text:
            yield title, shortened([visible(line) for line in text.split("\n")], everything=everything)
    if derived.tool_calls:
        calls = (
            f"{call.name or '?'} {call.arguments}  ({call.id or 'no id'})" for call in derived.tool_calls
        )
        yield "tool calls", [visible(call) for call in calls]


def overview(exchange: Exchange, derived: Derived) -> Section:
    """The facts that are known."""
    facts = facts_of(exchange, derived) | {"timing_known": None if exchange.timing_known else "no"}
    known = {name.replace("_", " "): cell(value) for name, value in facts.items() if value is not False}
    shown = {name: value for name, value in known.items() if value}
    width = max(map(len, shown))
    return f"exchange {exchange.id}", [f"{name:{width}}  {value}" for name, value in shown.items()]


def facts_of(exchange: Exchange, derived: Derived) -> dict[str, Any]:
    """The facts about an exchange, by name; None where unknown. Times are ms from t0."""
    response, usage = exchange.response, derived.usage
    return {
        "started_at": exchange.started_at,
        "upstream": exchange.upstream,
        "state": exchange.state.value,
        "error": exchange.error,
        "provider_error": derived.error,
        "model": derived.model,
        "dialect": derived.dialect,
        "stream": derived.stream,
        "finish_reason": derived.finish_reason,
        "tokens_in": usage.input,
        "tokens_out": usage.output,
        "tokens_cached": usage.cached,
        "tokens_reasoning": usage.reasoning,
        "connect_ms": milliseconds(exchange.connect_ns),
        "headers_ms": milliseconds(response.headers_ns) if response else None,
        "ttft_ms": milliseconds(derived.ttft_ns),
        "duration_ms": milliseconds(response.end_ns if response else exchange.end_ns),
        "error_bound_ms": milliseconds(exchange.error_bound_ns),
        "timing_known": exchange.timing_known,
        "rewritten": exchange.rewritten,
    }


def header_lines(headers: Headers) -> list[str]:
    """Headers as lines."""
    return [visible(f"{name}: {value}") for name, value in headers]


def body_section(title: str, headers: Headers, body: bytes, *, everything: bool) -> Iterator[Section]:
    """A body, decoded and indented where it is JSON; nothing where it is empty."""
    if body:
        lines = readable(plain_body(body, headers)).split("\n")
        shown = shortened([visible(line, keep="\t") for line in lines], everything=everything)
        yield f"{title}, {len(body)} bytes", shown


def readable(body: bytes) -> str:
    """A body as text; JSON indented."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass
    try:
        return body.decode().rstrip("\n")
    except UnicodeDecodeError:
        return "(no UTF-8)"


def shortened(lines: list[str], *, everything: bool) -> list[str]:
    """The first lines, and how many there are beside."""
    if everything or len(lines) <= SHOWN + 1:
        return lines
    return [*lines[:SHOWN], f"… {len(lines) - SHOWN} more lines (--all shows them)"]


def as_object(exchange: Exchange, derived: Derived) -> dict[str, Any]:
    """The facts, request and response as in the interchange format but with one `body`, the timeline."""
    line = line_of(exchange)
    if exchange.response is not None:
        del line["response"]["chunks"]
        line["response"]["body"] = data_of(exchange.response.body)
    name, marks = marks_of(exchange, derived)
    return {
        "id": exchange.id,
        **facts_of(exchange, derived),
        "request": line["request"],
        "response": line["response"],
        "text": derived.text,
        "reasoning": derived.reasoning,
        "tool_calls": [asdict(call) for call in derived.tool_calls],
        "timeline_of": name,
        "timeline": as_rows(marks),
    }
