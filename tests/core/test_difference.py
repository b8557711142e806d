"""Differences between requests, as people read them."""

import pytest

from harness.core.difference import SHOWN, Difference, differences, fields, fingerprint, similarity
from harness.core.exchange import Request


def request(body: bytes = b"", path: str = "/v1/chat", method: str = "POST") -> Request:
    return Request(method, "http://x" + path, body=body)


@pytest.mark.parametrize(
    ("recorded", "requested", "expected"),
    [
        (request(b'{"a":1}'), request(b'{"a":1}'), []),
        (request(b'{"a":1}'), request(b'{"a":1.0}'), []),
        (request(b'{"a":1}'), request(b'{"a":true}'), ["body/a: recorded 1, requested True"]),
        (request(b'{"a":1}'), request(b'{"a":"1"}'), ['body/a: recorded 1, requested "1"']),
        (
            request(b'{"a":1}'),
            request(b'{"b":1}'),
            ["body/b: recorded nothing, requested 1", "body/a: recorded 1, requested nothing"],
        ),
        (request(path="/a?x=1"), request(path="/a?x=2"), ['query.x: recorded "1", requested "2"']),
        (request(path="/a"), request(path="/b"), ['path: recorded "/a", requested "/b"']),
        (request(method="GET"), request(method="POST"), ['method: recorded "GET", requested "POST"']),
        (request(b"plain"), request(b"plane"), ['body: recorded "plain", requested "plane"']),
        (request(b'{"m":[1,2]}'), request(b'{"m":[1]}'), ["body/m/1: recorded 2, requested nothing"]),
    ],
)  # fmt: skip
def test_every_field_that_differs_is_named(
    recorded: Request, requested: Request, expected: list[str]
) -> None:
    assert [str(found) for found in differences(fields(recorded), fields(requested))] == expected


def test_long_values_are_cut_around_their_first_difference() -> None:
    base = "word " * 100
    one, other = base + "left" + base, base + "right" + base
    [found] = differences(
        fields(request(f'{{"a":"{one}"}}'.encode())), fields(request(f'{{"a":"{other}"}}'.encode()))
    )
    assert "left" in found.recorded
    assert "right" in found.requested
    assert max(len(found.recorded), len(found.requested)) <= SHOWN + 2


def likeness(one: Request, other: Request) -> float:
    return similarity(fingerprint(fields(one)), frozenset(fingerprint(fields(other))))


def test_similarity_is_the_share_of_equal_fields() -> None:
    wanted = request(b'{"a":1,"b":2}')
    assert likeness(wanted, wanted) == 1
    assert likeness(request(b'{"a":1,"b":3}'), wanted) == 3 / 5
    assert likeness(request(b"{}"), wanted) < 3 / 5
    assert likeness(request(b'{"a":true,"b":2}'), wanted) == 3 / 5
    assert likeness(request(method="GET", path="/x"), wanted) == 0


def test_nothing_in_a_difference_moves_a_cursor() -> None:
    [found] = differences(fields(request(b"a")), fields(request(b"a\n\x1b[31m")))
    assert found.requested.isprintable()


def test_a_difference_is_plain_data() -> None:
    assert Difference("body/a", "1", "2") == Difference("body/a", "1", "2")
