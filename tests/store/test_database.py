"""Reading exchanges of an SQLite recording: their order, one by one, and at a glance."""

import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.derive import derive
from harness.core.errors import BadInput
from harness.core.exchange import Exchange, Request, Response, State
from harness.store.capture import Capture
from harness.store.database import DatabaseRecording
from harness.store.listing import listed
from harness.store.writer import RecordingWriter

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]


def test_exchanges_come_by_t0_and_then_by_id(make_exchange: MakeExchange, write: Write) -> None:
    times = [
        "2026-01-01T00:00:02Z",
        "2026-01-01T00:00:01.5Z",
        "2026-01-01T00:00:01Z",
        "",
        "2026-01-01T00:00:01.50Z",
    ]
    path = write(*[make_exchange(started_at=time) for time in times])
    with DatabaseRecording(path) as recording:
        assert [exchange.id for exchange in recording.exchanges()] == [4, 3, 2, 5, 1]
        assert [one.id for one in recording.listing()] == [4, 3, 2, 5, 1]


def test_captures_come_one_after_the_other_and_imports_as_they_are(
    make_exchange: MakeExchange, write: Write
) -> None:
    late, early = make_exchange(start=9), make_exchange(start=1)
    path = write(late, early)
    with RecordingWriter(path) as first, RecordingWriter(path) as second:
        first.start_capture(Capture("2026-01-02T03:04:05Z"))
        second.start_capture(Capture("2026-01-02T03:04:05Z", clock={"wall_ns": 5}))
        for exchange in (late, early):
            for writer in (first, second):
                writer.add(exchange, derive(exchange))
    with DatabaseRecording(path) as recording:
        read = [(exchange.id, exchange.capture) for exchange in recording.exchanges()]
        assert read == [(2, 1), (1, 1), (3, 2), (5, 2), (6, 3), (4, 3)]
        assert [one.id for one in recording.listing()] == [number for number, _ in read]


def test_one_exchange_by_its_id(make_exchange: MakeExchange, write: Write) -> None:
    exchange = make_exchange("a", "b")
    with DatabaseRecording(write(make_exchange(), exchange)) as recording:
        assert recording.exchange(2) == replace(exchange, id=2, capture=1)
        with pytest.raises(BadInput, match=r"a\.db holds no exchange 3: 'harness ls .*' lists them"):
            recording.exchange(3)


def test_at_a_glance_is_what_deriving_says(make_exchange: MakeExchange, write: Write) -> None:
    get = Request("GET", "http://a.test/v1/models?limit=2")
    exchanges = [
        make_exchange(),
        Exchange(get, None, State.CONNECT_FAILED, error="refused", end_ns=7),
        Exchange(get, Response(200, (), 1, ((2, b"{}"),), 3), started_at="2027-01-01T00:00:00Z", end_ns=3),
    ]
    path = write(*exchanges)
    with DatabaseRecording(path) as recording:
        stored = list(recording.exchanges())
        assert list(recording.listing()) == [listed(exchange, derive(exchange)) for exchange in stored]


def test_memory_stays_flat(make_exchange: MakeExchange, write: Write) -> None:
    size, count = 200_000, 40
    response = Response(200, (), 0, ((1, bytes(size)),), 2)
    path = write(*[make_exchange(response=response) for _ in range(count)])
    with DatabaseRecording(path) as recording:
        tracemalloc.start()
        try:
            read = sum(len(exchange.response.body) for exchange in recording.exchanges() if exchange.response)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert read == size * count
    assert peak < 6 * size


def test_a_value_that_makes_no_sense_is_damage(make_exchange: MakeExchange, write: Write) -> None:
    path = write(make_exchange())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE exchanges SET state = 'unheard of'")
    with DatabaseRecording(path) as recording, pytest.raises(BadInput, match="is damaged: 'unheard of'"):
        list(recording.exchanges())


def test_rules_are_those_of_the_captures_each_once(make_exchange: MakeExchange, write: Write) -> None:
    path = write(make_exchange())
    with closing(sqlite3.connect(path)) as connection, connection:
        columns = "started_at, upstreams, versions, clock, host, redaction"
        connection.execute(f"INSERT INTO captures ({columns}) SELECT {columns} FROM captures")
        connection.execute("INSERT INTO captures VALUES (9, '', null, '{}', '{}', '{}', '', null, null)")
    with DatabaseRecording(path) as recording:
        assert len(recording.captures()) == 3
        assert len(recording.rules()) == 1
