"""Limits a minute: what is let in, what is left, and when to come again; to the nanosecond."""

import pytest

from harness.core.limits import KEYS_KEPT, MINUTE_NS, Limiter

S = 1_000_000_000


def admitted(limiter: Limiter, *at_s: float, key: str = "k") -> list[bool]:
    return [limiter.admit(key, round(at * S)) is None for at in at_s]


def test_a_minutes_requests_at_once_then_one_by_one() -> None:
    assert admitted(Limiter(3), 0, 0, 0, 0, 19.999999999, 20, 20, 40) == [True] * 3 + [
        False,
        False,
        True,
        False,
        True,
    ]


def test_after_a_minute_without_requests_all_are_there_and_no_more() -> None:
    assert admitted(Limiter(2), 0, 0, 600, 600, 600) == [True, True, True, True, False]


def test_a_refusal_says_how_long_to_wait_and_costs_nothing() -> None:
    limiter = Limiter(4)
    assert admitted(limiter, 0, 0, 0, 0) == [True] * 4
    for _ in range(3):
        over = limiter.admit("k", 5 * S)
        assert over
        assert (over.counts, over.limit, over.left, over.wait_ns) == ("requests", 4, 0, 10 * S)
        assert over.full_ns == 55 * S
    assert admitted(limiter, 15) == [True]


def test_tokens_are_taken_when_they_are_known_and_may_be_owed() -> None:
    limiter = Limiter(tokens=60)
    assert admitted(limiter, 0)
    limiter.charge("k", 90, 0)
    [standing] = limiter.standing("k", 0)
    assert (standing.left, standing.wait_ns, standing.full_ns) == (0, 31 * S, 90 * S)
    assert admitted(limiter, 30.9, 31) == [False, True]


def test_the_limit_that_keeps_it_out_longest_is_told() -> None:
    limiter = Limiter(requests=60, tokens=1)
    limiter.admit("k", 0)
    limiter.charge("k", 1, 0)
    over = limiter.admit("k", 0)
    assert over
    assert over.counts == "tokens"
    assert [one.left for one in limiter.standing("k", 0)] == [59, 0]


def test_keys_have_their_own() -> None:
    limiter = Limiter(1)
    assert admitted(limiter, 0, 0) == [True, False]
    assert admitted(limiter, 0, 0, key="other") == [True, False]


def test_nothing_is_lost_or_won_by_rounding() -> None:
    """7 a minute does not divide a nanosecond: after any number of looks, a minute brings 7."""
    limiter = Limiter(7)
    assert admitted(limiter, *[0] * 7) == [True] * 7
    for step in range(1, 1000):
        limiter.standing("k", MINUTE_NS * step // 1000)
    assert [one.left for one in limiter.standing("k", MINUTE_NS)] == [7]


def test_a_clock_that_goes_back_brings_nothing() -> None:
    limiter = Limiter(1)
    assert admitted(limiter, 100, 40, 101, 160) == [True, False, False, True]


@pytest.mark.parametrize("again", [True, False])
def test_memory_is_bounded_and_the_least_seen_key_starts_anew(again: bool) -> None:
    limiter = Limiter(1)
    assert admitted(limiter, 0, key="first") == [True]
    for number in range(KEYS_KEPT - 1):
        limiter.admit(number, 0)
    if again:
        assert admitted(limiter, 0, key="first") == [False]
    limiter.admit("more", 0)
    assert len(limiter.buckets) == KEYS_KEPT
    assert admitted(limiter, 0, key="first") == [not again]
