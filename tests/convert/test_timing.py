"""Times for exchanges whose recording kept none."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from harness.convert.timing import Drawn, asked, timed
from harness.core.derive import derive
from harness.core.errors import BadInput
from harness.core.exchange import Exchange, Response

type MakeExchange = Callable[..., Exchange]

MS = 1_000_000


@pytest.fixture
def untimed(make_exchange: MakeExchange) -> Exchange:
    """A stream of a role, three words, usage and terminator, all at once, its times unknown."""
    exchange = make_exchange("Hel", "lo", "!")
    assert exchange.response
    role = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    chunks = tuple((0, data) for data in (role, *(data for _, data in exchange.response.chunks)))
    response = replace(exchange.response, headers_ns=0, chunks=chunks, end_ns=0)
    return replace(exchange, response=response, timing_known=False, end_ns=0)


def times(exchange: Exchange) -> list[int]:
    assert exchange.response
    assert exchange.response.headers_ns == exchange.response.chunks[0][0]
    assert exchange.response.end_ns == exchange.end_ns == exchange.response.chunks[-1][0]
    return [at for at, _ in exchange.response.chunks]


def test_content_comes_at_the_gaps_and_the_rest_with_it(untimed: Exchange) -> None:
    given = timed(untimed, asked("ttft=300, icl=20", seed=0))
    assert times(given) == [300 * MS, 300 * MS, 320 * MS, 340 * MS, 340 * MS, 340 * MS]
    assert not given.timing_known
    assert derive(given).ttft_ns is None  # so that no figure is made of it


def test_jitter_is_even_seeded_and_bounded(untimed: Exchange) -> None:
    given = [times(timed(untimed, asked("ttft=300,icl=20,jitter=5", seed))) for seed in (1, 1, 2)]
    assert given[0] == given[1] != given[2]
    assert all(15 * MS <= after - before <= 25 * MS for before, after in pairwise(given[0][1:4]))
    assert times(timed(untimed, asked("jitter=5", 3)))[0] <= 5 * MS


def test_a_plain_body_comes_when_its_last_token_would(untimed: Exchange) -> None:
    def plain(body: bytes) -> Exchange:
        response = Response(200, (("content-type", "application/json"),), 0, ((0, body),), 0)
        return timed(replace(untimed, response=response), asked("ttft=100,icl=10", 0))

    assert times(plain(b'{"usage":{"prompt_tokens":1,"completion_tokens":11}}')) == [200 * MS]
    assert times(plain(b'{"choices":[{"index":0,"message":{"content":"12345678"}}]}')) == [110 * MS]
    assert times(plain(b"{}")) == [100 * MS]


def test_known_times_and_missing_answers_stay(make_exchange: MakeExchange) -> None:
    exchange = make_exchange()
    silent = replace(exchange, response=None, timing_known=False)
    for one in (exchange, silent):
        assert timed(one, asked("ttft=1", 0)) is one


def test_drawn_from_the_closest_pool(make_exchange: MakeExchange, untimed: Exchange) -> None:
    drawn = Drawn(Random(1))
    drawn.add(derive(make_exchange(model="other")))
    assert times(timed(untimed, drawn)) == [100 * MS, 100 * MS, 110 * MS, 120 * MS, 120 * MS, 120 * MS]
    slow = make_exchange("a", "b")
    assert slow.response
    chunks = tuple((at * 7, data) for at, data in slow.response.chunks)
    drawn.add(derive(replace(slow, response=replace(slow.response, chunks=chunks))))
    assert times(timed(untimed, drawn)) == [700 * MS, 700 * MS, 770 * MS, 840 * MS, 840 * MS, 840 * MS]


@pytest.mark.parametrize(
    "text", ["", "ttft", "ttft=", "ttft=x", "icl=-1", "ttfb=1", "ttft=nan", "ttft=1;icl=2", "icl=1e99"]
)
def test_bad_times(text: str) -> None:
    with pytest.raises(BadInput, match="--timing: "):
        asked(text, 0)
