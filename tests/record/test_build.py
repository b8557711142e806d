from array import array
from dataclasses import replace
from typing import Any

import pytest

from harness.core.exchange import Exchange, Request, Response
from harness.record.anchor import Anchor
from harness.record.build import exchange_of
from harness.record.message import Message

ANCHOR = Anchor(wall_ns=1_700_000_000_000_000_000, monotonic_ns=1_000, error_ns=0)
REQUEST = {
    "upstream": "or",
    "method": "POST",
    "path": "/v1/x?y",
    "url": "https://openrouter.ai/api/v1/x?y",
    "http_version": "HTTP/1.1",
    "headers": [["A", "b"]],
}
RESPONSE = {"status": 200, "http_version": "HTTP/1.1", "headers": [["C", "caf\udce9"]]}
HEAD: dict[str, Any] = {
    "kind": "exchange",
    "how": "response",
    "message": "",
    "request": REQUEST,
    "response": RESPONSE,
    "t0": 2_001_000,
    "headers": 2_501_000,
    "end": 4_001_000,
    "connected": 2_101_000,
    "error_bound": 7,
}


def test_stamps_become_offsets() -> None:
    message = Message(HEAD, b"body", array("q", [3_001_000, 3_001_000, 4_001_000]), [b"a", b"", b"b"])
    request = Request("POST", "https://openrouter.ai/api/v1/x?y", (("A", "b"),), b"body", path="/v1/x?y")
    chunks = ((1_000_000, b"a"), (2_000_000, b"b"))
    assert exchange_of(message, ANCHOR) == Exchange(
        request,
        Response(200, (("C", "caf\udce9"),), 500_000, chunks, 2_000_000),
        started_at="2023-11-14T22:13:20.002000Z",
        upstream="or",
        connect_ns=100_000,
        error_bound_ns=7,
        end_ns=2_000_000,
    )


def test_without_a_response() -> None:
    head = HEAD | {"response": None, "headers": 0, "message": "server closed connection"}
    exchange = exchange_of(Message(head), ANCHOR)
    assert exchange.response is None
    assert exchange.error == "server closed connection"
    assert exchange.end_ns == 2_000_000


def test_field_values_have_blanks_for_what_no_message_may_carry() -> None:
    response = RESPONSE | {"headers": [["A", "folded\r\n on"], ["B", "\0b\r"]]}
    exchange = exchange_of(Message(HEAD | {"response": response}), ANCHOR)
    assert exchange.response is not None
    assert exchange.response.headers == (("A", "folded   on"), ("B", " b "))


@pytest.mark.parametrize("connected", [0, 1_000_000, 2_001_000])
def test_a_connection_that_was_there_costs_nothing(connected: int) -> None:
    assert exchange_of(Message(HEAD | {"connected": connected}), ANCHOR).connect_ns == 0


def test_dates_do_not_follow_a_stepped_wall_clock() -> None:
    later = replace(ANCHOR, monotonic_ns=0)
    assert later.date(60_000_000_000) == "2023-11-14T22:14:20.000000Z"


def test_the_anchor_is_now() -> None:
    first, second = Anchor.now(), Anchor.now()
    assert first.date(second.monotonic_ns) <= second.date(second.monotonic_ns + 50_000_000)
    assert 0 <= first.error_ns < 1_000_000_000
