"""What changed in shape between two recordings: told once each, and nothing that changes by chance."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.core.exchange import Exchange, State
from harness.validate.baseline import Change, Place, Tally, compare
from harness.validate.outline import Outline

type Call = Callable[..., Exchange]

CHAT = "POST /v1/chat/completions"
ANSWER = {
    "id": "a",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}],
    "usage": None,
}


def chunk(**delta: Any) -> dict[str, Any]:
    """A chat chunk."""
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}


def outline(*exchanges: Exchange) -> Outline:
    """The outline of some exchanges."""
    made = Outline()
    for exchange in exchanges:
        made.add(exchange)
    return made


def told(before: list[Exchange], now: list[Exchange]) -> list[tuple[str, str, str, bool]]:
    """Differences of one endpoint as change, part, where, breaks."""
    found = compare(outline(*before), outline(*now))
    return [(one.change.value, one.place.part, one.place.where, one.breaks) for one in found]


def without(value: Any, name: str) -> Any:
    """JSON without a member, at any depth."""
    if isinstance(value, dict):
        return {key: without(item, name) for key, item in value.items() if key != name}
    return [without(item, name) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (ANSWER, []),
        (ANSWER | {"id": "another", "choices": ANSWER["choices"] * 2}, []),  # type: ignore[operator]
        (without(ANSWER, "role"), [("vanished", "response 200", "/choices/*/message/role", True)]),
        (without(ANSWER, "message"), [("vanished", "response 200", "/choices/*/message", True)]),
        (ANSWER | {"id": 1}, [("changed type", "response 200", "/id", True)]),
        (ANSWER | {"id": None}, [("changed type", "response 200", "/id", True)]),
        (ANSWER | {"tier": {"a": 1}}, [("appeared", "response 200", "/tier", False)]),
        (ANSWER | {"choices": [{"index": 0.5}]}, [("vanished", "response 200", "/choices/*/message", True)]),
        (
            ANSWER | {"usage": {"in": 1}},
            [
                ("changed type", "response 200", "/usage", True),
                ("appeared", "response 200", "/usage/in", False),
            ],
        ),
        (ANSWER | {"what you said": 1, "как": 2}, [("appeared", "response 200", "/*", False)]),
    ],
)
def test_bodies(now: Any, expected: list[Any], call: Call) -> None:
    assert told([call(answered=ANSWER)], [call(answered=now)]) == expected


def test_requests_are_compared_too(call: Call) -> None:
    before, now = {"model": "m", "n": 1}, {"model": "m", "n": "1", "seed": 1}
    assert told([call(asked=before)], [call(asked=now)]) == [
        ("changed type", "request", "/n", True),
        ("appeared", "request", "/seed", False),
    ]


def test_a_type_that_was_not_seen_again_is_no_change(call: Call) -> None:
    both = [call(answered={"a": None}), call(answered={"a": "x"})]
    assert told(both, both[1:]) == []


def test_figures_say_how_often(call: Call) -> None:
    before = [call(answered=ANSWER)] * 2 + [call(answered=without(ANSWER, "usage"))]
    (one,) = compare(outline(*before), outline(call(answered=ANSWER | {"usage": True})))
    assert (one.change, one.place) == (Change.CHANGED, Place(CHAT, "response 200", "/usage"))
    assert (one.before, one.now) == (Tally(2, 3, ("null",)), Tally(1, 1, ("boolean",)))


def test_events_are_compared_by_type(call: Call) -> None:
    start, delta, stop = {"type": "start", "a": 1}, {"type": "delta", "text": "x"}, {"type": "stop"}
    before = [call(events=[start, delta, delta, stop])]
    now = [call(events=[{"type": "start"}, {"type": "delta", "text": 1}, {"type": "stop"}, {"type": "bye"}])]
    assert told(before, now) == [
        ("vanished", "event start", "/a", True),
        ("changed type", "event delta", "/text", True),
        ("appeared", "event bye", "", False),
        ("appeared", "sequence", "start delta+ stop bye", False),
    ]


def test_answers_of_other_lengths_are_the_same(call: Call) -> None:
    def stream(words: int) -> Exchange:
        return call(events=[chunk(role="assistant"), *[chunk(content="a")] * words, "[DONE]"])

    assert told([stream(1)], [stream(50)]) == []


def test_an_order_of_events_that_is_only_joined_by_new_ones_has_not_vanished(call: Call) -> None:
    def stream(*types: str) -> Exchange:
        return call(events=[{"type": kind} for kind in types])

    old = stream("start", "delta", "stop")
    assert told([old], [stream("start", "new", "delta", "new", "delta", "stop", "newer")]) == [
        ("appeared", "event new", "", False),
        ("appeared", "event newer", "", False),
        ("appeared", "sequence", "start new delta+ stop newer", False),
    ]
    assert ("vanished", "sequence", "start delta+ stop", True) in told(
        [old], [stream("delta", "start", "stop")]
    )


def test_a_stream_that_becomes_a_plain_answer(call: Call) -> None:
    found = told([call(events=[chunk(content="a")])], [call(answered=ANSWER)])
    assert ("changed type", "response 200", "", True) in found
    assert ("vanished", "event chat.completion.chunk", "", True) in found


def test_headers_by_name_in_any_case_without_those_of_a_connection(call: Call) -> None:
    before = call(
        answered=1, headers=(("X-Request-ID", "1"), ("Date", "x"), ("X-Old", "1"), ("how are", "1"))
    )
    now = call(answered=1, headers=(("x-request-id", "2"), ("CF-Ray", "x"), ("X-New", "1")))
    assert told([before], [now]) == [
        ("vanished", "response 200 headers", "x-old", True),
        ("appeared", "response 200 headers", "x-new", False),
    ]


def test_statuses(call: Call) -> None:
    fine, missing, busy = call(answered=1), call(status=404, answered={}), call(status=429, answered={})
    assert told([fine, missing, busy], [fine]) == [
        ("vanished", "response 404", "", True),
        ("vanished", "response 404 headers", "", True),
        ("vanished", "response 429", "", False),
        ("vanished", "response 429 headers", "", False),
    ]
    assert told([fine], [fine, busy])[0] == ("appeared", "response 429", "", False)


def test_whole_endpoints(call: Call) -> None:
    found = compare(outline(call(answered=1)), outline(call("/v1/embeddings", answered=1)))
    assert [(one.change, one.place) for one in found] == [
        (Change.VANISHED, Place(CHAT)),
        (Change.APPEARED, Place("POST /v1/embeddings")),
    ]


def test_what_was_cut_off_says_nothing_about_its_end(call: Call) -> None:
    whole = call(events=[chunk(role="assistant"), chunk(content="a"), "[DONE]"])
    cut = call(events=[chunk(role="assistant"), '{"obj'], state=State.CLIENT_ABORT)
    assert told([whole], [whole, cut]) == []
    assert told([call(answered=ANSWER)], [call(answered=ANSWER), call(state=State.UPSTREAM_CUT)]) == []


def test_what_is_no_json_any_more(call: Call) -> None:
    assert told([call(events=[{"type": "a"}])], [call(events=["<html>"])]) == [
        ("vanished", "event a", "", True),
        ("vanished", "sequence", "a", True),
        ("appeared", "event", "", False),
        ("appeared", "sequence", "other", False),
    ]
