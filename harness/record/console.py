"""What the recorder says while it runs: one line an exchange.

The law of this file: pure, exchanges in (redacted ones), text out; no character that a terminal obeys.
Times are shown in ms or s.
"""

import json
from collections.abc import Mapping

from harness.core.derive import Derived
from harness.core.exchange import Exchange
from harness.core.visible import counted, visible

NOTHING: Mapping[str, int] = {}
NOT_RECORDED = {"websocket": "WebSocket", "connection": "non-HTTP connection", "host": "host"}
"""Kinds of what passes (`harness.record.message.Passed`), as people read them."""
PATH, MODEL = 32, 24
"""Widths of the columns."""


def line(exchange: Exchange, derived: Derived) -> str:
    """Method, path, status, model, chunks, TTFT, duration and state, in columns."""
    response = exchange.response
    status = str(response.status) if response else "-"
    chunks = len(response.chunks) if response else 0
    return (
        f"{visible(exchange.request.method):<6} {fitted(bare(exchange.request.path), PATH)} {status:>3} "
        f"{fitted(derived.model or '-', MODEL)} {chunks:>5} chunks  ttft {duration(derived.ttft_ns)}  "
        f"{duration(end_ns(exchange))}  {exchange.state}"
    )


def as_json(number: int, exchange: Exchange, derived: Derived) -> str:
    """The same as one JSON object; `id` is that of the recording, times are in ms."""
    response = exchange.response
    fields = {
        "id": number,
        "method": exchange.request.method,
        "path": bare(exchange.request.path),
        "status": response.status if response else None,
        "model": derived.model,
        "chunks": len(response.chunks) if response else 0,
        "ttft_ms": None if derived.ttft_ns is None else derived.ttft_ns / 1e6,
        "duration_ms": end_ns(exchange) / 1e6,
        "state": exchange.state,
    }
    return json.dumps(fields)


def summary(states: Mapping[str, int] | None, place: str, passed: Mapping[str, int] = NOTHING) -> str:
    """How many exchanges are where, by state (None: nobody counted to the end); what `passed`, by kind.

    >>> summary({"complete": 2, "client_abort": 1}, "a.db")
    'recorded 3 exchanges in a.db: 2 complete, 1 client_abort'
    """
    if states is None:
        return f"what is stored in {place} was not counted"
    count = sum(states.values())
    parts = ", ".join(f"{number} {state}" for state, number in states.items())
    recorded = f"recorded {counted(count, 'exchange')} in {place}{': ' if parts else ''}{parts}"
    left = ", ".join(counted(number, NOT_RECORDED.get(kind, kind)) for kind, number in passed.items())
    return f"{recorded}; not recorded: {left}" if left else recorded


def end_ns(exchange: Exchange) -> int:
    """The end of an exchange, in ns from t0."""
    return exchange.response.end_ns if exchange.response else exchange.end_ns


def bare(path: str) -> str:
    """A path without its query."""
    return path.partition("?")[0]


def fitted(text: str, width: int) -> str:
    """Exactly so many characters: the end of a long text says more than its beginning.

    >>> fitted("/v1/chat/completions", 13), fitted("gpt", 5)
    ('…/completions', 'gpt  ')
    """
    text = visible(text)
    return text.ljust(width) if len(text) <= width else "…" + text[len(text) - width + 1 :]


def duration(ns: int | None) -> str:
    """Nine characters.

    >>> duration(1_523_000_000), duration(289_140_000), duration(None)
    ('   1.52 s', ' 289.1 ms', '        -')
    """
    if ns is None:
        return f"{'-':>9}"
    return f"{ns / 1e9:7.2f} s" if ns >= 1_000_000_000 else f"{ns / 1e6:6.1f} ms"
