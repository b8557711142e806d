"""Cursors: whose turn it is, and which answer comes next."""

import pytest

from harness.core.errors import BadInput
from harness.core.exchange import Headers, Request
from harness.core.matching.words import Repeat
from harness.replay.cursors import EVERYBODY, OwnCursors, pick, session_by

PICKED = [
    (Repeat.LAST, 3, [0, 1, 2, 2, 2]),
    (Repeat.CYCLE, 3, [0, 1, 2, 0, 1]),
    (Repeat.SEQUENCE, 3, [0, 1, 2, None, None]),
    (Repeat.LAST, 1, [0, 0, 0, 0, 0]),
]


@pytest.mark.parametrize(("repeat", "count", "picked"), PICKED)
def test_each_mode_picks_as_it_says(repeat: Repeat, count: int, picked: list[int | None]) -> None:
    assert [pick(repeat, before, count, "") for before in range(5)] == picked


def test_chance_is_its_seed_and_reaches_all() -> None:
    picked = [[pick(Repeat.RANDOM, n, 4, seed) for n in range(100)] for seed in ("a", "a", "b")]
    assert picked[0] == picked[1] != picked[2]
    assert set(picked[0]) == {0, 1, 2, 3}


def test_sessions_and_keys_are_counted_apart_and_reset() -> None:
    cursors = OwnCursors()
    asked = [("a", "x"), ("a", "x"), ("b", "x"), ("a", "y")]
    assert [cursors.advance(*one) for one in asked] == [0, 1, 0, 0]
    cursors.reset("a")
    assert [cursors.advance(*one) for one in asked] == [0, 1, 1, 0]
    cursors.reset("nobody")
    cursors.reset()
    assert [cursors.advance(*one) for one in asked] == [0, 1, 0, 0]


SESSIONS: list[tuple[str | None, Headers, Headers, bool]] = [
    (None, (("authorization", "Bearer a"),), (("authorization", "Bearer b"),), True),
    ("api-key", (("authorization", "Bearer a"),), (("Authorization", "Bearer b"),), False),
    ("api-key", (("authorization", "Bearer a"),), (("x-api-key", "a"),), True),
    ("API-KEY", (("api-key", "a"),), (("x-goog-api-key", "b"),), False),
    ("api-key", (), (), True),
    ("header:X-Test", (("x-test", "1"),), (("X-Test", "1"), ("authorization", "Bearer b")), True),
    ("header:x-test", (("x-test", "1"),), (("x-test", "2"),), False),
    ("header:x-test", (("x-test", "1"),), (), False),
]


def headed(*headers: tuple[str, str]) -> Request:
    return Request("POST", "http://x/", headers)


@pytest.mark.parametrize(("by", "one", "other", "same"), SESSIONS)
def test_clients_are_told_apart_as_asked(by: str | None, one: Headers, other: Headers, same: bool) -> None:
    session_of = session_by(by)
    assert (session_of(headed(*one)) == session_of(headed(*other))) is same


def test_a_key_is_known_by_its_digest_and_nobody_by_nothing() -> None:
    assert "secret" not in session_by("api-key")(headed(("authorization", "Bearer secret")))
    assert session_by("api-key")(headed()) == session_by("header:x")(headed()) == EVERYBODY


@pytest.mark.parametrize("text", ["", "header", "header:", "header: ", "cookie", "x-test"])
def test_what_tells_nobody_apart_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="--session-by"):
        session_by(text)
