"""Which event became which: equal ones, rewritten ones, and those without a partner."""

import json
from typing import Any

import pytest

from harness.probe.align import align
from harness.probe.blocks import Block


def events(*values: Any) -> list[Block]:
    return [Block(0, None, json.dumps(value).encode()) for value in values]


def tokens(*words: str, **more: Any) -> list[Block]:
    return events(*({"model": "m", "delta": {"content": word}, **more} for word in words))


SENT = tokens("a", "b", "c", "d")
TABLE: dict[str, tuple[list[int], list[tuple[int, int]], list[int], list[int], list[int]]] = {
    "all": ([0, 1, 2, 3], [], [], [], []),
    "one lost": ([0, 1, 3], [], [2], [], []),
    "one doubled": ([0, 1, 1, 2, 3], [], [], [2], []),
    "two turned round": ([0, 2, 1, 3], [(2, 1)], [], [], []),
    "nothing": ([], [], [0, 1, 2, 3], [], []),
}


@pytest.mark.parametrize(("order", "moved", "lost", "doubled", "added"), TABLE.values(), ids=TABLE)
def test_equal_events(order: Any, moved: Any, lost: Any, doubled: Any, added: Any) -> None:
    joined = align(SENT, [SENT[i] for i in order])
    assert len(joined.pairs) + len(joined.moved) + len(joined.lost) == len(SENT)
    assert len(joined.moved) == len(moved)
    assert joined.lost == lost
    assert len(joined.doubled) == len(doubled)
    assert joined.added == added


def test_rewritten_events_are_joined_by_what_only_they_say() -> None:
    got = tokens("a", "c", "d", created=7)
    joined = align(SENT, got)
    assert joined.pairs == [(0, 0), (2, 1), (3, 2)]
    assert (joined.lost, joined.added, joined.doubled) == ([1], [], [])


def test_what_the_gateway_says_itself_is_added() -> None:
    own = events({"error": {"message": "upstream went away"}})
    joined = align(SENT, [*SENT, *own])
    assert joined.added == [4]
    assert joined.pairs == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_json_that_was_written_anew_is_the_same() -> None:
    anew = [one._replace(data=json.dumps(one.value(), indent=1).encode()) for one in SENT]
    assert align(SENT, anew).pairs == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_comment_is_never_taken_for_an_event() -> None:
    comment = Block(0, None, b"keep-alive", comment=True)
    joined = align([SENT[0], comment], [SENT[0], *events({"x": 1})])
    assert (joined.lost, joined.added) == ([1], [1])


def test_long_streams_that_share_nothing_are_joined_in_order() -> None:
    sent = tokens(*(f"s{number}" for number in range(600)))
    got = tokens(*(f"g{number}" for number in range(600)), created=1)
    assert align(sent, got).pairs[-1] == (599, 599)
