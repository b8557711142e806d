"""Where the events of a body lie: their bytes, so that one can be taken out, doubled or damaged.

The law of this file: what an event is, the decoders say; here it is only found where each one ends.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from harness.core.ndjson import NdjsonDecoder
from harness.core.sse import SseDecoder, plain_datas
from harness.core.timeline import Framing

FRAME = b"data: \n\n"
LINE = re.compile(rb"[^\n]*\n|[^\n]+")


class Span(NamedTuple):
    """An event in a body: `start` to `end` are its bytes, comments before it and its blank line included."""

    start: int
    end: int
    name: str | None
    data: bytes


def spans_of(framing: Framing | None, body: bytes) -> tuple[Span, ...]:
    """The events of a decoded body, end to end; () for a plain one."""
    found, start = [], 0
    for end, name, data in ENDS[framing](body) if framing else ():
        found.append(Span(start, end, name, data))
        start = end
    return tuple(found)


def sse_ends(body: bytes) -> Iterator[tuple[int, str | None, bytes]]:
    """Where each SSE event ends; those of most streams are found by splitting."""
    at = 0
    for data in (plain := plain_datas(body)):
        at += len(FRAME) + len(data)
        yield at, None, data
    if plain:
        return
    decoder = SseDecoder()
    for line in body.splitlines(keepends=True):  # of bytes: at LF, CR and CRLF
        at += len(line)
        yield from ((at, event.name, event.data) for event in decoder.feed(line) if not event.comment)
    yield from ((at, event.name, event.data) for event in decoder.close())


def ndjson_ends(body: bytes) -> Iterator[tuple[int, str | None, bytes]]:
    """Where each line ends."""
    decoder, at = NdjsonDecoder(), 0
    for line in LINE.findall(body):
        at += len(line)
        yield from ((at, None, data) for data in decoder.feed(line))
    yield from ((at, None, data) for data in decoder.close())


ENDS = {Framing.SSE: sse_ends, Framing.NDJSON: ndjson_ends}
