"""The judges, on requests that went well but for one thing."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest

from harness.core.exchange import Request
from harness.probe.behaviours import MS, Behaviour
from harness.probe.cases import built_in
from harness.probe.judge import Verdict, judge
from harness.probe.observed import Observed
from harness.probe.plays import Play, framed
from harness.probe.talk import Marks, Place
from harness.probe.trials import Source, Trial

B = Behaviour
HEAD_BYTES = 10
T0_NS = 1_000_000 * MS
WAY_NS = MS // 10
OWN_ERROR = b'data: {"error": {"message": "upstream closed"}}\n\n'

type Pieces = list[tuple[int, bytes]]


def observed(
    behaviour: Behaviour,
    *,
    change: Callable[[Pieces], Pieces] = lambda pieces: pieces,
    plays: int = 1,
    left_after_ms: float | None = None,
    rewrite: Callable[[Request], Request | None] = lambda request: request,
    **talk_fields: Any,
) -> Observed:
    """A request for a behaviour: each event comes 0.1 ms after its write, unless changed."""
    exchange = next(one for behaviours, one in built_in() if behaviour in behaviours)
    [talk] = Marks().talks([Trial(1, exchange, (behaviour,), Source.BUILT_IN)], Place("127.0.0.1", 1))
    response = exchange.response
    chunks = response.chunks if response else ()
    sizes = accumulate(framed(len(data)) for _, data in chunks)
    writes = [(T0_NS + at, HEAD_BYTES + end) for (at, _), end in zip(chunks, sizes, strict=True)]
    talk.sent_ns, talk.end_ns = T0_NS, T0_NS + exchange.end_ns
    talk.status = response.status if response else 0
    talk.headers = [(name.encode(), value.encode()) for name, value in response.headers] if response else []
    talk.pieces = change([(T0_NS + at + WAY_NS, data) for at, data in chunks if data])
    talk.complete = True
    for name, value in talk_fields.items():
        setattr(talk, name, value)
    left_ns = None if left_after_ms is None else talk.end_ns + round(left_after_ms * MS)
    end_ns, got = None if left_ns else talk.end_ns, rewrite(talk.asked)
    play = Play(1, 1, T0_NS, HEAD_BYTES, True, writes, end_ns, left_ns, got)
    return Observed(talk, [play] * plays)


def asked_with(*headers: tuple[str, str], **changes: Any) -> Callable[[Request], Request]:
    """A gateway that sends these headers on as well, without `x-probe`, and changes fields of requests."""

    def rewrite(request: Request) -> Request:
        kept = tuple(pair for pair in request.headers if pair[0] != "x-probe")
        return replace(request, headers=(*kept, *headers), **changes)

    return rewrite


def without(*numbers: int) -> Callable[[Pieces], Pieces]:
    return lambda pieces: [one for n, one in enumerate(pieces) if n not in {i % len(pieces) for i in numbers}]


def swapped(pieces: Pieces) -> Pieces:
    first, second = pieces[3], pieces[4]
    return [*pieces[:3], (first[0], second[1]), (second[0], first[1]), *pieces[5:]]


def together(pieces: Pieces) -> Pieces:
    return [(pieces[-1][0], data) for _, data in pieces]


def rewritten(old: bytes, new: bytes) -> Callable[[Pieces], Pieces]:
    return lambda pieces: [(at, data.replace(old, new)) for at, data in pieces]


def none(_: Pieces) -> Pieces:
    return []


GONE = {"complete": False, "events": 5}
TABLE: Sequence[tuple[Behaviour, dict[str, Any], Verdict, str]] = (
    (B.DELIVERY, {}, Verdict.PASS, "0 of 32 events came only after"),
    (B.DELIVERY, {"change": together}, Verdict.FAIL, "32 of 32 events came only after the provider's next"),
    (B.DELIVERY, {"change": none}, Verdict.NOT_TESTED, "no events came"),
    (B.DELIVERY, {"plays": 0}, Verdict.NOT_TESTED, "no request reached the provider"),
    (B.ORDER, {}, Verdict.PASS, "33 events in 1 stream"),
    (B.ORDER, {"change": without(-1)}, Verdict.FAIL, "1 lost"),
    (B.ORDER, {"change": swapped}, Verdict.FAIL, "1 out of order"),
    (B.ORDER, {"change": lambda pieces: [*pieces[:4], *pieces[3:]]}, Verdict.FAIL, "1 doubled"),
    (B.ORDER, {"complete": False}, Verdict.FAIL, "1 stream with status 200 and a broken end"),
    (B.FIELDS, {}, Verdict.PASS, "33 events equal"),
    (B.FIELDS, {"change": rewritten(b'": ', b'":')}, Verdict.PASS, "32 of them serialised anew"),
    (B.FIELDS, {"change": rewritten(b'"created": 1', b'"created": 2')}, Verdict.FAIL, "/created changed"),
    (B.HEADERS, {}, Verdict.PASS, "all kept, none added"),
    (B.HEADERS, {"headers": [(b"content-type", b"text/event-stream")]}, Verdict.FAIL, "x-request-id lost"),
    (B.REQUEST_LINE, {"plays": 2}, Verdict.PASS, "2 requests equal"),
    (B.REQUEST_LINE, {"rewrite": lambda _: None}, Verdict.NOT_TESTED, "is not known"),
    (
        B.REQUEST_LINE,
        {"rewrite": asked_with(method="PUT")},
        Verdict.FAIL,
        "1 request rewritten: method changed",
    ),
    (B.REQUEST_LINE, {"rewrite": asked_with(path="/v1/x?a=1&a=2")}, Verdict.FAIL, "?a added, path changed"),
    (B.REQUEST_HEADERS, {"rewrite": asked_with(("X-Probe", "kept?"))}, Verdict.PASS, "all kept, none added"),
    (B.REQUEST_HEADERS, {"rewrite": asked_with(("via", "a"))}, Verdict.FAIL, "x-probe lost"),
    (
        B.REQUEST_HEADERS,
        {"rewrite": asked_with(("x-probe", "kept?"), ("user-agent", "gw"), ("authorization", "[redacted]"))},
        Verdict.PASS,
        "all kept; authorization added",
    ),
    (B.REQUEST_HEADERS, {"rewrite": lambda _: None}, Verdict.NOT_TESTED, "is not known"),
    (B.REQUEST_BODY, {"rewrite": asked_with(body=b'{"model": "x"}')}, Verdict.FAIL, "/stream lost"),
    (
        B.REQUEST_BODY,
        {"rewrite": asked_with(body=b"")},
        Verdict.FAIL,
        "1 of 1 request rewritten: data changed",
    ),
    (B.USAGE, {}, Verdict.PASS, "1 of 1 kept"),
    (B.USAGE, {"change": without(-2)}, Verdict.FAIL, "1 of 1 dropped"),
    (B.UNKNOWN, {"change": rewritten(b', "x_probe": {"kept": ["?"]}', b"")}, Verdict.FAIL, "/x_probe/kept/0"),
    (B.COMMENTS, {"change": rewritten(b": keep-alive\n\n", b"")}, Verdict.FAIL, "1 of 2 dropped"),
    (B.SILENCE, {}, Verdict.PASS, "over a silence of 1500.0 ms"),
    (B.SILENCE, {"change": together}, Verdict.FAIL, "6 events held back until the silence"),
    (B.LIMITED, {}, Verdict.PASS, "status 429 with the provider's body"),
    (B.LIMITED, {"plays": 3}, Verdict.PASS, "the provider was asked 3 times"),
    (B.LIMITED, {"status": 500}, Verdict.FAIL, "status 500 and a clean end instead of status 429"),
    (B.LIMITED, {"change": rewritten(b"rate_limit", b"other")}, Verdict.FAIL, "/error/code changed"),
    (B.LIMITED, {"headers": [(b"content-type", b"application/json")]}, Verdict.FAIL, "retry-after lost"),
    (B.FAILED, {"change": none}, Verdict.FAIL, "body changed"),
    (B.INSIDE, {}, Verdict.PASS, "the error came after 6 events"),
    (B.INSIDE, {"change": without(-1)}, Verdict.FAIL, "1 of 7 events lost"),
    (
        B.INSIDE,
        {"change": rewritten(b"server_error", b"other")},
        Verdict.FAIL,
        "the error itself is rewritten",
    ),
    (B.CUT, {"complete": False}, Verdict.PASS, "6 events, then status 200 and a broken end"),
    (B.CUT, {}, Verdict.FAIL, "turned into a clean end"),
    (B.CUT, {"change": lambda pieces: [*pieces, (pieces[-1][0], OWN_ERROR)]}, Verdict.PASS, "an error event"),
    (B.CUT, {"change": none, "status": 502}, Verdict.FAIL, "6 of 6 events lost: status 502"),
    (B.UNANSWERED, {"complete": False}, Verdict.PASS, "status none and a broken end"),
    (B.UNANSWERED, {"status": 502}, Verdict.PASS, "status 502 and a clean end"),
    (B.UNANSWERED, {"status": 200}, Verdict.FAIL, "status 200 and a clean end"),
    (B.UNANSWERED, {"failure": "it did not end in its time"}, Verdict.FAIL, "it did not end in its time"),
    (B.CLOSED, {}, Verdict.PASS, "8 events and a clean end"),
    (B.CLOSED, {"complete": False}, Verdict.FAIL, "all events, but status 200 and a broken end"),
    (B.LEFT, {**GONE, "left_after_ms": 2}, Verdict.PASS, "the provider was stopped 2.0 ms later"),
    (B.LEFT, {**GONE, "left_after_ms": 1500}, Verdict.FAIL, "the provider was stopped 1500.0 ms later"),
    (B.LEFT, GONE, Verdict.FAIL, "the provider was never stopped"),
    (B.LEFT, {"complete": False, "events": 2}, Verdict.FAIL, "the client could not leave amid the stream"),
)


@pytest.mark.parametrize(("behaviour", "made", "verdict", "words"), TABLE)
def test_judges(behaviour: Behaviour, made: dict[str, Any], verdict: Verdict, words: str) -> None:
    found = judge(behaviour, [observed(behaviour, **made)])
    assert words in found.evidence
    assert found.verdict is verdict


def test_times_on_the_way() -> None:
    one = observed(B.DELIVERY)
    assert set(one.added_ns()) == {WAY_NS}
    assert one.ttft_added_ns() == WAY_NS
    assert one.merged() == 0
    assert observed(B.DELIVERY, change=together).merged() == 32


def test_the_first_token_is_not_the_role() -> None:
    late = observed(B.DELIVERY, change=lambda pieces: [(pieces[1][0], pieces[0][1]), *pieces[1:]])
    assert late.ttft_added_ns() == WAY_NS


def test_credentials_are_for_the_gateway_to_choose() -> None:
    """A key is told as masked, and what --header adds is for the gateway; other headers are compared."""
    [talk] = Marks().talks([made_trial(("Authorization", "Bearer sk-1"), ("X-Mine", "1"))], OWN_KEY)
    got = replace(
        talk.asked, headers=(("authorization", "Bearer [redacted]"), ("x-mine", "2"), ("x-gw", "b"))
    )
    play = Play(1, 1, T0_NS, HEAD_BYTES, True, [], None, None, got)
    found = judge(B.REQUEST_HEADERS, [Observed(talk, [play])])
    assert (found.verdict, found.evidence) == (Verdict.FAIL, "x-mine changed")


OWN_KEY = Place("127.0.0.1", 1, "/gateway", (("X-Gw", "a"),))


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    [talk] = Marks().talks([made_trial()], Place.of("http://[::1]:4000/gateway"))
    assert ("host", "[::1]:4000") in talk.asked.headers


def made_trial(*headers: tuple[str, str]) -> Trial:
    """A trial whose request has these headers."""
    exchange = built_in()[0][1]
    request = replace(exchange.request, headers=headers)
    return Trial(1, replace(exchange, request=request), (B.REQUEST_HEADERS,), Source.BUILT_IN)
