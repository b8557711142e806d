import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.json_text import is_json
from harness.core.masks import Finder, Mask, apply, long_mask, same_mask
from harness.core.structured import OwnRow, PartRow, PathRow


def masked(row: Finder, text: str, mask: Mask = long_mask) -> str:
    return apply(row, text.encode(), mask, Counter()).decode()


@pytest.mark.parametrize(
    ("pattern", "text", "done"),
    [
        ("b+", '{"a":"abbc"}', '{"a":"a**c"}'),
        ("user (b+)", "user bbb", "user ***"),
        (".+", '{"a":"bc","d":[1,23]}', '{"*":"**","*":[1,10]}'),
        (r"\d{4}", '{"a":4111,"b":"4111"}', '{"a":1000,"b":"****"}'),
        (r"\d{4}", '{"a":41114222}', '{"a":10000000}'),
        ("(?i)BOB", "bob", "***"),
        ("nbob", r'{"a":"\nbob"}', r'{"a":"\n***"}'),
        (r"x.u0", r'{"a":"x\u0041"}', r'{"a":"*\u0041"}'),
        ("AB", 'data: {"a":"AB"}\n\ndata: AB\n\n', 'data: {"a":"**"}\n\ndata: **\n\n'),
        ("[AB\\s]+", "A\r\nB", "*\r\n*"),
        ("é", '{"a":"é"}', '{"a":"**"}'),
        ("nothing", '{"a":"b"}', '{"a":"b"}'),
        ("red", "[redacted]***", "[redacted]***"),
        (".+", "x [redacted]* y", "[redacted]*****"),
    ],
)
def test_patterns_of_ones_own(pattern: str, text: str, done: str) -> None:
    assert masked(OwnRow.of(pattern, 1), text) == done


def test_requests_get_the_same_mask() -> None:
    row = OwnRow.of("(?:bob|alice)|[0-9]+", 1)
    assert masked(row, '{"a":"bob","b":12}', same_mask) == '{"a":"[redacted]","b":0}'
    assert masked(row, '{"a":"alice","b":345}', same_mask) == '{"a":"[redacted]","b":0}'


@settings(max_examples=25)
@given(
    st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
@pytest.mark.parametrize("pattern", [r"\w+", r"[^b]{2,9}", r'"[^"]*"', r"\\."])
def test_json_stays_json_whatever_a_pattern_finds(pattern: str, value: object) -> None:
    for text in (json.dumps([value]), json.dumps([value], ensure_ascii=False)):
        data = text.encode("utf-8", "surrogatepass")
        done = apply(OwnRow.of(pattern, 1), data, long_mask, Counter())
        assert len(done) == len(data)
        assert is_json(done)


@pytest.mark.parametrize("mask", [long_mask, same_mask])
def test_paths(mask: Mask) -> None:
    row = PathRow.of("$.a[*].b")
    done = json.loads(
        masked(row, '{"a":[{"b":"0123456789"},{"b":77},{"b":true},{"b":{"c":"0123456789"}}]}', mask)
    )
    number = 10 if mask is long_mask else 0
    assert done == {"a": [{"b": "[redacted]"}, {"b": number}, {"b": True}, {"b": {"c": "[redacted]"}}]}


BODY = (
    '--xyz\r\nContent-Disposition: form-data; name="key"\r\n\r\nplanted\r\n'
    '--xyz\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; filename="key"; name=file\r\n'
    "\r\nkept\n\nkept\r\n"
    "--xyz\r\nContent-Disposition: form-data; name=key\r\n\r\ntwo\r\nlines\r\n--xyz--\r\n"
)


def test_parts() -> None:
    row = PartRow(b"xyz", lambda name: name == "key")
    done = masked(row, BODY)
    assert done == BODY.replace("planted", "*******").replace("two\r\nlines", "[redacted]")
    bare = BODY.replace("\r\n", "\n")
    assert masked(row, bare) == bare.replace("planted", "*******").replace("two\nlines", "*********")


@pytest.mark.parametrize("cut", range(0, len(BODY), 7))
def test_parts_that_are_cut(cut: int) -> None:
    done = masked(PartRow(b"xyz", lambda name: name == "key"), BODY[:cut])
    assert len(done) == cut
    assert "plant" not in done
