"""Spoiling: an answer as a fault leaves it, before anything of it is sent.

The law of this file: pure, exchange in, exchange out, with every offset planned; so a spoiled answer is
played by the same deadlines as any other. A fault that works on the body works on the decoded one: what
was content-encoded goes out as it is. What a fault cannot do to an answer is `Unfit`, and is said, not
played some other way. An event's bytes keep the time of its last one.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

from harness.core.dialects import recognise
from harness.core.dialects.row import Ending
from harness.core.encoding import Chunk, decode_chunks, encoding_of
from harness.core.exchange import Exchange, Headers, Response, State, header
from harness.core.faults import (
    NS_PER_S,
    Comments,
    ContentType,
    Cut,
    Delay,
    Duplicate,
    Fault,
    Malformed,
    NoTerminator,
    Placed,
    Reset,
    Stall,
    Trickle,
)
from harness.core.json_text import is_json, parse
from harness.core.spans import Span, spans_of
from harness.core.timeline import Framing, content_type, framing_of

MARK = "x-harness-fault"
"""The header that asks for a fault in a request, and names it in an answer."""
RESET_AFTER_NS = 20_000_000
"""From the last byte to a reset: systems may throw away what was not read when one comes."""
PIECES_A_SECOND = 20
MOST_PIECES = 20_000
"""A slow trickle comes in so many pieces a second, and of a long body in so many at most."""
IN_STRING = re.compile(rb':\s*"')
NO_UTF8 = b"\xff\xfe"

type Chunks = tuple[Chunk, ...]


class Unfit(Exception):
    """The answer cannot have this fault, and why."""


@dataclass(frozen=True, slots=True)
class Spoiled:
    """An exchange as it is to be played; `reset`: the connection is reset at its end."""

    exchange: Exchange
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A response whose body is decoded, and what is in it."""

    exchange: Exchange
    response: Response
    body: bytes
    framing: Framing | None
    spans: tuple[Span, ...]

    def played(self, chunks: Iterable[Chunk], **changes: Any) -> Exchange:
        """The exchange with other chunks; `changes` are fields of the response."""
        return replace(self.exchange, response=replace(self.response, chunks=tuple(chunks), **changes))

    def event(self, number: int) -> Span:
        """The event of this number, from 1."""
        if self.framing is None:
            raise Unfit("a plain body has no events")
        if number > len(self.spans):
            raise Unfit(f"the stream has {len(self.spans)} events")
        return self.spans[number - 1]

    def place(self, fault: Placed, default: int) -> int:
        """The byte at which a fault comes."""
        if fault.event is not None:
            return self.event(fault.event).end if fault.event else 0
        at = default if fault.byte is None else fault.byte
        if at > len(self.body):
            raise Unfit(f"the body has {len(self.body)} bytes")
        return at


def spoil(fault: Fault, exchange: Exchange) -> Spoiled:
    """The exchange with this fault, marked in its headers. Raises `Unfit`."""
    if exchange.response is None:
        raise Unfit("no answer was recorded, only a broken connection")
    spoiled = SPOILERS[type(fault)](fault, exchange)
    assert spoiled.exchange.response is not None
    headers = (*without(spoiled.exchange.response.headers, MARK), (MARK, fault.words()))
    return replace(spoiled, exchange=with_response(spoiled.exchange, headers=headers))


def without(headers: Headers, *names: str) -> Headers:
    """Headers but for those of these names (in lower case)."""
    return tuple(pair for pair in headers if pair[0].lower() not in names)


def with_response(exchange: Exchange, **changes: Any) -> Exchange:
    """An exchange with some fields of its response changed."""
    assert exchange.response is not None
    return replace(exchange, response=replace(exchange.response, **changes))


def opened(exchange: Exchange) -> Opened:
    """The exchange's response decoded. A content-length that is not the body's is dropped."""
    response = exchange.response
    assert response is not None
    try:
        chunks = decode_chunks(encoding_of(response.headers), response.chunks)
    except ValueError as error:
        raise Unfit(f"the body cannot be decoded: {error}") from None
    body = b"".join(data for _, data in chunks)
    if not body:
        raise Unfit("the answer has no body")
    headers = without(response.headers, "content-encoding")
    if header(headers, "content-length") != str(len(body)):
        headers = without(headers, "content-length")
    framing = framing_of(content_type(headers), body)
    plain = replace(response, headers=headers, chunks=chunks)
    return Opened(exchange, plain, body, framing, spans_of(framing, body))


# ---- chunks ----


def halves(chunks: Chunks, at: int) -> tuple[Chunks, Chunks]:
    """The chunks before a byte and those from it on; the one that it lies in is parted."""
    before: list[Chunk] = []
    after: list[Chunk] = []
    start = 0
    for offset_ns, data in chunks:
        inner = min(max(at - start, 0), len(data))
        if inner:
            before.append((offset_ns, data[:inner]))
        if inner < len(data):
            after.append((offset_ns, data[inner:]))
        start += len(data)
    return tuple(before), tuple(after)


def exchanged(chunks: Chunks, start: int, end: int, data: bytes) -> Chunks:
    """The chunks with other bytes from `start` to `end` (more than none), at the time of the last of them."""
    upto, after = halves(chunks, end)
    return (*halves(upto, start)[0], (upto[-1][0], data), *after)


def interleaved(chunks: Chunks, places: Iterable[int], data: bytes) -> Iterator[Chunk]:
    """The chunks with `data` put in before each of these bytes (ascending), at the time of that byte."""
    waiting = iter(places)
    place, start = next(waiting, None), 0
    for offset_ns, piece in chunks:
        done = 0
        while place is not None and place < start + len(piece):
            if place - start > done:
                yield offset_ns, piece[done : place - start]
            yield offset_ns, data
            done, place = place - start, next(waiting, None)
        yield offset_ns, piece[done:]
        start += len(piece)


def later(chunks: Chunks, by_ns: int) -> Chunks:
    """The chunks so much later."""
    return tuple((offset_ns + by_ns, data) for offset_ns, data in chunks)


def resized(exchange: Exchange) -> Exchange:
    """An exchange whose body has another length than its headers said."""
    assert exchange.response is not None
    return with_response(exchange, headers=without(exchange.response.headers, "content-length"))


# ---- the faults ----


def cut(fault: Cut | Reset, exchange: Exchange) -> Spoiled:
    """The bytes before the place, then the end of the connection, at the time of the last of them."""
    found = opened(exchange)
    at = found.place(fault, len(found.body) // 2)
    sized = header(found.response.headers, "content-length") is not None
    if sized and at == len(found.body) and isinstance(fault, Cut):
        raise Unfit("the whole body is there by then, as its content-length says")
    before, _ = halves(found.response.chunks, at)
    end_ns = before[-1][0] if before else found.response.headers_ns
    reset = isinstance(fault, Reset)
    played = found.played(before, end_ns=end_ns + RESET_AFTER_NS if reset else end_ns)
    return Spoiled(replace(played, state=State.UPSTREAM_CUT), reset)


def stall(fault: Stall, exchange: Exchange) -> Spoiled:
    """What comes from the place on comes so much later."""
    found = opened(exchange)
    before, after = halves(found.response.chunks, found.place(fault, len(found.body) // 2))
    end_ns = found.response.end_ns + fault.for_
    return Spoiled(found.played((*before, *later(after, fault.for_)), end_ns=end_ns))


def trickle(fault: Trickle, exchange: Exchange) -> Spoiled:
    """From the place on in small pieces, none before its recorded time."""
    found = opened(exchange)
    before, after = halves(found.response.chunks, found.place(fault, 0))
    chunks = (*before, *slowly(after, fault.rate))
    return Spoiled(found.played(chunks, end_ns=max(found.response.end_ns, chunks[-1][0])))


def slowly(chunks: Chunks, rate: int) -> Iterator[Chunk]:
    """Chunks in pieces that take their time: `rate` bytes a second, and no byte before its own time."""
    total = sum(len(data) for _, data in chunks)
    size = max(1, rate // PIECES_A_SECOND, total // MOST_PIECES)
    at_ns = 0
    for offset_ns, data in chunks:
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            at_ns = max(at_ns, offset_ns) + len(piece) * NS_PER_S // rate
            yield at_ns, piece


def malformed(fault: Malformed, exchange: Exchange) -> Spoiled:
    """One event's data damaged, or a plain body."""
    found = opened(exchange)
    damaged = DAMAGES[fault.how]
    if found.framing is None and fault.event == 1:
        span, new = Span(0, len(found.body), None, found.body), damaged(found.body)
    else:
        span = found.event(fault.event)
        new = event_bytes(found.framing, span.name, damaged(span.data))
    chunks = exchanged(found.response.chunks, span.start, span.end, new)
    return Spoiled(resized(found.played(chunks)))


def event_bytes(framing: Framing | None, name: str | None, data: bytes) -> bytes:
    """An event as it stands in a stream."""
    if framing is Framing.NDJSON:
        return data + b"\n"
    named = b"event: %b\n" % name.encode() if name else b""
    return named + b"".join(b"data: %b\n" % line for line in data.split(b"\n")) + b"\n"


def no_json(data: bytes) -> bytes:
    """Data that breaks off inside of its JSON."""
    half = data[: max(1, len(data) // 2)]
    return b"{" + half if is_json(half) else half


def no_utf8(data: bytes) -> bytes:
    """Data with bytes that no UTF-8 text holds, within its first string if it has one."""
    string = IN_STRING.search(data)
    at = string.end() if string else len(data) // 2
    return data[:at] + NO_UTF8 + data[at:]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {"json": no_json, "utf8": no_utf8}


def no_terminator(_fault: NoTerminator, exchange: Exchange) -> Spoiled:
    """Nothing from the terminator on; the end of the body at its own time."""
    found = opened(exchange)
    if found.framing is None:
        raise Unfit("a plain body has no terminator")
    ending = recognise(exchange.request).ending
    last = next((span for span in found.spans if is_terminator(ending, span)), None)
    if last is None:
        raise Unfit("the recorded stream has no terminator")
    return Spoiled(resized(found.played(halves(found.response.chunks, last.start)[0])))


def is_terminator(ending: Ending, span: Span) -> bool:
    """Whether an event ends its stream."""
    if span.data == ending.data:
        return True
    try:
        value = parse(span.data)
    except ValueError:
        return False
    return isinstance(value, dict) and ending.is_end(value)


def duplicate(fault: Duplicate, exchange: Exchange) -> Spoiled:
    """One event's bytes twice; one that waited for its blank line gets it."""
    found = opened(exchange)
    span = found.event(fault.event)
    raw = found.body[span.start : span.end]
    if not raw.endswith(b"\n" if found.framing is Framing.NDJSON else (b"\n\n", b"\r\r", b"\n\r\n")):
        raw = event_bytes(found.framing, span.name, span.data)
    return Spoiled(resized(found.played(exchanged(found.response.chunks, span.start, span.end, raw * 2))))


def delay(fault: Delay, exchange: Exchange) -> Spoiled:
    """Everything so much later; a content-encoding stays."""
    response = exchange.response
    assert response is not None
    by_ns = fault.for_
    chunks = later(response.chunks, by_ns)
    times = {"headers_ns": response.headers_ns + by_ns, "end_ns": response.end_ns + by_ns}
    return Spoiled(with_response(exchange, chunks=chunks, **times))


def other_type(fault: ContentType, exchange: Exchange) -> Spoiled:
    """Another content type; a content-encoding stays."""
    assert exchange.response is not None
    kept = without(exchange.response.headers, "content-type")
    return Spoiled(with_response(exchange, headers=(*kept, ("content-type", fault.type))))


def comments(fault: Comments, exchange: Exchange) -> Spoiled:
    """Comments before events, at the time of the bytes that they stand before."""
    found = opened(exchange)
    if found.framing is Framing.NDJSON:
        raise Unfit("NDJSON has no comments")
    if found.framing is None:
        return Spoiled(resized(found.played(((found.response.headers_ns, b"\n"), *found.response.chunks))))
    places = [span.start for span in found.spans[:: fault.each]]
    comment = f": {fault.text}\n\n".encode()
    return Spoiled(resized(found.played(interleaved(found.response.chunks, places, comment))))


SPOILERS = cast(
    "dict[type[Fault], Callable[[Any, Exchange], Spoiled]]",
    {
        Cut: cut,
        Reset: cut,
        Stall: stall,
        Trickle: trickle,
        Malformed: malformed,
        NoTerminator: no_terminator,
        Duplicate: duplicate,
        Delay: delay,
        ContentType: other_type,
        Comments: comments,
    },
)
"""What each kind does; errors need no recorded answer (`harness.core.dialects.errors`)."""
