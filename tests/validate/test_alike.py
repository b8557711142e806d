"""Messages that are told to be alike have one shape; those of real streams are told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.validate.alike import LONGEST, TRIES, Alike, joined
from harness.validate.shape import shape

WORDS = frozenset(["a", "stop", "ü", ""])
ENCODED = frozenset(word.encode() for word in WORDS)
TEXT = st.sampled_from(["a", "b", "stop", "", "ü", "ö", "x y", 'q"q', "back\\", ":", "\u2028"])
LEAF = TEXT | st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2)
NAMES = st.sampled_from(["a", "b", "content", ":"])
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)


def chunk(text: str, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return json.dumps({"id": "c-1", "choices": [choice], **more}).encode()


def taught(*messages: bytes) -> Alike[str]:
    alike = Alike[str](ENCODED)
    for message in messages:
        alike.learn(message, "found")
    return alike


@given(values=st.lists(VALUE, min_size=3, max_size=12), spaced=st.booleans(), escaped=st.booleans())
def test_what_is_alike_has_one_shape(values: list[Any], spaced: bool, escaped: bool) -> None:
    separators = (" , ", " : ") if spaced else (",", ":")
    alike = Alike[Any](ENCODED)
    for value in values:
        data = json.dumps(value, separators=separators, ensure_ascii=escaped).encode()
        found = alike.find(data)
        assert found in (None, shape(value, WORDS))
        if found is None:
            alike.learn(data, shape(value, WORDS))


@given(texts=st.lists(TEXT, min_size=3, max_size=9), finish=st.none() | TEXT, obfuscation=TEXT)
def test_chunks_that_differ_in_texts(texts: list[str], finish: str | None, obfuscation: str) -> None:
    alike = Alike[Any](ENCODED)
    for text in texts:
        data = chunk(text, finish, obfuscation=obfuscation + text)
        expected = shape(json.loads(data), WORDS)
        assert alike.find(data) in (None, expected)
        alike.learn(data, expected)


@pytest.mark.parametrize(
    "data",
    [chunk(text) for text in ("another", "x, y: {z}", "c", "x" * 999, '"a\\', "\ud800\n")],
)
def test_another_text_is_alike(data: bytes) -> None:
    assert taught(chunk("b"), chunk("c")).find(data) == "found"


def test_two_texts_may_differ() -> None:
    alike = taught(chunk("b", obfuscation="q"), chunk("c", obfuscation="rr"))
    assert alike.find(chunk("dd", obfuscation="s")) == "found"
    assert alike.find(chunk("dd", obfuscation="a")) is None


@pytest.mark.parametrize(
    "data",
    [
        chunk("a"),  # a word
        chunk("ü"),
        chunk("c").replace(b'"c"', rb'"\u0061"'),  # the same word
        chunk("c").replace(b'"c"', b'"c'),
        chunk("c", "stop"),
        chunk("c", more=1),
        chunk("c") + b" ",
        chunk("c")[:-1],
        chunk("c").replace(b'"index": 0', b'"index": 1'),
        chunk("c").replace(b'"c"', b"null"),
        chunk("c").replace(b'"content"', b'"refusal"'),
        b"",
    ],
)
def test_anything_else_is_not(data: bytes) -> None:
    assert taught(chunk("b"), chunk("c")).find(data) is None


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (chunk("b"),),
        (chunk("b"), chunk("a")),  # a word, so that the next one has another shape
        (chunk("b"), chunk("b", "stop")),
        (b'{"b": "x"}', b'{"c": "x"}'),
        (b'{"b" : "x"}', b'{"c" : "x"}'),
        (b'{"n": 0, "t": "x"}', b'{"n": 1, "t": "y"}'),
        (b'["1", "2", "3", "4", "5"]', b'["6", "7", "8", "9", "0"]'),
        (chunk("b\\"), chunk("b"), chunk("c\\")),
        (chunk("b" * LONGEST), chunk("c" * LONGEST)),
    ],
)
def test_from_these_nothing_is_learnt(messages: tuple[bytes, ...]) -> None:
    alike = taught(*messages)
    assert alike.find(chunk("c")) is None
    assert all(alike.find(message) is None for message in messages)


def test_what_was_learnt_outlives_other_messages() -> None:
    alike = taught(chunk("b"), chunk("c"), b'{"type": "ping"}')
    assert alike.find(chunk("d")) == "found"


def test_messages_without_a_difference_are_alike() -> None:
    alike = taught(b'{"type": "ping"}', b'{"type": "ping"}')
    assert alike.find(b'{"type": "ping"}') == "found"
    assert alike.find(b'{"type": "pong"}') is None


def test_it_gives_up() -> None:
    alike = taught(*(b"[%d]" % number for number in range(TRIES)), chunk("b"), chunk("c"))
    assert alike.find(chunk("d")) is None
    alike = taught(*(b"[%d]" % number for number in range(TRIES - 2)), chunk("b"), chunk("c"))
    assert alike.find(chunk("d")) == "found"


def test_joined() -> None:
    assert joined([b"[", b"a", b",", b"b", b"]"], [1, 3]) == [b'["', b'","', b'"]']
    assert joined([b"[", b"a", b"]"], []) == [b'["a"]']
