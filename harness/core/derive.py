"""What follows from an exchange's bytes: who answered, what, with how many tokens, and when.

The law of this file: derived data can always be derived again, so nothing here may stop a recorder:
`derive` raises on no bytes whatever. What cannot be read is as if it were not there. The JSON of an
event is parsed once.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from harness.core.dialects import BYTES, Answer, Dialect, ToolCall, Usage, recognise
from harness.core.dialects.errors import error_in_body, error_in_event
from harness.core.dialects.fields import text_in
from harness.core.encoding import decode_body, encoding_of
from harness.core.exchange import Exchange, Request, Response
from harness.core.json_text import healed, is_json, parse
from harness.core.timeline import JSON_HEAD, Event, content_of, content_type

__all__ = ["Derived", "ToolCall", "Usage", "derive"]

DEPLOYMENT = re.compile(r"/deployments/([^/?]+)/")
"""Azure names the model's deployment in the path."""


@dataclass(frozen=True, slots=True)
class Derived:
    """What an exchange says, beside its bytes. Times are ns from t0.

    - `dialect`: a name of `harness.core.dialects`, `bytes` for what none of them knows.
    - `model`: as the response names it, else as the request asks for it.
    - `stream`: the answer came as a stream (SSE or NDJSON), whatever was asked for.
    - `terminated`: a stream showed its dialect's own end (an error event is one); a plain body is
      whole JSON. What has no end of its own to show (an unknown stream, a body that is no JSON)
      counts as terminated, unless it stops inside a JSON value.
    - `usage`: tokens as the provider counts them.
    - `text`, `reasoning`: joined from all deltas; refusals are text; a line feed between choices.
    - `events`: of a stream, each at the arrival of its last byte.
    - `content_ns`, `content_text`: offsets of the events that carry generated content (text,
      reasoning, names and arguments of tool calls, refusals), and what each carried.
    - `ttft_ns`: the first of those; `icl_ns`: the gaps between them, near-zero ones included. Both
      are of streams alone, and absent where the recording knows no times.
    - `values`: the parsed JSON of each event, or of a plain body alone; None for what is no JSON.
    - `error`: the provider's error as `type/code`, never its message, which may quote the prompt.
    """

    dialect: str
    model: str | None = None
    stream: bool = False
    terminated: bool = False
    usage: Usage = field(default_factory=Usage)
    finish_reason: str | None = None
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    events: tuple[Event, ...] = ()
    content_ns: tuple[int, ...] = ()
    content_text: tuple[str, ...] = ()
    ttft_ns: int | None = None
    icl_ns: tuple[int, ...] = ()
    error: str | None = None
    values: tuple[Any, ...] = field(default=(), compare=False, repr=False)


def derive(exchange: Exchange) -> Derived:
    """Derives all of `Derived` from an exchange. Never raises."""
    row = recognise(exchange.request)
    if exchange.response is None:
        return Derived(row.name, requested_model(exchange.request))
    answer = Answer()
    content = content_of(exchange.response)
    carried: list[tuple[int, str]] = []
    if content.framing:
        values = [_parsed(event.data) for event in content.events]
        carried = _read_events(row, answer, content.events, values)
    else:
        values = [_read_body(row, answer, exchange.response, content.body)]
    times = tuple(offset_ns for offset_ns, _ in carried)
    timed = times if exchange.timing_known else ()
    return Derived(
        dialect=row.name,
        model=healed(answer.model) if answer.model else requested_model(exchange.request),
        stream=content.framing is not None,
        terminated=answer.ended,
        usage=answer.usage,
        finish_reason=answer.finish_reason,
        text=answer.text,
        reasoning=answer.reasoning,
        tool_calls=answer.tool_calls,
        events=content.events,
        content_ns=times,
        content_text=tuple(healed(text) for _, text in carried),
        ttft_ns=timed[0] if timed else None,
        icl_ns=tuple(after - before for before, after in pairwise(timed)),
        error=answer.error,
        values=tuple(values),
    )


def requested_model(request: Request) -> str | None:
    """The model that a request asks for, in its JSON body or in its path (Azure); None: it names none."""
    try:
        body = decode_body(encoding_of(request.headers), request.body)
        value = parse(body) if JSON_HEAD.match(body) else None
    except ValueError:
        value = None
    if isinstance(value, dict) and (model := text_in(value, "model")):
        return healed(model)
    deployment = DEPLOYMENT.search(request.url)
    return healed(deployment[1]) if deployment else None


def _read_events(
    row: Dialect, answer: Answer, events: tuple[Event, ...], values: list[Any]
) -> list[tuple[int, str]]:
    """Reads a stream into the answer; returns offset and content of the events that carry some."""
    carried = []
    for event, value in zip(events, values, strict=True):
        if event.data == row.ending.data:
            answer.ended = True
        elif text := _read_event(row, answer, event, value):
            carried.append((event.offset_ns, text))
    if row is BYTES:
        answer.ended = answer.ended or not events or _is_unbroken(events[-1].data)
    return carried


def _read_event(row: Dialect, answer: Answer, event: Event, value: Any) -> str:
    error = error_in_event(event.name, value)
    if error:
        answer.error = answer.error or error
        answer.ended = True
    if not isinstance(value, dict):
        return ""
    row.places.read(answer, value)
    if row.ending.is_end(value):
        answer.ended = True
    return row.event(answer, value)


def _read_body(row: Dialect, answer: Answer, response: Response, body: bytes) -> Any:
    """Reads a plain body into the answer; returns its JSON value, None where it is none."""
    if not JSON_HEAD.match(body) and not content_type(response.headers).endswith("json"):
        answer.ended = True  # no JSON, so nothing in it could tell its end
        return None
    try:
        value = parse(body)
    except ValueError:
        return None
    answer.ended = True
    answer.error = error_in_body(response.status, value)
    if isinstance(value, dict):
        row.places.read(answer, value)
        row.body(answer, value)
    return value


def _parsed(data: bytes) -> Any:
    """The JSON value of an event or body; None where it is none."""
    try:
        return parse(data)
    except ValueError:
        return None


def _is_unbroken(data: bytes) -> bool:
    """Whether data that may be anything does not stop inside a JSON value."""
    return is_json(data) if JSON_HEAD.match(data) else True
