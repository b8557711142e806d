"""Whatever a text contains, printing it does nothing but print."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本 😀", "plain é 日本 😀"),
        ("a\nb\tc\r", "a⏎b⇥c␍"),
        ("\x1b[2J\x00\x7f", "␛[2J␀␡"),
        ("\x9b31m", "<U+009B>31m"),
        ("\u202eabc\u2066\ufeff", "<U+202E>abc<U+2066><U+FEFF>"),
        ("\udcff", "<U+DCFF>"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("[bold]", "[bold]"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_some_may_be_kept() -> None:
    assert visible("a\nb\t\x1b", keep="\n\t") == "a\nb\t␛"


@given(st.text(st.characters()))
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    shown = visible(text)
    categories = {unicodedata.category(character) for character in shown}
    assert not categories & {"Cc", "Cs", "Zl", "Zp"}
    shown.encode()
