"""The built-in recording: a short OpenAI chat exchange for each behaviour that a recording may lack. Pure."""

import json
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from harness.core.exchange import Exchange, Request, Response, State
from harness.probe.behaviours import MS, WHOLE_STREAM, Behaviour

MODEL = "harness-probe"
URL = "http://provider.test/v1/chat/completions"
FIRST_NS = 50 * MS
GAP_NS = 25 * MS
TOKENS = 30
FLOWING_TOKENS = 100
"""Of a stream that the client leaves: it goes on for some seconds."""
FEW = 5
"""Tokens before something happens."""
LONG_SILENCE_NS = 3_000 * MS
STALL_NS = 1_500 * MS
STREAM_HEADERS = (
    ("content-type", "text/event-stream"),
    ("x-request-id", "probe-1"),
    ("x-ratelimit-limit", "7"),
)
JSON_HEADERS = (("content-type", "application/json"), ("x-request-id", "probe-1"))
USAGE = {"prompt_tokens": 3, "completion_tokens": FEW, "total_tokens": 3 + FEW}
DONE = b"data: [DONE]\n\n"

type Timed = tuple[int, bytes]
"""A gap in ns before it, and a chunk."""


def event(**fields: Any) -> bytes:
    """A chat stream's event."""
    base = {"id": "chatcmpl-probe", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    return f"data: {json.dumps({**base, **fields})}\n\n".encode()


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """The choices of an event."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def tokens(count: int, start: int = 0) -> list[Timed]:
    """So many tokens, a gap before each."""
    return [(GAP_NS, event(**delta(content=f" token{number}"))) for number in range(start, start + count)]


ROLE: Timed = (FIRST_NS, event(**delta(role="assistant", content="")))
FINISH: list[Timed] = [(GAP_NS, event(**delta(finish="stop"))), (GAP_NS, DONE)]
ERROR = {"error": {"message": "The server had an error", "type": "server_error", "code": "server_error"}}
ERROR_EVENT: Timed = (GAP_NS, f"data: {json.dumps(ERROR)}\n\n".encode())
USAGE_EVENT: Timed = (GAP_NS, event(choices=[], usage=USAGE))
UNKNOWN_EVENT: Timed = (
    GAP_NS,
    event(**delta(content="!", x_probe_delta="kept?"), x_probe={"kept": ["?"]}),
)
PINGS: list[Timed] = [(GAP_NS, b": keep-alive\n\n"), (GAP_NS, b"event: ping\ndata: {}\n\n")]


def request(behaviour: Behaviour) -> Request:
    """A chat request that says what it is for, so that no two are equal."""
    body = {
        "model": MODEL,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": f"probe: {behaviour.value}"}],
    }
    headers = (("content-type", "application/json"), ("accept", "text/event-stream"), ("x-probe", "kept?"))
    return Request("POST", URL, headers, json.dumps(body).encode())


def stream(behaviour: Behaviour, *parts: Timed, state: State = State.COMPLETE) -> Exchange:
    """A stream of these parts that ends in a state."""
    times = list(accumulate(gap_ns for gap_ns, _ in parts))
    chunks = tuple(zip(times, (data for _, data in parts), strict=True))
    response = Response(200, STREAM_HEADERS, times[0] - FIRST_NS // 2, chunks, times[-1])
    return Exchange(request(behaviour), response, state, end_ns=times[-1])


def refusal(behaviour: Behaviour, status: int, kind: str, *headers: tuple[str, str]) -> Exchange:
    """An error in place of a stream."""
    error = {"error": {"message": f"probe: {kind}", "type": kind, "code": kind}}
    body = json.dumps(error).encode()
    said = (*JSON_HEADERS, ("content-length", str(len(body))), *headers)
    response = Response(status, said, FIRST_NS, ((FIRST_NS, body),), FIRST_NS)
    return Exchange(request(behaviour), response, end_ns=FIRST_NS)


def built_in() -> Sequence[tuple[tuple[Behaviour, ...], Exchange]]:
    """The exchanges, with the behaviours that each is for."""
    few, flowing = tokens(FEW), tokens(FLOWING_TOKENS)
    late = [(LONG_SILENCE_NS, b": here again\n\n"), *tokens(FEW, FEW), *FINISH]
    stalled = [(STALL_NS, event(**delta(content=" again"))), *FINISH]
    b = Behaviour
    return (
        (WHOLE_STREAM, stream(b.DELIVERY, ROLE, *tokens(TOKENS), *FINISH)),
        ((b.USAGE,), stream(b.USAGE, ROLE, *few, FINISH[0], USAGE_EVENT, FINISH[1])),
        ((b.UNKNOWN,), stream(b.UNKNOWN, ROLE, *few, UNKNOWN_EVENT, *FINISH)),
        ((b.COMMENTS,), stream(b.COMMENTS, ROLE, *few, *PINGS, *FINISH)),
        ((b.SILENCE,), stream(b.SILENCE, ROLE, *few, *stalled)),
        ((b.LIMITED,), refusal(b.LIMITED, 429, "rate_limit_exceeded", ("retry-after", "1"))),
        ((b.FAILED,), refusal(b.FAILED, 503, "overloaded")),
        ((b.INSIDE,), stream(b.INSIDE, ROLE, *few, ERROR_EVENT)),
        ((b.CUT,), stream(b.CUT, ROLE, *few, (GAP_NS, b""), state=State.UPSTREAM_CUT)),
        ((b.UNANSWERED,), Exchange(request(b.UNANSWERED), None, State.UPSTREAM_CUT, end_ns=FIRST_NS)),
        ((b.CLOSED,), stream(b.CLOSED, ROLE, *few, *FINISH, state=State.UNTERMINATED)),
        ((b.LEFT,), stream(b.LEFT, ROLE, *flowing, *FINISH)),
        ((b.LEFT_SILENT,), stream(b.LEFT_SILENT, ROLE, *few, *late)),
        ((b.BROKE,), stream(b.BROKE, ROLE, *flowing, *FINISH)),
    )
