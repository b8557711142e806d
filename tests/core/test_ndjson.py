from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.ndjson import NdjsonDecoder


def decoded(*pieces: bytes) -> list[bytes]:
    decoder = NdjsonDecoder()
    lines = [line for piece in pieces for line in decoder.feed(piece)]
    return lines + decoder.close()


FORMS = {
    "two lines": (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
    "crlf": (b"1\r\n2\r\n", [b"1", b"2"]),
    "blank lines": (b"\n \n1\n\r\n\n2\n\n", [b"1", b"2"]),
    "white space": (b"  1\t\n", [b"1"]),
    "no end of line": (b"1\n2", [b"1", b"2"]),
    "white space at the end": (b"1\n  ", [b"1"]),
    "cut in a character": (b'"\xf0\x9f', [b'"\xf0\x9f']),
    "carriage return inside": (b"1\r2\n", [b"1\r2"]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(("body", "lines"), FORMS.values(), ids=FORMS)
class TestForms:
    def test_whole(self, body: bytes, lines: list[bytes]) -> None:
        assert decoded(body) == lines

    def test_byte_by_byte(self, body: bytes, lines: list[bytes]) -> None:
        assert decoded(*(body[i : i + 1] for i in range(len(body)))) == lines

    def test_bytes_after_the_end(self, body: bytes, lines: list[bytes]) -> None:
        assert decoded(body + b"\n", b"3\n") == [*lines, b"3"]


def test_a_line_comes_with_its_line_feed() -> None:
    decoder = NdjsonDecoder()
    assert decoder.feed(b"1") == []
    assert decoder.feed(b"\n2") == [b"1"]
    assert decoder.close() == [b"2"]
    assert decoder.close() == []


def test_a_huge_line_in_small_pieces() -> None:
    line = b"[" + b"1," * 200_000 + b"1]"
    assert decoded(*(line[i : i + 7] for i in range(0, len(line), 7)), b"\n") == [line]


@given(
    body=st.lists(st.sampled_from([b"\r", b"\n", b" ", b"{}", b"\xff"])).map(b"".join) | st.binary(),
    cuts=st.lists(st.integers(0, 200)),
)
def test_any_split_gives_the_same_lines(body: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    assert decoded(*(body[a:b] for a, b in pairwise(edges))) == decoded(body)
