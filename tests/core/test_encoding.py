import gzip
import zlib
from collections.abc import Callable
from itertools import pairwise

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from harness.core.encoding import decode_body, decode_chunks, encoding_of, pieces

type Encode = Callable[[bytes], bytes]


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


def two_members(data: bytes) -> bytes:
    return gzip.compress(data[:5]) + gzip.compress(data[5:]) + b"\0\0"


def two_frames(data: bytes) -> bytes:
    return zstd(data[:5]) + zstd(data[5:])


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


CODINGS: dict[str, tuple[str | None, Encode]] = {
    "none": (None, bytes),
    "empty": ("", bytes),
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "upper case": (" GZip ", gzip.compress),
    "gzip members": ("gzip", two_members),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd),
    "zstd frames": ("zstd", two_frames),
    "stacked": ("gzip, br", lambda data: brotli.compress(gzip.compress(data))),
    "stacked with identity": ("deflate,identity ,zstd", lambda data: zstd(zlib.compress(data))),
}
COMPRESSED = {name: row for name, row in CODINGS.items() if row[0] and row[0] != "identity"}
TEXT = b"data: " + bytes(range(256)) * 8 + b"\n\n"


@pytest.mark.parametrize(("encoding", "encode"), CODINGS.values(), ids=CODINGS)
class TestCodings:
    def test_whole(self, encoding: str | None, encode: Encode) -> None:
        assert decode_body(encoding, encode(TEXT)) == TEXT

    def test_byte_by_byte(self, encoding: str | None, encode: Encode) -> None:
        encoded = encode(TEXT)
        decoded = decode_chunks(encoding, [(i, encoded[i : i + 1]) for i in range(len(encoded))])
        assert b"".join(data for _, data in decoded) == TEXT
        assert all(data for _, data in decoded)

    def test_a_body_cut_in_the_middle_yields_its_beginning(
        self, encoding: str | None, encode: Encode
    ) -> None:
        encoded = encode(TEXT)
        starts = [decode_body(encoding, encoded[:length]) for length in range(len(encoded))]
        assert all(TEXT.startswith(start) for start in starts)
        assert starts[0] == b""

    def test_empty(self, encoding: str | None, encode: Encode) -> None:
        assert decode_chunks(encoding, []) == ()
        assert decode_chunks(encoding, [(1, encode(b""))]) == ()


@pytest.mark.parametrize(("encoding", "encode"), COMPRESSED.values(), ids=COMPRESSED)
@pytest.mark.parametrize("damaged", [b"this is no such data", b'{"model": "m"}', b"\0" * 40], ids=repr)
def test_damage_raises(encoding: str, encode: Encode, damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"damaged (gzip|x-gzip|deflate|br|zstd) data"):
        decode_body(encoding, damaged + encode(TEXT))


@pytest.mark.parametrize(("encoding", "encode"), COMPRESSED.values(), ids=COMPRESSED)
def test_bytes_after_the_end_are_damage(encoding: str, encode: Encode) -> None:
    with pytest.raises(ValueError, match="damaged"):
        decode_body(encoding, encode(TEXT) + b"more bytes than any header has")
    with pytest.raises(ValueError, match="damaged"):
        decode_chunks(encoding, [(1, encode(TEXT)), (2, b"more bytes than any header has")])


@pytest.mark.parametrize(("encoding", "encode"), COMPRESSED.values(), ids=COMPRESSED)
def test_a_small_body_cannot_fill_the_memory(encoding: str, encode: Encode) -> None:
    bomb = encode(b"\0" * 3_000_000)
    assert sum(len(data) for _, data in pieces(encoding, [(0, bomb)], limit=3_000_000)) == 3_000_000
    with pytest.raises(ValueError, match="too many bytes"):
        list(pieces(encoding, [(0, bomb)], limit=100_000))


@pytest.mark.parametrize("encoding", ["compress", "gzip, magic", "aws-chunked"])
def test_an_unknown_encoding_raises(encoding: str) -> None:
    with pytest.raises(ValueError, match=r"unknown content encoding '(compress|magic|aws-chunked)'"):
        decode_body(encoding, b"x")


def test_what_was_decoded_before_the_damage_comes_first() -> None:
    source = pieces("gzip", [(5, gzip.compress(b"good")), (6, b"bad bytes")])
    assert next(source) == (5, b"good")
    with pytest.raises(ValueError, match="damaged gzip data"):
        next(source)


def flushed(coding: str, parts: list[bytes]) -> list[bytes]:
    """Each part flushed to the wire, as a server does that streams."""
    if coding == "gzip":
        stream = zlib.compressobj(wbits=31)
        chunks = [stream.compress(part) + stream.flush(zlib.Z_SYNC_FLUSH) for part in parts]
        return [*chunks, stream.flush()]
    if coding == "br":
        stream = brotli.Compressor()
        chunks = [stream.process(part) + stream.flush() for part in parts]
        return [*chunks, stream.finish()]
    frame = zstandard.ZstdCompressor().compressobj()
    block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    return [*(frame.compress(part) + frame.flush(block) for part in parts), frame.flush()]


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_piece_keeps_the_time_of_the_chunk_that_completed_it(coding: str) -> None:
    parts = [b"data: one\n\n", b"data: two\n\n", b"data: three\n\n"]
    chunks = flushed(coding, parts)
    late = [(10 * i, half) for i, chunk in enumerate(chunks, 1) for half in (chunk[:-1], chunk[-1:])]
    split = [(at + k % 2, half) for k, (at, half) in enumerate(late)]
    ends: dict[int, bytes] = {}
    for at, data in decode_chunks(coding, split):
        ends[at // 10] = ends.get(at // 10, b"") + data
    assert ends == dict(enumerate(parts, 1))


@given(
    data=st.binary(max_size=2000),
    coding=st.sampled_from([name for name, (encoding, _) in CODINGS.items() if encoding]),
    cuts=st.lists(st.integers(0, 2000)),
)
def test_any_split_decodes_to_the_same(data: bytes, coding: str, cuts: list[int]) -> None:
    encoding, encode = CODINGS[coding]
    encoded = encode(data)
    edges = sorted({0, len(encoded), *(cut for cut in cuts if cut < len(encoded))})
    chunks = [(a, encoded[a:b]) for a, b in pairwise(edges)]
    assert b"".join(piece for _, piece in decode_chunks(encoding, chunks)) == data


@given(data=st.binary(), encoding=st.sampled_from(["gzip", "deflate", "br", "zstd"]))
def test_arbitrary_bytes_decode_or_raise_value_error(data: bytes, encoding: str) -> None:
    try:
        decode_body(encoding, data)
    except ValueError as error:
        assert encoding in str(error)  # noqa: PT017 - most bytes raise, some do not


def test_the_encoding_of_headers() -> None:
    assert encoding_of((("Content-Type", "x"),)) is None
    assert encoding_of((("CONTENT-ENCODING", "gzip"), ("content-encoding", "br"))) == "gzip, br"
    assert encoding_of((("Content-Encoding", ""),)) is None
