"""Rules for how an answer travels: every event is JSON, and the content type says what the body is."""

from collections.abc import Iterator

from harness.core.dialects import DIALECTS
from harness.core.json_text import is_json
from harness.core.timeline import FRAMING_OF_TYPE, Framing, content_of, content_type
from harness.validate.finding import Kind
from harness.validate.rules.rule import Fault, Rule, Scope
from harness.validate.rules.stream import DONE, Stream

KNOWN = tuple(row.name for row in DIALECTS)
FRAMINGS = {"ollama.chat": Framing.NDJSON, "ollama.generate": Framing.NDJSON}
"""Dialect -> how its streams are framed; every other one sends SSE."""


def json_data(stream: Stream) -> Iterator[Fault]:
    """Of a stream that was cut, the last event may be cut too."""
    unread = [number for number, value in enumerate(stream.messages, 1) if value is None]
    events = stream.answer.events
    for number in unread:
        data = events[number - 1].data
        if data != DONE and not is_json(data) and not (stream.cut and number == len(events)):
            yield Fault(number, "", "this is none")


def type_of_stream(stream: Stream) -> Iterator[Fault]:
    """In unknown dialects that of SSE alone; lines of JSON have many types there."""
    declared = FRAMING_OF_TYPE.get(_declared(stream))
    dialect = stream.answer.dialect
    if dialect not in KNOWN:
        wrong = declared is None and _framing(stream) is Framing.SSE
    else:
        wrong = declared is not FRAMINGS.get(dialect, Framing.SSE)
    if wrong:
        yield Fault(0, "", "it says another")


def type_of_body(stream: Stream) -> Iterator[Fault]:
    """JSON is declared as JSON; what has no content type at all says nothing wrong."""
    declared = _declared(stream)
    if stream.objects and declared and not declared.endswith("json"):
        yield Fault(0, "", "it says another")


def _framing(stream: Stream) -> Framing | None:
    response = stream.exchange.response
    return content_of(response).framing if response else None


def _declared(stream: Stream) -> str:
    response = stream.exchange.response
    return content_type(response.headers) if response else ""


RULES = (
    Rule(
        "transport.json-data",
        KNOWN,
        Kind.RULE,
        "the data of every event is JSON",
        json_data,
    ),
    Rule(
        "transport.content-type",
        (),
        Kind.RULE,
        "the content type of a stream is text/event-stream, with Ollama application/x-ndjson",
        type_of_stream,
    ),
    Rule(
        "transport.body-type",
        KNOWN,
        Kind.RULE,
        "the content type of a plain JSON answer is JSON",
        type_of_body,
        Scope.BODY,
    ),
)
