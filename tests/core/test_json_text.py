import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.json_text import compact, healed, is_json, parse


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_what_json_writes_is_read(value: object) -> None:
    for ascii_only in (True, False):
        assert parse(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")) == value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'\n\n {"a": 1} \r\n', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'"\\ud83d"', "\ud83d"),
        (b'"a\xf0\x9f"', "a�"),
    ],
)
def test_lenient_reading(data: bytes, value: object) -> None:
    assert parse(data) == value
    assert is_json(data)


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b"[DONE]", b'{"a": 1', b"{} {}", b"{'a': 1}", b"[" * 100_000, b"1" * 5000, b"\xff\xfe"],
)
def test_no_json_raises_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the parser words it
        parse(data)
    assert not is_json(data)


@given(st.binary())
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    assert is_json(data) in (True, False)


def test_compact() -> None:
    assert compact({"a": [1, "é"]}) == '{"a":[1,"é"]}'


def test_compact_of_what_is_too_deep() -> None:
    value: list[object] = []
    for _ in range(200_000):
        value = [value]
    assert compact(value) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ""), ("abc", "abc"), ("é😀", "é😀"), ("\ud83d\ude00", "😀"), ("a\ud83d", "a�"), ("\ude00b", "�b")],
)
def test_healed(text: str, expected: str) -> None:
    assert healed(text) == expected


@given(st.text(st.characters(categories=["Cs", "Ll"])))
def test_healed_text_fits_utf_8(text: str) -> None:
    healed(text).encode()
