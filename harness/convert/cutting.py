"""Cutting a body that some tool kept as one into the pieces that a provider sends. Pure.

The law of this file: the pieces joined are the body. An event of a stream is a piece, with the blank
line that ends it; anything else is one piece.
"""

import re

from harness.core.encoding import encoding_of
from harness.core.exchange import Headers
from harness.core.timeline import Framing, content_type, framing_of

END_OF_EVENT = {
    Framing.SSE: re.compile(rb"(?<=\n)\r?\n|(?<=\r)\r(?!\n)"),
    Framing.NDJSON: re.compile(rb"\n"),
}
"""What ends an event (WHATWG HTML, 9.2.5: lines end in CR LF, LF or CR; a blank one ends an event)."""


def cut(headers: Headers, body: bytes) -> list[bytes]:
    """The pieces of a body; none where it is empty.

    >>> cut((("content-type", "text/event-stream"),), b"data: 1\\n\\ndata: 2\\n\\n")
    [b'data: 1\\n\\n', b'data: 2\\n\\n']
    """
    if not body:
        return []
    framing = None if encoding_of(headers) else framing_of(content_type(headers), body)
    if framing is None:
        return [body]
    ends = [found.end() for found in END_OF_EVENT[framing].finditer(body)]
    starts = [0, *ends]
    pieces = (body[start:end] for start, end in zip(starts, [*ends, len(body)], strict=True))
    return [piece for piece in pieces if piece]
