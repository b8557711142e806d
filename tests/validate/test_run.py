"""Validating a recording: each exchange once, derived once, in the order of the file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.exchange import Exchange, Request, State
from harness.store.open import open_recording
from harness.validate.catalog import Catalog
from harness.validate.checker import Checker
from harness.validate.finding import Part, Profile
from harness.validate.run import validate
from harness.validate.spool import Spool

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]


@pytest.mark.parametrize(("name", "total"), [("a.db", 3), ("a.jsonl", None)])
def test_every_exchange_is_looked_at(
    name: str, total: int | None, make_exchange: MakeExchange, write: Write
) -> None:
    failed = Exchange(Request("POST", "http://a.test/v1/embeddings", (), b"{"), None, State.CONNECT_FAILED)
    path = write(make_exchange(), make_exchange(), failed, name=name)
    told: list[tuple[int, int | None]] = []
    with open_recording(path) as recording, Spool() as spool:
        report = validate(
            recording,
            Checker(Catalog.load()),
            Profile.COMPATIBLE,
            spool=spool,
            progress=lambda done, all_: told.append((done, all_)),
        )
        rows = list(spool.violations())
    assert (report.exchanges, report.events, report.not_checked) == (3, 10, 0)
    assert told == [(1, total), (2, total), (3, total)]
    assert {row[0] for row in rows} == {1, 2, 3}
    assert sum(group.times for group in report.groups()) == len(rows)


@pytest.mark.parametrize("depth", [900, 5000])
def test_what_is_nested_too_deeply_is_a_finding(
    depth: int, make_exchange: MakeExchange, write: Write
) -> None:
    deep = b'{"model": "m", "messages": %b%b}' % (b"[" * depth, b"]" * depth)
    asked = Request("POST", "https://api.openai.com/v1/chat/completions", (), deep)
    path = write(Exchange(asked, None, State.CONNECT_FAILED), make_exchange())
    with open_recording(path) as recording:
        report = validate(recording, Checker(Catalog.load()), Profile.COMPATIBLE)
    told = [(group.key.rule, group.key.part, group.key.message) for group in report.groups()]
    assert ("schema.json", Part.REQUEST, "nested too deeply to be checked") in told
    assert report.exchanges == 2


def test_an_empty_object_is_a_request_without_members(write: Write) -> None:
    asked = Request("POST", "https://api.openai.com/v1/embeddings", (), b"{}")
    with open_recording(write(Exchange(asked, None, State.CONNECT_FAILED))) as recording:
        report = validate(recording, Checker(Catalog.load()), Profile.COMPATIBLE)
    told = [(group.key.rule, group.key.pointer) for group in report.groups()]
    assert told == [("schema.missing", "/input"), ("schema.missing", "/model")]
