"""Simulated answers: recorded bytes at times drawn from those of their kind."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.core.derive import derive
from harness.core.exchange import Exchange, Request, Response
from harness.core.simulation import Course, Donor, Pool, donor_of

MS = 1_000_000
type MakeExchange = Callable[..., Exchange]


def donor(exchange: Exchange, label: str = "1") -> Donor:
    made = donor_of(label, exchange)
    assert made is not None
    return made


def slower(exchange: Exchange, factor: int) -> Exchange:
    assert exchange.response is not None
    chunks = tuple((at * factor, data) for at, data in exchange.response.chunks)
    response = replace(exchange.response, chunks=chunks, end_ns=exchange.response.end_ns * factor)
    return replace(exchange, response=response)


def test_times_are_recorded_ones_and_bytes_one_answers(make_exchange: MakeExchange) -> None:
    exchanges = [slower(make_exchange("a", "b", "c", "d"), factor) for factor in (1, 3)]
    pool = Pool.of([donor(one, str(number)) for number, one in enumerate(exchanges)])
    for seed in map(str, range(20)):
        chosen, made = pool.answer(seed)
        assert made.response is not None
        assert made.response.body == exchanges[int(chosen.label)].response.body  # type: ignore[union-attr]
        derived = derive(made)
        assert derived.ttft_ns in (100 * MS, 300 * MS)
        assert set(derived.icl_ns) <= {10 * MS, 30 * MS}
        assert list(made.response.chunks) == sorted(made.response.chunks, key=lambda chunk: chunk[0])
        assert made.response.headers_ns <= made.response.chunks[0][0]
        assert made.response.end_ns >= made.response.chunks[-1][0]


def test_chance_is_its_seed(make_exchange: MakeExchange) -> None:
    pool = Pool.of([donor(slower(make_exchange(*"abcdefgh"), factor)) for factor in (1, 2, 3)])
    assert pool.answer("a") == pool.answer("a")
    assert len({pool.answer(seed)[1].response for seed in "abcdef"}) > 1


def test_the_recorders_connection_set_up_is_left_out(make_exchange: MakeExchange) -> None:
    made = donor(make_exchange("a", connect_ns=60 * MS))
    assert made.content_ns[0] == 40 * MS
    assert made.exchange.connect_ns == 0


def test_a_plain_answer_takes_as_long_as_another_took() -> None:
    def plain(end_ms: int) -> Exchange:
        body = b'{"choices":[{"message":{"content":"hi"}}]}'
        response = Response(200, (), end_ms * MS // 2, ((end_ms * MS, body),), end_ms * MS)
        return Exchange(Request("POST", "http://x/v1/chat/completions"), response)

    pool = Pool.of([donor(plain(10)), donor(plain(40))])
    made = [pool.answer(seed)[1].response for seed in "abcdefgh"]
    assert {one.end_ns for one in made if one} == {10 * MS, 40 * MS}
    assert all(one and one.headers_ns == one.end_ns // 2 for one in made)


def test_unknown_times_are_not_drawn(make_exchange: MakeExchange) -> None:
    unknown = donor(make_exchange("a", timing_known=False), "u")
    known = donor(make_exchange("a"), "k")
    assert {Pool.of([unknown, known]).answer(seed)[0].label for seed in "abcdef"} == {"k"}
    assert Pool.of([unknown]).answer("a") == (unknown, unknown.exchange)


def test_what_gave_no_content_is_no_donor(make_exchange: MakeExchange) -> None:
    assert donor_of("1", make_exchange(response=None)) is None
    nothing = make_exchange()
    assert nothing.response is not None
    assert donor_of("1", replace(nothing, response=replace(nothing.response, chunks=()))) is None


@pytest.mark.parametrize(
    ("moment", "expected"),
    [(0, 0), (50, 100), (100, 200), (150, 210), (200, 220), (260, 280)],
)
def test_what_stands_between_stays_between(moment: int, expected: int) -> None:
    assert Course((100, 200), (200, 220)).at(moment) == expected


def test_events_of_one_moment_stay_together_at_the_last() -> None:
    course = Course((0, 0, 10), (5, 7, 9))
    assert [course.at(moment) for moment in (0, 5, 10, 11)] == [7, 8, 9, 10]
