"""What follows from an exchange's bytes: who answered, what, with how many tokens, and when.

The law of this file: derived data can always be derived again, so nothing here may stop a recorder:
`derive` raises on no bytes whatever. What cannot be read is as if it were not there. The JSON of an
event is parsed once. Who needs the messages alone asks for them alone, in half of the time.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from harness.core.dialects import BYTES, Answer, Dialect, ToolCall, Usage, recognise
from harness.core.dialects.errors import error_in_body, error_in_event
from harness.core.dialects.fields import JsonObject, text_in
from harness.core.encoding import decode_body, encoding_of
from harness.core.exchange import Exchange, Request, Response
from harness.core.json_text import healed, is_json, parse
from harness.core.timeline import JSON_HEAD, Content, Event, content_of, content_type

__all__ = ["Derived", "Messages", "ToolCall", "Usage", "derive", "messages_of"]

DEPLOYMENT = re.compile(r"/deployments/([^/?]+)/")
"""Azure names the model's deployment in the path."""


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of an answer, parsed.

    - `dialect`: a name of `harness.core.dialects`, `bytes` for what none of them knows.
    - `stream`: the answer came as a stream (SSE or NDJSON), whatever was asked for.
    - `events`: of a stream, each at the arrival of its last byte.
    - `values`: the parsed JSON of each event, or of a plain body alone; None for what is no JSON.
    - `error`: the provider's error as `type/code`, never its message, which may quote the prompt.
    """

    dialect: str
    stream: bool = field(default=False, kw_only=True)
    events: tuple[Event, ...] = field(default=(), kw_only=True)
    values: tuple[Any, ...] = field(default=(), kw_only=True, compare=False, repr=False)
    error: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Derived(Messages):
    """What an exchange says, beside its bytes. Times are ns from t0.

    - `model`: as the response names it, else as the request asks for it.
    - `terminated`: a stream showed its dialect's own end (an error event is one); a plain body is
      whole JSON. What has no end of its own to show (an unknown stream, a body that is no JSON)
      counts as terminated, unless it stops inside a JSON value.
    - `usage`: tokens as the provider counts them.
    - `text`, `reasoning`: joined from all deltas; refusals are text; a line feed between choices.
    - `content_ns`, `content_text`: offsets of the events that carry generated content (text,
      reasoning, names and arguments of tool calls, refusals), and what each carried.
    - `ttft_ns`: the first of those; `icl_ns`: the gaps between them, near-zero ones included. Both
      are of streams alone, and absent where the recording knows no times.
    """

    model: str | None = None
    terminated: bool = False
    usage: Usage = field(default_factory=Usage)
    finish_reason: str | None = None
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    content_ns: tuple[int, ...] = ()
    content_text: tuple[str, ...] = ()
    ttft_ns: int | None = None
    icl_ns: tuple[int, ...] = ()


def messages_of(exchange: Exchange) -> Messages:
    """The messages of an exchange's answer; none where there was no answer. Never raises."""
    row = recognise(exchange.request)
    if exchange.response is None:
        return Messages(row.name)
    return _messages(row, exchange.response, content_of(exchange.response))


def derive(exchange: Exchange) -> Derived:
    """Derives all of `Derived` from an exchange. Never raises."""
    row, response = recognise(exchange.request), exchange.response
    if response is None:
        return Derived(row.name, requested_model(exchange.request))
    answer, content = Answer(), content_of(response)
    messages = _messages(row, response, content)
    carried: list[tuple[int, str]] = []
    if messages.stream:
        carried = _read_events(row, answer, messages)
    else:
        _read_body(row, answer, response, content.body, messages.values[0])
    times = tuple(offset_ns for offset_ns, _ in carried)
    timed = times if exchange.timing_known else ()
    return Derived(
        dialect=row.name,
        model=healed(answer.model) if answer.model else requested_model(exchange.request),
        stream=messages.stream,
        terminated=answer.ended,
        usage=answer.usage,
        finish_reason=answer.finish_reason,
        text=answer.text,
        reasoning=answer.reasoning,
        tool_calls=answer.tool_calls,
        events=messages.events,
        content_ns=times,
        content_text=tuple(healed(text) for _, text in carried),
        ttft_ns=timed[0] if timed else None,
        icl_ns=tuple(after - before for before, after in pairwise(timed)),
        error=messages.error,
        values=messages.values,
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


def _messages(row: Dialect, response: Response, content: Content) -> Messages:
    if content.framing is None:
        value = _parsed(content.body) if _may_be_json(response, content.body) else None
        return Messages(row.name, values=(value,), error=error_in_body(response.status, value))
    events, end = content.events, row.ending.data
    values = tuple([_parsed(event.data) for event in events])
    found = (error_in_event(event.name, value) for event, value in zip(events, values, strict=True))
    error = next((one for one, event in zip(found, events, strict=True) if one and event.data != end), None)
    return Messages(row.name, stream=True, events=events, values=values, error=error)


def _read_events(row: Dialect, answer: Answer, messages: Messages) -> list[tuple[int, str]]:
    """Reads a stream into the answer; returns offset and content of the events that carry some."""
    carried, events = [], messages.events
    answer.ended = messages.error is not None
    for event, value in zip(events, messages.values, strict=True):
        if event.data == row.ending.data:
            answer.ended = True
        elif isinstance(value, dict) and (text := _read_event(row, answer, value)):
            carried.append((event.offset_ns, text))
    if row is BYTES:
        answer.ended = answer.ended or not events or _is_unbroken(events[-1].data)
    return carried


def _read_event(row: Dialect, answer: Answer, value: JsonObject) -> str:
    row.places.read(answer, value)
    if row.ending.is_end(value):
        answer.ended = True
    return row.event(answer, value)


def _read_body(row: Dialect, answer: Answer, response: Response, body: bytes, value: Any) -> None:
    """Reads a plain body into the answer. What is no JSON has nothing in it that could tell its end."""
    answer.ended = value is not None or not _may_be_json(response, body) or is_json(body)
    if isinstance(value, dict):
        row.places.read(answer, value)
        row.body(answer, value)


def _may_be_json(response: Response, body: bytes) -> bool:
    """Whether a plain body begins as JSON, or is said to be some."""
    return JSON_HEAD.match(body) is not None or content_type(response.headers).endswith("json")


def _parsed(data: bytes) -> Any:
    """The JSON value of an event or body; None where it is none."""
    try:
        return parse(data)
    except ValueError:
        return None


def _is_unbroken(data: bytes) -> bool:
    """Whether data that may be anything does not stop inside a JSON value."""
    return is_json(data) if JSON_HEAD.match(data) else True
