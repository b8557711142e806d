"""The feed of the checker: nothing that a checker does keeps the writer waiting."""

import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.core.exchange import Exchange, State
from harness.record.feed import Checked, Feed, size_of

COUNT = "import json, sys; n = len(sys.stdin.readlines()); print(json.dumps({'checked': n, 'wrong': 1}))"
DEAF = "import signal; signal.pause()"
GONE = "raise SystemExit"
MUMBLES = "import sys; sys.stdin.read(); print('[3]')"


@pytest.fixture
def exchange(make_exchange: Callable[..., Exchange]) -> Exchange:
    return make_exchange("x" * 200_000, state=State.COMPLETE)


def feed(source: str, exchange: Exchange, times: int, **limits: float) -> tuple[Checked, list[str]]:
    told: list[str] = []
    fed = Feed([sys.executable, "-c", source], told.append, **limits)  # type: ignore[arg-type]
    for number in range(1, times + 1):
        fed.offer(replace(exchange, id=number))
    return fed.close(), told


def test_a_checker_gets_all(exchange: Exchange) -> None:
    assert feed(COUNT, exchange, 3) == (Checked(3, 1, 0), [])


def test_nothing_to_check(exchange: Exchange) -> None:
    assert feed(COUNT, exchange, 0) == (Checked(0, 1, 0), [])


def test_a_checker_that_reads_nothing_is_told_of_once_and_given_up(exchange: Exchange) -> None:
    limit = 2 * size_of(exchange)
    checked, told = feed(DEAF, exchange, 9, limit=limit, stall_s=0.2)
    assert checked == Checked(0, 0, 9)
    assert [line for line in told if "cannot keep up" in line] == told[:1]
    assert "is gone" in told[-1]


def test_a_checker_that_is_gone_is_told_of_once(exchange: Exchange) -> None:
    checked, told = feed(GONE, exchange, 5)
    assert checked == Checked(0, 0, 5)
    assert len(told) == 1
    assert "is gone" in told[0]


def test_a_checker_that_says_something_else_has_checked_nothing(exchange: Exchange) -> None:
    assert feed(MUMBLES, exchange, 2) == (Checked(0, 0, 2), [])
