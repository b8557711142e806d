"""The events of an exchange, each at the arrival of its last byte.

The law of this file: offsets are the recorded ones, in ns from t0; how chunks cut the events says
nothing about the events. The framing is what the body shows, and what its content type says only
where the body cannot tell: real event streams come with a wrong type or none.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import repeat
from typing import NamedTuple

from harness.core.encoding import Chunk, encoding_of, pieces
from harness.core.exchange import Exchange, Headers, Response, header
from harness.core.json_text import is_json
from harness.core.ndjson import NdjsonDecoder
from harness.core.sse import SseDecoder, plain_datas


class Framing(StrEnum):
    """How a body is cut into events."""

    SSE = "sse"
    NDJSON = "ndjson"


FRAMING_OF_TYPE = {
    "text/event-stream": Framing.SSE,
    "application/x-ndjson": Framing.NDJSON,
    "application/ndjson": Framing.NDJSON,
    "application/jsonl": Framing.NDJSON,
    "application/x-jsonlines": Framing.NDJSON,
}

SSE_HEAD = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*+(?:(?:event:|id:|retry:|:)[^\r\n]*+[\r\n]++)*+data:")
"""An SSE body that says so itself: fields and comments, then a first `data:`."""

JSON_HEAD = re.compile(rb"(?:\xef\xbb\xbf)?\s*+[\[{]")
"""White space (keep-alives before a plain body are real), then an object or array."""


class Event(NamedTuple):
    """An SSE event or NDJSON line: `offset_ns` of its last byte, SSE name, data. Comments are none."""

    offset_ns: int
    name: str | None
    data: bytes


@dataclass(frozen=True, slots=True)
class Content:
    """A decoded body. `framing` is None for a plain body; `events` has the events of the others.

    `body` is decoded as far as it goes: damage in the middle ends it there.
    """

    framing: Framing | None
    events: tuple[Event, ...]
    body: bytes


def events_of(exchange: Exchange) -> tuple[Event, ...]:
    """The events of a stream (SSE or NDJSON); () for anything else."""
    return content_of(exchange.response).events if exchange.response else ()


def content_of(response: Response) -> Content:
    """The body of a response decoded, its framing, its events."""
    chunks = _decoded(encoding_of(response.headers), response.chunks)
    body = b"".join(data for _, data in chunks)
    framing = framing_of(content_type(response.headers), body)
    events = EVENTS_OF_FRAMING[framing](chunks, body) if framing else ()
    return Content(framing, tuple(events), body)


def content_type(headers: Headers) -> str:
    """The media type without its parameters, in lower case; empty where there is none."""
    return (header(headers, "content-type") or "").partition(";")[0].strip().lower()


def framing_of(media_type: str, body: bytes) -> Framing | None:
    """How a decoded body is cut into events; None: it is plain.

    A body that begins as SSE is SSE, lines of JSON values are NDJSON. What looks like neither is
    what its type says (no event yet, or one line), but JSON is never SSE: many servers answer an
    error as plain JSON under the type that was asked for.
    """
    if SSE_HEAD.match(body):
        return Framing.SSE
    declared = FRAMING_OF_TYPE.get(media_type)
    if not JSON_HEAD.match(body):
        return declared
    first, _, rest = body.strip().partition(b"\n")
    if not rest:
        return declared if declared is Framing.NDJSON else None
    return Framing.NDJSON if is_json(first) else None


def _decoded(encoding: str | None, chunks: Iterable[Chunk]) -> list[Chunk]:
    decoded: list[Chunk] = []
    with suppress(ValueError):  # damage: what came before it still counts
        decoded.extend(pieces(encoding, chunks))
    return decoded


def _sse_events(chunks: list[Chunk], body: bytes) -> list[Event]:
    """As the decoder finds them; those of most streams are found by splitting, in a third of the time."""
    return _plain_events(chunks, body) or _decoded_events(chunks)


def _plain_events(chunks: list[Chunk], body: bytes) -> list[Event]:
    """The events of a body of nothing but `data: ` lines, of which no chunk has a part; else none."""
    datas = plain_datas(body) if all(data.endswith(b"\n\n") for _, data in chunks) else []
    if not datas:
        return []
    times = [offset_ns for offset_ns, data in chunks for _ in range(data.count(b"\n\n"))]
    return list(map(Event, times, repeat(None), datas))


def _decoded_events(chunks: list[Chunk]) -> list[Event]:
    decoder, events, offset_ns = SseDecoder(), [], 0
    for offset_ns, data in chunks:
        events += [Event(offset_ns, e.name, e.data) for e in decoder.feed(data) if not e.comment]
    return events + [Event(offset_ns, e.name, e.data) for e in decoder.close()]


def _ndjson_events(chunks: list[Chunk], _: bytes) -> list[Event]:
    decoder, events, offset_ns = NdjsonDecoder(), [], 0
    for offset_ns, data in chunks:
        events += [Event(offset_ns, None, line) for line in decoder.feed(data)]
    return events + [Event(offset_ns, None, line) for line in decoder.close()]


EVENTS_OF_FRAMING = {Framing.SSE: _sse_events, Framing.NDJSON: _ndjson_events}
