import io
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record.message import LENGTH, STAMP, CutShort, Kind, Message, encode, plain, read

HEAD = {"kind": "exchange", "request": {"headers": [["a", "caf\udce9"]]}}


@given(st.binary(), st.lists(st.tuples(st.integers(0, 2**62), st.binary())))
def test_what_is_sent_is_read(body: bytes, chunks: list[tuple[int, bytes]]) -> None:
    stamps, datas = array(STAMP, [stamp for stamp, _ in chunks]), [data for _, data in chunks]
    source = io.BytesIO(encode(HEAD, body, stamps, datas) + plain(Kind.NOTE, "next"))
    first, second = read(source), read(source)
    assert first == Message(HEAD, body, stamps, datas)
    assert second is not None
    assert second.head == {"kind": "note", "text": "next"}
    assert read(source) is None


def test_an_end_within_a_message_is_told() -> None:
    data = encode(HEAD, b"body", array(STAMP, [1, 2]), [b"a", b"bc"])
    for size in range(1, len(data)):
        with pytest.raises(CutShort):
            read(io.BytesIO(data[:size]))


def test_sizes_on_the_wire() -> None:
    assert array(STAMP).itemsize == 8
    assert array(LENGTH).itemsize == 4
