"""A server that fails in known ways: exactly those requests are failures, each by its kind."""

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from tests.plugins.load import REQUEST, LoadCommand

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
ERROR = b'data: {"error":{"type":"server_error","code":"oom"}}\n\n'
STOP = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
EXPECTED = {
    "good": ("complete", None),
    "truncated": ("truncated", "no end of the stream"),
    "error": ("error_event", "server_error/oom"),
    "stalled": ("timeout", "silence"),
    "reset": ("truncated", "connection reset"),
}


def line(kind: str) -> str:
    """A recorded request to the path of a kind."""
    request = {"method": "POST", "url": f"http://x/{kind}/v1/chat/completions", "body": json.dumps(REQUEST)}
    return json.dumps({"request": request, "response": {"status": 200, "chunks": []}}) + "\n"


def test_exactly_what_fails_is_a_failure_by_kind(upstream: Any, tmp_path: Path) -> None:
    """Of 100 requests the server truncates 5 %, sends errors in 5 %, stalls 5 % and resets 5 %."""
    head = upstream.head(200, "Content-Type: text/event-stream")
    closing = upstream.head(200, "Content-Type: text/event-stream", "Connection: close")
    chunk, released = upstream.chunk, threading.Event()
    scripts = {
        "good": (head, chunk(EVENT), chunk(STOP), upstream.LAST),
        "truncated": (closing, EVENT, upstream.CLOSE),
        "error": (head, chunk(EVENT), chunk(ERROR), upstream.LAST),
        "stalled": (head, chunk(EVENT), released),
        "reset": (head, chunk(EVENT), upstream.RESET),
    }
    for kind, steps in scripts.items():
        upstream.on(f"/{kind}/v1/chat/completions", *steps)
    kinds = [*["good"] * 16, "truncated", "error", "stalled", "reset"]
    recording = tmp_path / "kinds.jsonl"
    recording.write_text("".join(map(line, kinds)))
    sent = ["--target", upstream.url, "--from", str(recording), "--no-null-test", "--stall-timeout", "0.4"]
    load = LoadCommand(
        tmp_path, *sent, "--concurrency", "10", "--request-count", "100", "--warmup-request-count", "0"
    )
    try:
        load.ends_with(1)
    finally:
        released.set()
    rows = load.requests()
    assert sorted(row["number"] for row in rows) == list(range(100))
    assert all((row["outcome"], row["error"]) == EXPECTED[kinds[row["call"]]] for row in rows)
    assert Counter(kinds[row["call"]] for row in rows) == {"good": 80, **dict.fromkeys(kinds[16:], 5)}
    figures = load.run()["figures"]
    assert (figures["successes"], figures["failures"]) == (80, 20)
    assert "80 succeeded, 20 failed (20.0 %)" in load.out
    assert all(word in load.out for word in ("error_event", "timeout", "truncated"))
