"""Bodies without their content-encoding, and messages with another body.

The law of this file: chunks stay cut where they were, at their times; what the headers say of a body's
length and encoding stays true.
"""

from dataclasses import replace

from harness.core.encoding import Chunk, encoding_of, pieces
from harness.core.exchange import Exchange, Headers, Response

type Chunks = tuple[Chunk, ...]


def cut_like(chunks: Chunks, data: bytes) -> Chunks:
    """Data of the same length in all, cut where the chunks are cut, at their times.

    >>> cut_like(((5, b"ab"), (9, b"c")), b"xyz")
    ((5, b'xy'), (9, b'z'))
    """
    cut, start = [], 0
    for offset_ns, old in chunks:
        cut.append((offset_ns, data[start : start + len(old)]))
        start += len(old)
    return tuple(cut)


def decoded_chunks(headers: Headers, chunks: Chunks) -> Chunks | None:
    """What can be decoded of an encoded body; None: it is not encoded, or not in a way that we know."""
    encoding = encoding_of(headers)
    if encoding is None or encoding.lower() == "identity":
        return None
    decoded = []
    try:
        for piece in pieces(encoding, chunks):
            decoded.append(piece)  # noqa: PERF402 - what came before the damage is looked through too
    except ValueError:
        return tuple(decoded) or None
    return tuple(decoded)


def plain_chunks(headers: Headers, chunks: Chunks) -> Chunks:
    """The chunks of a body without its content-encoding, as far as that can be undone."""
    decoded = decoded_chunks(headers, chunks)
    return chunks if decoded is None else decoded


def plain_of(response: Response) -> Chunks:
    """The same of a response."""
    return plain_chunks(response.headers, response.chunks)


def saying(exchange: Exchange, chunks: Chunks, body: bytes) -> Exchange:
    """The exchange with this decoded body, cut as these chunks are."""
    if exchange.response is None or body == b"".join(data for _, data in chunks):
        return exchange
    response, decoded = rewritten(exchange.response, cut_like(chunks, body))
    return replace(exchange, response=response, rewritten=exchange.rewritten or decoded)


def rewritten(response: Response, plain: Chunks) -> tuple[Response, bool]:
    """The response with these chunks, which are not encoded; whether the old ones were."""
    decoded = decoded_chunks(response.headers, response.chunks) is not None
    after = sum(len(data) for _, data in plain)
    headers = fitting(response.headers, len(response.body), after, decoded=decoded)
    return replace(response, headers=headers, chunks=plain), decoded


def fitting(headers: Headers, before: int, after: int, *, decoded: bool) -> Headers:
    """Headers for a body that changed its length: what was missing of a cut body is still missing."""
    return tuple(
        (name, str(int(value) + after - before) if _is_length(name, value) else value)
        for name, value in headers
        if not (decoded and name.lower() == "content-encoding")
    )


def _is_length(name: str, value: str) -> bool:
    return name.lower() == "content-length" and value.isascii() and value.isdigit()
