"""What a body is made of, comments and pings included, each block with where its last byte came. Pure."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from harness.core.encoding import encoding_of, pieces
from harness.core.exchange import Headers
from harness.core.json_text import parse
from harness.core.ndjson import NdjsonDecoder
from harness.core.sse import SseDecoder, SseEvent
from harness.core.timeline import Framing, content_type, framing_of

NO_JSON = object()


class Block(NamedTuple):
    """An SSE event or comment, an NDJSON line, or a plain body.

    `at` is what its last byte came with: of a client, the moment in ns; of a recording, the chunk's number.
    """

    at: int
    name: str | None
    data: bytes
    comment: bool = False

    def value(self) -> Any:
        """Its JSON; `NO_JSON` where it is none."""
        try:
            return NO_JSON if self.comment else parse(self.data)
        except ValueError:
            return NO_JSON

    def key(self) -> tuple[str | None, bool, str]:
        """What makes two blocks the same: kind, name, and data, JSON by its values."""
        value = self.value()
        if value is NO_JSON:
            return self.name, self.comment, self.data.decode("utf-8", "surrogateescape")
        return self.name, False, json.dumps(value, sort_keys=True)


def blocks_of(headers: Headers, chunks: Iterable[tuple[int, bytes]]) -> list[Block]:
    """The blocks of a body; chunks are (what to note, data). Damage in an encoded body ends it there."""
    plain = decoded(headers, chunks)
    body = b"".join(data for _, data in plain)
    framing = framing_of(content_type(headers), body)
    if framing is Framing.SSE:
        return sse_blocks(plain)
    if framing is Framing.NDJSON:
        return line_blocks(plain)
    return [Block(plain[-1][0], None, body)] if body else []


def decoded(headers: Headers, chunks: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """The chunks without their content-encoding, as far as they can be read."""
    found: list[tuple[int, bytes]] = []
    try:
        found.extend(pieces(encoding_of(headers), chunks))
    except ValueError:
        return found
    return found


def sse_blocks(chunks: Sequence[tuple[int, bytes]]) -> list[Block]:
    """Events and comments."""
    decoder, found, at = SseDecoder(), [], 0
    for at, data in chunks:
        found += [block_of(at, event) for event in decoder.feed(data)]
    return found + [block_of(at, event) for event in decoder.close()]


def block_of(at: int, event: SseEvent) -> Block:
    """A block as the decoder found it."""
    return Block(at, event.name, event.data, event.comment)


def line_blocks(chunks: Sequence[tuple[int, bytes]]) -> list[Block]:
    """Lines of NDJSON."""
    decoder, found, at = NdjsonDecoder(), [], 0
    for at, data in chunks:
        found += [Block(at, None, line) for line in decoder.feed(data)]
    return found + [Block(at, None, line) for line in decoder.close()]
