"""The provider's side: when chunks were written, and whose play it is where the mark was lost."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.core.exchange import Exchange
from harness.probe.plays import Play, plays_of, read_log
from harness.probe.talk import Marks, Place, Talk
from harness.probe.trials import Source, Trial

ROW: dict[str, Any] = {
    "request": "1",
    "exchange": "1",
    "t0_ns": 100,
    "head_bytes": 10,
    "end_ns": 9,
    "left_ns": None,
}


def play(**changes: Any) -> Play:
    return Play.of({**ROW, "chunked": True, "writes": [], **changes})


def talks(exchange: Exchange, *sent_ns: int, end_ns: int = 10_000) -> list[Talk]:
    trial = Trial(1, exchange, (), Source.RECORDING)
    found = Marks().talks([trial] * len(sent_ns), Place("127.0.0.1", 1))
    for talk, at in zip(found, sent_ns, strict=True):
        talk.sent_ns, talk.end_ns = at, end_ns
    return found


def test_chunks_were_written_with_the_write_that_holds_their_last_byte(
    make_exchange: Callable[..., Exchange],
) -> None:
    exchange = make_exchange("a", "b")
    assert exchange.response is not None
    sizes = [len(data) for _, data in exchange.response.chunks]
    framed = [size + len(f"{size:x}") + 4 for size in sizes]
    writes = [[1, 10], [2, 10 + framed[0]], [3, 10 + framed[0] + framed[1] + 1]]
    assert play(writes=writes).written_ns(exchange) == [2, 3, None, None]
    plain = [[1, 10], [2, 10 + sizes[0]], [3, 10 + sum(sizes)]]
    assert play(writes=plain, chunked=False).written_ns(exchange) == [2, 3, 3, 3]


def test_plays_are_joined_by_their_marks(make_exchange: Callable[..., Exchange], tmp_path: Path) -> None:
    rows = [
        {**ROW, "chunked": True, "writes": [], "request": mark, "t0_ns": at}
        for mark, at in (("2", 9), ("1", 5))
    ]
    (tmp_path / "log").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = plays_of(talks(make_exchange(), 1, 2, 3), read_log(tmp_path / "log"))
    assert {mark: [one.t0_ns for one in plays] for mark, plays in found.items()} == {1: [5], 2: [9], 3: []}


def test_a_request_that_was_asked_again_has_several(make_exchange: Callable[..., Exchange]) -> None:
    found = plays_of(talks(make_exchange(), 1), [play(t0_ns=2), play(t0_ns=3)])
    assert len(found[1]) == 2


def test_without_marks_they_are_joined_in_the_order_of_sending(
    make_exchange: Callable[..., Exchange],
) -> None:
    unmarked = [play(request=None, t0_ns=at) for at in (15, 25, 35, 36)]
    found = plays_of(talks(make_exchange(), 10, 20, 30), unmarked)
    assert {mark: [one.t0_ns for one in plays] for mark, plays in found.items()} == {
        1: [15],
        2: [25],
        3: [35, 36],
    }


def test_a_play_from_before_all_requests_is_nobodys(make_exchange: Callable[..., Exchange]) -> None:
    assert plays_of(talks(make_exchange(), 10), [play(request=None, t0_ns=5)]) == {1: []}
