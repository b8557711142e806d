"""The look for literals: the answer of one `in` each, at less cost."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.literals import WINDOW, Literals

EXACT, ANY_CASE = {b"AKIA", b"sk-ant-", b"hf_", b"@", b"=", b""}, {b"bearer", b'"password', b"%73%65"}
LOOK = Literals(EXACT, ANY_CASE)

FILLINGS = {
    "base64": base64.b64encode(bytes(range(256)) * 200),
    "text": b'{"role": "user", "content": "so it goes - and on_it"},\n' * 1_400,
    "bytes": bytes(range(128, 256)) * 600,
    "one byte": b"a" * (WINDOW + 9),
}


def by_in(data: bytes) -> tuple[set[bytes], set[bytes]]:
    lower = data.lower()
    return {one for one in EXACT if one in data}, {one for one in ANY_CASE if one in lower}


@pytest.mark.parametrize("filling", FILLINGS.values(), ids=FILLINGS)
@pytest.mark.parametrize("literal", [b"AKIA", b"sk-ant-", b"hf_", b"BeaRer", b'"PassWord', b"%73%65"])
def test_a_literal_is_found_wherever_it_stands(filling: bytes, literal: bytes) -> None:
    without = LOOK.of(filling)
    assert without == by_in(filling)
    assert literal not in without[0]
    for at in {0, *range(WINDOW - len(literal) - 1, WINDOW + 2), len(filling)}:
        data = filling[:at] + literal + filling[at:]
        assert LOOK.of(data) == by_in(data) != without


@given(st.lists(st.sampled_from([*EXACT, *ANY_CASE, b",", b"x", b"SK-ANT-", b"x" * WINDOW]), max_size=9))
def test_the_answer_is_that_of_in(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert LOOK.of(data) == by_in(data)


def test_there_may_be_no_literals() -> None:
    assert Literals((), ()).of(b"x" * (2 * WINDOW)) == (set(), set())
