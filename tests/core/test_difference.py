"""Differences between requests, as people read them."""

import pytest

from harness.core.difference import (
    SHOWN,
    Change,
    Difference,
    differences,
    fingerprint,
    likeness,
    shingles,
    similarity,
)
from harness.core.exchange import Request
from harness.core.matching.matcher import fields_of as fields


def request(body: bytes = b"", path: str = "/v1/chat", method: str = "POST") -> Request:
    return Request(method, "http://x" + path, body=body)


@pytest.mark.parametrize(
    ("recorded", "requested", "expected"),
    [
        (request(b'{"a":1}'), request(b'{"a":1}'), []),
        (request(b'{"a":1}'), request(b'{"a":1.0}'), []),
        (request(b'{"a":1}'), request(b'{"a":true}'), ["body/a: recorded 1, requested true"]),
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


def share(one: Request, other: Request) -> float:
    return similarity(fingerprint(fields(one)), frozenset(fingerprint(fields(other))))


def test_similarity_is_the_share_of_equal_fields() -> None:
    wanted = request(b'{"a":1,"b":2}')
    assert share(wanted, wanted) == 1
    assert share(request(b'{"a":1,"b":3}'), wanted) == 3 / 5
    assert share(request(b"{}"), wanted) < 3 / 5
    assert share(request(b'{"a":true,"b":2}'), wanted) == 3 / 5
    assert share(request(method="GET", path="/x"), wanted) == 0


def test_nothing_in_a_difference_moves_a_cursor() -> None:
    [found] = differences(fields(request(b"a")), fields(request(b"a\n\x1b[31m")))
    assert found.requested.isprintable()


def test_a_difference_is_plain_data() -> None:
    assert Difference("body/a", "1", "2") == Difference("body/a", "1", "2")


def test_a_difference_says_what_became_of_the_field() -> None:
    found = differences({"a": 1, "b": 2, "c": "x"}, {"a": 1, "b": 3, "d": None})
    assert [(one.where, one.change) for one in found] == [
        ("b", Change.CHANGED),
        ("d", Change.ADDED),
        ("c", Change.REMOVED),
    ]


TOLD = {"model": "m", "text": "one two three four"}
LIKENESS = [
    (TOLD, 1.0),
    (TOLD | {"text": "one two three five"}, (1 + 0.75) / 2),
    (TOLD | {"text": "four three two one"}, (1 + 0.99) / 2),  # other text is never all alike
    (TOLD | {"text": 1}, 0.5),
    (TOLD | {"more": 1}, 2 / 3),
    ({}, 0.0),
    (TOLD | {"text": ""}, 0.5),
]


@pytest.mark.parametrize(("requested", "expected"), LIKENESS)
def test_likeness_weighs_texts_by_their_words(requested: dict[str, object], expected: float) -> None:
    assert likeness(TOLD, requested) == pytest.approx(expected)
    assert likeness(requested, TOLD) == pytest.approx(expected)


def shared(one: str, other: str) -> float:
    left, right = set(shingles(one)), set(shingles(other))
    return len(left & right) / max(1, len(left | right))


def test_like_texts_share_shingles_and_others_none() -> None:
    long = " ".join(f"word{number}" for number in range(300))
    assert shared(long, long + " more") > 0.5
    assert shared(long, "new " + long) > 0.5
    assert shared(long, long.upper()) == 0
    assert shared("say hello", "say hello again") > 0.4
    assert shingles("") == []


def test_shingles_of_a_long_text_are_few() -> None:
    assert len(shingles("some other word " * 1_000_000)) <= 40
