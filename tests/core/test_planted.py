"""Secrets in all places: none is left, and each would be without its rule."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.derive import derive
from harness.core.exchange import Exchange, header
from harness.core.interchange import to_line
from harness.core.json_text import is_json
from harness.core.redaction import Redactor
from harness.core.scan import Scanner
from tests.plugins.planted import (
    OF_RUN,
    PLANTED,
    RULES,
    Planted,
    answered,
    encoded,
    kept_of,
    plain_of,
    redactor,
    said_by,
)

by_place = pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.place)


def masked_by(made: Redactor, exchange: Exchange) -> Exchange:
    once, _ = made.exchange(exchange)
    return made.across_events(once, derive(once))[0]


def is_kept(exchange: Exchange, secret: str) -> bool:
    assert exchange.response
    plain = (to_line(exchange).encode(), plain_of(exchange.request), plain_of(exchange.response))
    return any(kept_of(data, secret) for data in (*plain, *said_by(exchange)))


@by_place
def test_no_secret_is_left(planted: Planted) -> None:
    done = masked_by(redactor(), planted.exchange)
    assert not is_kept(done, planted.secret)
    assert masked_by(redactor(), done) == done
    assert list(Scanner(redactor()).exchange(done)) == []


@by_place
def test_without_its_rule_a_secret_is_left(planted: Planted) -> None:
    rules = planted.off(RULES) if planted.off else RULES
    assert is_kept(
        masked_by(redactor(rules, known=planted.off is not None), planted.exchange), planted.secret
    )


@by_place
def test_an_answer_keeps_its_form(planted: Planted) -> None:
    before, after = planted.exchange.response, masked_by(redactor(), planted.exchange).response
    assert before
    assert after
    if header(before.headers, "content-encoding") is None:
        assert [(at, len(data)) for at, data in after.chunks] == [
            (at, len(data)) for at, data in before.chunks
        ]
        assert is_json(after.body) == is_json(before.body)


@by_place
def test_a_scan_finds_it_and_says_nothing_of_it(planted: Planted) -> None:
    leaks = list(Scanner(redactor()).exchange(replace(planted.exchange, id=7)))
    assert leaks
    for leak in leaks:
        assert leak.exchange == 7
        assert not kept_of(f"{leak}".encode(), planted.secret)


def test_the_table_is_long_and_needs_every_rule() -> None:
    assert len(PLANTED) >= 30
    assert len({planted.place for planted in PLANTED}) == len(PLANTED)


@given(st.lists(st.integers(1, 30), max_size=12), st.sampled_from(["", "a", "ab"]), st.booleans())
def test_however_a_stream_is_cut_its_secret_is_masked(sizes: list[int], before: str, base64: bool) -> None:
    said = f"it is {encoded(OF_RUN, before) if base64 else OF_RUN}, and sk-{'Planted42' * 3}!"
    deltas, at = [], 0
    for size in sizes:
        deltas.append(said[at : at + size])
        at += size
    events = [
        f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': piece}}]})}\n\n".encode()
        for piece in [*deltas, said[at:]]
    ]
    body = b"".join(events)
    chunks = [body[at : at + 37] for at in range(0, len(body), 37)]
    exchange = answered(*chunks, headers=(("Content-Type", "text/event-stream"),))
    done = masked_by(redactor(), exchange)
    assert done.response
    assert [len(data) for _, data in done.response.chunks] == [len(data) for data in chunks]
    assert len(derive(done).text) == len(said)
    for event in derive(done).events:
        json.loads(event.data)
    assert not is_kept(done, OF_RUN)
    assert not is_kept(done, "Planted42" * 3)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_keep_their_length_and_lose_the_secret(data: bytes, at: int) -> None:
    exchange = answered(data[:at] + OF_RUN.encode() + data[at:], headers=())
    done = masked_by(redactor(), exchange)
    assert done.response
    assert exchange.response
    assert len(done.response.body) == len(exchange.response.body)
    assert OF_RUN.encode() not in done.response.body
