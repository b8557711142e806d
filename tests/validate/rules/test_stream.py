import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from harness.core.derive import derive
from harness.core.exchange import Exchange, Request, Response, State
from harness.validate.rules import Stream, request_of

type MakeExchange = Callable[..., Exchange]


def stream_of(exchange: Exchange) -> Stream:
    return Stream(exchange, derive(exchange))


def test_events(make_answer: MakeExchange) -> None:
    stream = stream_of(make_answer("chat", lambda s: s.__setitem__(slice(1, None), ["no JSON", 5, "[DONE]"])))
    assert [type(message) for message in stream.messages] == [dict, type(None), int, type(None)]
    assert [number for number, _ in stream.objects] == [1]
    assert stream.dones == [4]


def test_a_body(make_answer: MakeExchange) -> None:
    stream = stream_of(make_answer("chat body"))
    assert [number for number, _ in stream.objects] == [0]
    assert stream.objects[0][1] == stream.messages[0]


@pytest.mark.parametrize("headers", [(), (("Content-Encoding", "gzip"),)])
def test_encoded_messages(headers: tuple[tuple[str, str], ...]) -> None:
    """A request and a body are read through their content encoding."""
    body = json.dumps({"a": 1}).encode()
    data = gzip.compress(body) if headers else body
    request = Request("POST", "https://api.test/v1/chat/completions", headers, data)
    exchange = Exchange(request, Response(200, headers, 0, ((1, data),), 1))
    assert stream_of(exchange).objects == [(0, {"a": 1})]
    assert request_of(exchange) == {"a": 1}


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"null"])
def test_requests_that_say_nothing(body: bytes) -> None:
    assert request_of(Exchange(Request("POST", "https://api.test/", (), body), None)) == {}


@pytest.mark.parametrize(
    ("state", "cut", "ended"),
    [
        (State.COMPLETE, False, True),
        (State.UNTERMINATED, False, True),
        (State.UPSTREAM_CUT, True, False),
        (State.UPSTREAM_ERROR, True, False),
        (State.CLIENT_ABORT, True, False),
        (State.INTERRUPTED, True, False),
    ],
)
def test_ends(make_answer: MakeExchange, state: State, cut: bool, ended: bool) -> None:
    stream = stream_of(make_answer("chat", state=state))
    assert (stream.cut, stream.ended) == (cut, ended)


def test_an_error_is_no_end_of_its_own(make_answer: MakeExchange) -> None:
    stream = stream_of(make_answer("chat", lambda s: s.append({"error": {"type": "x"}})))
    assert (stream.cut, stream.ended) == (False, False)


def test_once(make_answer: MakeExchange) -> None:
    made: list[Stream] = []

    def make(stream: Stream) -> Any:
        made.append(stream)
        return len(stream.objects)

    stream = stream_of(make_answer("chat body"))
    assert (stream.once(make), stream.once(make), made) == (1, 1, [stream])
