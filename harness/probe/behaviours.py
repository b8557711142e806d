"""The behaviours that a gateway is judged by, and which recorded exchange can show which. Pure."""

from enum import StrEnum
from itertools import pairwise

from harness.core.derive import Derived, derive
from harness.core.encoding import encoding_of
from harness.core.exchange import Exchange, Response, State
from harness.core.timeline import content_type, framing_of
from harness.probe.blocks import Block, blocks_of

MS = 1_000_000
SILENCE_NS = 1_000 * MS
"""A gap within a stream that counts as a stall."""
LONGEST_NS = 30_000 * MS
"""Streams that take longer are left alone: a probe is no load test."""


class Behaviour(StrEnum):
    """What a gateway should do, a row of the table each."""

    DELIVERY = "chunk delivery"
    ORDER = "every event once, in order"
    FIELDS = "fields of events"
    HEADERS = "headers of responses"
    REQUEST_LINE = "method, path and query of requests"
    REQUEST_HEADERS = "headers of requests"
    REQUEST_BODY = "body of requests"
    USAGE = "usage chunk"
    UNKNOWN = "unknown fields"
    COMMENTS = "comments and pings"
    SILENCE = "silence within the stream"
    LIMITED = "429 before the stream"
    FAILED = "5xx before the stream"
    INSIDE = "error within the stream"
    CUT = "network cut within the stream"
    UNANSWERED = "provider hangs up unanswered"
    CLOSED = "provider closes gracefully"
    LEFT = "client closes amid tokens"
    LEFT_SILENT = "client closes in a silence"
    BROKE = "client resets amid tokens"


WHOLE_STREAM = (
    Behaviour.DELIVERY,
    Behaviour.ORDER,
    Behaviour.FIELDS,
    Behaviour.HEADERS,
    Behaviour.REQUEST_LINE,
    Behaviour.REQUEST_HEADERS,
    Behaviour.REQUEST_BODY,
)
"""What every stream that ended properly shows, and the request for it."""
DEPARTURES = (Behaviour.LEFT, Behaviour.LEFT_SILENT, Behaviour.BROKE)
"""What only the client's own leaving shows: a recording cannot have it, since it is done while probing."""


def is_stream(exchange: Exchange) -> bool:
    """Whether an answer came as events."""
    response = exchange.response
    return response is not None and framing_of(content_type(response.headers), response.body) is not None


def shows(exchange: Exchange) -> tuple[Behaviour, ...]:
    """The behaviours that an exchange of a recording can show; none for what cannot be played as it was."""
    if exchange.state in (State.INTERRUPTED, State.CLIENT_ABORT) or exchange.end_ns > LONGEST_NS:
        return ()
    if exchange.response is None:
        return (Behaviour.UNANSWERED,)
    if exchange.response.status >= 400:
        return shown_by_status(exchange.state, exchange.response.status)
    return shown_by_answer(exchange, exchange.response)


def shown_by_answer(exchange: Exchange, response: Response) -> tuple[Behaviour, ...]:
    """A stream, by how it ended; a plain answer shows nothing, and one that is compressed no events."""
    if not is_stream(exchange) or encoding_of(response.headers):
        return ()
    if exchange.state in (State.UPSTREAM_CUT, State.UPSTREAM_ERROR):
        return (Behaviour.CUT,) if response.body else ()
    if exchange.state is State.UNTERMINATED:
        return (Behaviour.CLOSED,)
    return shown_by_stream(exchange, derive(exchange))


def shown_by_status(state: State, status: int) -> tuple[Behaviour, ...]:
    """An error before the stream, of a provider that answered at all."""
    if state is not State.COMPLETE:
        return ()
    if status == 429:
        return (Behaviour.LIMITED,)
    return (Behaviour.FAILED,) if status >= 500 else ()


def shown_by_stream(exchange: Exchange, derived: Derived) -> tuple[Behaviour, ...]:
    """A whole stream, and what else is in it."""
    assert exchange.response is not None
    if derived.error:
        return (Behaviour.INSIDE,)
    offsets = [offset_ns for offset_ns, _ in exchange.response.chunks]
    extras = {
        Behaviour.USAGE: any(map(is_usage, derived.values)),
        Behaviour.COMMENTS: any(map(is_ping, blocks_of(exchange.response.headers, exchange.response.chunks))),
        Behaviour.SILENCE: any(after - before >= SILENCE_NS for before, after in pairwise(offsets)),
    }
    return (*WHOLE_STREAM, *(one for one, there in extras.items() if there))


def is_usage(value: object) -> bool:
    """Whether an event is the usage chunk of an OpenAI chat stream: no choice, but counts."""
    return isinstance(value, dict) and value.get("choices") == [] and isinstance(value.get("usage"), dict)


def is_ping(block: Block) -> bool:
    """Whether a block only keeps the connection alive."""
    return block.comment or block.name == "ping"
