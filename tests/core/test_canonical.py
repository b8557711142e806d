"""The canonical form: which requests are the same request."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.canonical import canonical, flatten, match_key, parse_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

CHAT = b'{"model":"m","temperature":1,"messages":[{"role":"user","content":"hi"}]}'

SAME = {
    "key order": b'{"messages":[{"content":"hi","role":"user"}],"temperature":1,"model":"m"}',
    "white space": b'{ "model": "m",\n "temperature": 1, "messages": [ {"role": "user", "content": "hi"} ] }',
    "whole number as float": CHAT.replace(b":1,", b":1.0,"),
    "exponent": CHAT.replace(b":1,", b":10e-1,"),
    "null member": CHAT.replace(b'"m",', b'"m","stop":null,'),
    "null member of a message": CHAT.replace(b'"hi"', b'"hi","name":null'),
    "escaped text": CHAT.replace(b'"hi"', b'"\\u0068i"'),
}
OTHER = {
    "text": CHAT.replace(b'"hi"', b'"hi!"'),
    "number": CHAT.replace(b":1,", b":1.5,"),
    "number as text": CHAT.replace(b":1,", b':"1",'),
    "true for one": CHAT.replace(b":1,", b":true,"),
    "further message": CHAT.replace(b'"}]', b'"},{"role":"user","content":"hi"}]'),
    "further field": CHAT.replace(b'"m",', b'"m","stream":true,'),
    "null deep inside": CHAT.replace(b'"hi"', b'{"default":null}'),
    "empty": b"",
    "cut": CHAT[:-1],
}


def key(body: bytes, path: str = "/v1/chat/completions", method: str = "POST") -> str:
    return match_key(method, path, body)


@pytest.mark.parametrize("body", SAME.values(), ids=SAME)
def test_the_same_request_written_otherwise_has_the_same_key(body: bytes) -> None:
    assert key(body) == key(CHAT)


@pytest.mark.parametrize("body", OTHER.values(), ids=OTHER)
def test_another_request_has_another_key(body: bytes) -> None:
    assert key(body) != key(CHAT)


def test_nulls_deep_inside_are_told_from_absence() -> None:
    with_default = CHAT.replace(b'"hi"', b'{"default":null}')
    without = CHAT.replace(b'"hi"', b"{}")
    assert key(with_default) != key(without)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/a?x=1&y=2", "/a?y=2&x=1", True),
        ("/a?x=%31", "/a?x=1", True),
        ("/a?x=1", "/a?x=2", False),
        ("/a?x=1", "/a", False),
        ("/a?x=", "/a", False),
        ("/a", "/a/", False),
    ],
)
def test_query_counts_by_its_pairs(one: str, other: str, same: bool) -> None:
    assert (key(b"", one) == key(b"", other)) is same


def test_method_counts_in_any_case() -> None:
    assert key(b"", method="get") == key(b"", method="GET") != key(b"", method="POST")


def test_compressed_body_is_the_same_request() -> None:
    assert match_key("POST", "/a", gzip.compress(CHAT), (("Content-Encoding", "gzip"),)) == match_key(
        "POST", "/a", CHAT
    )


def test_body_with_a_wrong_encoding_counts_as_its_bytes() -> None:
    headers = (("content-encoding", "gzip"),)
    assert match_key("POST", "/a", b"no gzip", headers) != match_key("POST", "/a", b"no gzip either", headers)


def test_keys_are_those_that_older_recordings_hold() -> None:
    body = bytes(range(256)) + "ü".encode()
    assert key(body, "/v1/files?b=2&a=1").startswith("b0d4c92fbd2595692b577fdc3adb209a")
    written = '{"a":"\\ud800\u00fc","b":1.0}'.encode()
    assert key(written, "/\u00e9\udcff").startswith("f86d949f50fc8590c1a25b8cf885e97b")


@given(JSON)
def test_canonical_is_idempotent_and_survives_a_round_trip(value: object) -> None:
    once = canonical(value)  # type: ignore[arg-type]
    assert canonical(once) == once
    assert key(json.dumps([value]).encode()) == key(json.dumps([value], indent=2).encode())


@given(st.binary())
def test_any_body_has_a_key(body: bytes) -> None:
    assert len(key(body)) == 64


@pytest.mark.parametrize("body", [b"", b"1", b'"a"', b"{", b"[" * 100_000, b"\xff", b"{}x"])
def test_what_is_no_json_object_or_array_is_none(body: bytes) -> None:
    assert parse_json(body) is None


@pytest.mark.parametrize("depth", [400, 900, 2_000, 9_000, 50_000])
def test_json_of_any_depth_has_a_key_of_its_own(depth: int) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    assert key(deep) != key(deep.replace(b"1", b"2"))


def test_flatten_names_every_leaf() -> None:
    assert flatten({"a": [1, {"b/c": None, "d~": {}}], "e": []}) == {
        "/a/0": 1,
        "/a/1/b~1c": None,
        "/a/1/d~0": {},
        "/e": [],
    }
