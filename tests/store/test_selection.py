"""Which exchanges are meant: by a list's fields in tables, and by SQL over both forms of a recording."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from harness.core.derive import derive
from harness.core.errors import BadInput
from harness.core.exchange import Exchange, Request, State
from harness.store.listing import listed
from harness.store.open import open_recording
from harness.store.selection import ALL, Selection, exchanges, listing, moment_of, statuses_of

type Write = Callable[..., Path]

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
AT_NS = 1_767_323_045_500_000_000
"""2026-01-02T03:04:05.5Z."""


@pytest.fixture
def stored(make_exchange: Callable[..., Exchange]) -> list[Exchange]:
    """A chat of one model, a longer one of another in the query's path, and what got no answer."""
    second = make_exchange(*"abcdefgh", model="big-2", start=5, upstream="azure")
    asked = replace(second.request, path="/v1/chat/completions?api-version=1")
    failed = Exchange(Request("GET", "http://b.test/v1/models"), None, State.CONNECT_FAILED, upstream="b")
    return [make_exchange(model="small-1"), replace(second, request=asked), failed]


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (ALL, [1, 2, 3]),
        (Selection({"model": ("small-*",)}), [1]),
        (Selection({"model": ("small-?", "big-[12]")}), [1, 2]),
        (Selection({"model": ("SMALL-*",)}), []),
        (Selection({"model": ("",)}), [3]),
        (Selection({"path": ("*/completions",)}), [1, 2]),
        (Selection({"path": ("*api-version=1",)}), [2]),
        (Selection({"path": ("/v1/models",), "model": ("*",)}), [3]),
        (Selection({"dialect": ("openai.*",), "upstream": ("azure",)}), [2]),
        (Selection({"state": ("connect_failed", "interrupted")}), [3]),
        (Selection(statuses=statuses_of("2xx")), [1, 2]),
        (Selection(statuses=statuses_of("none,500-599")), [3]),
        (Selection(since_ns=AT_NS), [2]),
        (Selection(until_ns=AT_NS), [1]),
        (Selection(since_ns=0), [1, 2]),
        (Selection({"state": ("complete",)}, since_ns=0, where="chunk_count > 5"), [2]),
    ],
)
@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_what_is_chosen(
    name: str, selection: Selection, chosen: list[int], stored: list[Exchange], write: Write
) -> None:
    with open_recording(write(*stored, name=name)) as recording:
        assert sorted(one.id for one in listing(recording, selection)) == chosen
        assert sorted(one.id for one in exchanges(recording, selection)) == chosen


@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
@pytest.mark.parametrize(
    ("where", "chosen"),
    [
        ("1", {1, 2, 3}),
        ("NULL", set()),
        ("tokens_out = 3 AND model LIKE 'small%'", {1}),
        ("id IN (SELECT exchange_id FROM events GROUP BY exchange_id HAVING count(*) > 5)", {2}),
        ("json_extract(request_body, '$.model') = 'big-2'", {2}),
        ("EXISTS (SELECT 1 FROM json_each(response_headers) WHERE value ->> 0 = 'X-Request-Id')", {1, 2}),
        ("status IS NULL -- a comment", {3}),
        ("0) OR (id = 3", {3}),
    ],
)
def test_sql(name: str, where: str, chosen: set[int], stored: list[Exchange], write: Write) -> None:
    texts = [replace(one, request=replace(one.request, body=one.request.body or b"{}")) for one in stored]
    with open_recording(write(*texts, name=name)) as recording:
        assert recording.ids_where(where) == chosen


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("", "syntax error"),
        ("color = 1", "no such column: color"),
        ("tokens_out >", "syntax error"),
        ("1); DELETE FROM exchanges; --", "one statement"),
        ("id IN (DELETE FROM exchanges RETURNING id)", "syntax error"),
        ("load_extension('x')", "not authorized"),
        ("EXISTS (SELECT 1 FROM pragma_writable_schema(1))", "prohibited|not authorized|no such table"),
        ("json(request_body) = 'x", "unrecognized token"),
        ("json_extract('{', '$.a')", "malformed JSON"),
        ("model = '\x00'", "null character|unrecognized token"),
        ("model = '\udcff'", "surrogates"),
    ],
)
def test_sql_that_is_none_or_does_more_than_read(
    where: str, why: str, stored: list[Exchange], write: Write, folder_state: Callable[[Path], object]
) -> None:
    path = write(*stored)
    before = folder_state(path.parent)
    with open_recording(path) as recording:
        with pytest.raises(BadInput, match=why) as refused:
            recording.ids_where(where)
        assert "\n" not in str(refused.value)
        assert len(list(recording.listing())) == 3
    assert folder_state(path.parent) == before


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("404", (range(404, 405),)),
        ("4XX, 500-503", (range(400, 500), range(500, 504))),
        ("999", (range(999, 1000),)),
        ("none", (None,)),
    ],
)
def test_statuses(text: str, meant: tuple[range | None, ...]) -> None:
    assert statuses_of(text) == meant


@pytest.mark.parametrize(
    "text", ["", "abc", "40", "4x", "0xx", "9xx", "200-", "-200", "200-99", "1000", "٤٠٤"]
)
def test_what_is_no_status(text: str) -> None:
    with pytest.raises(ValueError, match="give 200, 4xx, 400-499 or none"):
        statuses_of(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("1.5m", NOW - timedelta(seconds=90)),
        ("7d", NOW - timedelta(days=7)),
        ("1w", NOW - timedelta(days=7)),
        ("2026-01-01T10:00+02:00", datetime(2026, 1, 1, 8, tzinfo=UTC)),
        ("2026-01-01 10:00:00.25Z", datetime(2026, 1, 1, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-01-01", datetime(2026, 1, 1).astimezone()),
    ],
)
@pytest.mark.parametrize("now", [NOW, NOW.astimezone(timezone(timedelta(hours=5)))])
def test_moments(text: str, moment: datetime, now: datetime) -> None:
    assert moment_of(text, now) == round(moment.timestamp() * 1000) * 1_000_000


@pytest.mark.parametrize(
    "text", ["", "soon", "2", "h", "-2h", "2 h ago", "2026-13-01", "0001-01-01T00:00", "9" * 30]
)
def test_what_is_no_moment(text: str) -> None:
    try:
        assert moment_of(text, NOW) < 0  # the first year, where the time zone allows it
    except ValueError as error:
        assert "give 2h, 7d, 2026-01-31" in str(error)  # noqa: PT017


def test_gaps_are_those_between_events_from_the_first_token_on(
    make_exchange: Callable[..., Exchange], write: Write
) -> None:
    exchange = make_exchange(*"abcdefghijklmnopqrst")
    unknown = make_exchange(timing_known=False, start=1)
    for name in ("a.db", "a.jsonl"):
        with open_recording(write(exchange, unknown, name=name)) as recording:
            assert [one.gaps_ns for one in recording.listing()] == [(10_000_000,) * 16, ()]
    assert listed(make_exchange("a"), derive(make_exchange("a"))).gaps_ns == (10_000_000, 10_000_000)
