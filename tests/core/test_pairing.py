"""Which exchanges of two recordings belong together."""

import json
from collections.abc import Callable
from dataclasses import replace

from harness.core.derive import derive
from harness.core.exchange import Exchange, Request, Response
from harness.core.pairing import Side, pairs, side_of, unequal

type MakeExchange = Callable[..., Exchange]


def sides(*exchanges: Exchange) -> list[Side]:
    return [side_of(replace(exchange, id=n), derive(exchange)) for n, exchange in enumerate(exchanges, 1)]


def asking(exchange: Exchange, **fields: object) -> Exchange:
    body = json.loads(exchange.request.body) | fields
    return replace(exchange, request=replace(exchange.request, body=json.dumps(body).encode()))


def ids(before: list[Side], after: list[Side]) -> list[tuple[int | None, int | None]]:
    return [
        (p.before.id if p.before else None, p.after.id if p.after else None) for p in pairs(before, after)
    ]


def test_equal_requests_in_recorded_order(make_exchange: MakeExchange) -> None:
    same = sides(make_exchange("a"), make_exchange("b"), make_exchange("c"))
    assert ids(same, same[:2]) == [(1, 1), (2, 2), (3, None)]
    assert ids(same[:1], same) == [(1, 1), (None, 2), (None, 3)]
    assert ids([], []) == []


def test_a_changed_request_finds_the_most_alike(make_exchange: MakeExchange) -> None:
    plain = make_exchange("a")
    before = sides(asking(plain, seed=1, max_tokens=5, user="u", temperature=0))
    after = sides(
        asking(plain, seed=2, max_tokens=6, user="u", temperature=0),
        asking(plain, seed=1, max_tokens=6, user="u", temperature=0),
    )
    assert ids(before, after) == [(1, 2), (None, 1)]
    (found, _) = pairs(before, after)
    assert [str(each) for each in found.request] == ["body/max_tokens: recorded 5, requested 6"]
    elsewhere = replace(plain, request=Request("POST", "http://api.test/v1/other", body=plain.request.body))
    assert ids(sides(plain), sides(elsewhere)) == [(1, None), (None, 1)]


def test_answers_differ_by_what_they_say(make_exchange: MakeExchange) -> None:
    exchange = make_exchange("Hel", "lo")
    assert exchange.response
    cut_elsewhere = replace(exchange.response, chunks=((5, exchange.response.body),))
    late = replace(exchange, response=replace(cut_elsewhere, headers_ns=4, end_ns=9))
    assert list(unequal(pairs(sides(exchange), sides(late)))) == []
    (found,) = unequal(pairs(sides(exchange), sides(make_exchange("Hel", "p"))))
    assert [str(each) for each in found.answer] == ['text: recorded "Hello", requested "Help"']


def test_an_answer_of_no_dialect_differs_by_its_body() -> None:
    def listing(body: bytes) -> Exchange:
        return Exchange(Request("GET", "http://a.test/x"), Response(200, (), 0, ((1, body),), 1))

    assert list(unequal(pairs(sides(listing(b'{"a": 1}')), sides(listing(b'{"a":1.0}'))))) == []
    (found,) = unequal(pairs(sides(listing(b'{"a": 1}')), sides(listing(b'{"a": 2}'))))
    assert [each.where for each in found.answer] == ["body/a"]
    no_answer = Exchange(Request("GET", "http://a.test/x"), None, error="refused")
    (found,) = unequal(pairs(sides(listing(b"")), sides(no_answer)))
    assert {"status", "error"} <= {each.where for each in found.answer}
