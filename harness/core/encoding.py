"""Content decoding (RFC 9110, 8.4) that keeps the times of the pieces.

The law of this file: a piece of output has the time of the chunk that completed it; a body cut in
the middle yields what it still says (that is no damage); damage and unknown encodings raise
ValueError. Output is bounded by `MAX_DECODED`, so that no small body fills the memory.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

from harness.core.exchange import Headers

MAX_DECODED = 256 * 1024 * 1024
"""Bytes that one body may decode to."""

GZIP, ZLIB, RAW_DEFLATE = 31, 15, -15
"""zlib's `wbits` for the three formats."""

ZSTD_SLICE = 1024
"""Bytes given to zstandard at once: it has no limit of its own, and a kilobyte makes 32 MB at most."""

type Chunk = tuple[int, bytes]
"""Offset in ns and bytes."""


class Decoder(Protocol):
    """One content coding, undone as the bytes arrive."""

    def feed(self, data: bytes, limit: int) -> bytes:
        """What `data` decodes to; a little over `limit` bytes at most. Raises on damage."""


def encoding_of(headers: Headers) -> str | None:
    """The content encoding that the headers declare, of several headers one list; None: none."""
    values = [value for name, value in headers if name.lower() == "content-encoding"]
    return ", ".join(values) or None


def decode_body(encoding: str | None, data: bytes) -> bytes:
    """A whole body decoded. ValueError: unknown encoding, damage, or more than `MAX_DECODED` bytes."""
    return b"".join(piece for _, piece in pieces(encoding, [(0, data)]))


def decode_chunks(encoding: str | None, chunks: Iterable[Chunk]) -> tuple[Chunk, ...]:
    """Chunks decoded, each piece at the time of the chunk that completed it, empty ones left out.

    ValueError: unknown encoding, damaged data, or more than `MAX_DECODED` bytes.
    """
    return tuple(pieces(encoding, chunks))


def pieces(encoding: str | None, chunks: Iterable[Chunk], limit: int = MAX_DECODED) -> Iterator[Chunk]:
    """As `decode_chunks`, one by one: what was decoded before the damage came out before the error.

    Decoding to more than `limit` bytes raises ValueError too; what is not encoded has no limit.
    """
    names = [name for raw in (encoding or "").lower().split(",") if (name := raw.strip())]
    decoders = [(name, _decoder(name)) for name in reversed(names) if name != "identity"]
    if not decoders:  # nearly always
        yield from filter(itemgetter(1), chunks)
        return
    room = limit
    for offset_ns, data in chunks:
        decoded = data
        for name, decoder in decoders:
            decoded = _fed(name, decoder, decoded, room)
        room -= len(decoded)
        if decoded:
            yield offset_ns, decoded


def _decoder(name: str) -> Decoder:
    if name not in DECODERS:
        raise ValueError(f"unknown content encoding {name!r} (known: {', '.join(sorted(DECODERS))})")
    return DECODERS[name]()


def _fed(name: str, decoder: Decoder, data: bytes, room: int) -> bytes:
    try:
        decoded = decoder.feed(data, room)
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise ValueError(f"damaged {name} data: {error}") from error
    if len(decoded) > room:
        raise ValueError(f"{name} data decodes to too many bytes")
    return decoded


class _Gzip:
    """gzip (RFC 1952): one member after another; zero bytes after the last are padding."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(GZIP)

    def feed(self, data: bytes, limit: int) -> bytes:
        decoded = b""
        while data and len(decoded) <= limit:
            if self._member.eof:
                data = data.lstrip(b"\0")
                self._member = zlib.decompressobj(GZIP) if data else self._member
            else:
                decoded += self._member.decompress(data, limit + 1 - len(decoded))
                data = self._member.unused_data
        return decoded


class _Deflate:
    """`deflate` is the zlib format (RFC 1950), but many servers send raw deflate (RFC 1951).

    The first two bytes tell: a zlib header is a multiple of 31 and names method 8.
    """

    def __init__(self) -> None:
        self._head = b""
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes, limit: int) -> bytes:
        if self._stream is None:
            data = self._head = self._head + data
            if len(data) < 2:
                return b""
            wrapped = data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._stream = zlib.decompressobj(ZLIB if wrapped else RAW_DEFLATE)
        if self._stream.eof and data:
            raise zlib.error("bytes after the end of the stream")
        decoded = self._stream.decompress(data, limit + 1)
        if self._stream.unused_data:
            raise zlib.error("bytes after the end of the stream")
        return decoded


class _Brotli:
    """Brotli (RFC 7932)."""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def feed(self, data: bytes, limit: int) -> bytes:
        if not data:
            return b""
        decoded: bytes = self._stream.process(data, output_buffer_limit=limit + 1)
        return decoded


class _Zstd:
    """Zstandard (RFC 8878): frames one after another."""

    def __init__(self) -> None:
        self._frames = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)

    def feed(self, data: bytes, limit: int) -> bytes:
        decoded = bytearray()
        for start in range(0, len(data), ZSTD_SLICE):
            decoded += self._frames.decompress(data[start : start + ZSTD_SLICE])
            if len(decoded) > limit:
                break
        return bytes(decoded)


DECODERS: dict[str, Callable[[], Decoder]] = {
    "br": _Brotli,
    "deflate": _Deflate,
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "zstd": _Zstd,
}
"""The codings that can be undone, by their names in `content-encoding`."""
