"""Faults as people write them: what is taken, and what is refused in one line that names the field."""

import pytest

from harness.core.fault_rules import fault_in, fields_of, rule_of
from harness.core.faults import KINDS, duration_ns, duration_text, fault_of

GOOD = {
    "error": "error; status=429; retry_after=2s",
    "cut": "cut; event=3",
    "reset": "reset; byte=0",
    "stall": "stall; event=2; for=1.5s",
    "trickle": "trickle; rate=100",
    "malformed": "malformed; event=2; how=utf8",
    "no-terminator": "no-terminator",
    "duplicate": "duplicate; event=4",
    "delay": "delay; for=20ms",
    "content-type": 'content-type; type="text/html; charset=utf-8"',
    "comments": "comments; text=keep-alive; each=3",
}


def test_there_is_one_of_each_kind() -> None:
    assert GOOD.keys() == KINDS.keys()


@pytest.mark.parametrize("text", GOOD.values())
def test_a_fault_says_itself_as_it_was_written(text: str) -> None:
    assert fault_in(text).words() == text


@pytest.mark.parametrize("text", [" Cut ", "", "evil", "status=500", "kind=", "=", "🔥", ";;", "kind"])
def test_what_is_no_kind_is_told_with_those_that_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"kind: .*; there are error, cut, reset"):
        fault_in(text)


BAD = {
    "cut; evnt=3": "evnt: cut has no such field; it has event, byte",
    "cut; event=-1": "event: ",
    "cut; event=x": "event: ",
    "cut; event=1; byte=2": "event and byte exclude each other",
    "cut; event=1; event=2": "event: stands there twice",
    "cut; event": "event: write name=value",
    "cut; path=/v1": "path: a request's own fault has no conditions",
    "malformed; event=0": "event: ",
    "malformed; how=xml": "how: ",
    "stall": "for: is missing",
    "error": "status: is missing",
    "stall; for=2": "for: write a number and its unit, for example 2s or 300ms",
    "stall; for=-2s": "for: write a number",
    "stall; for=2d": "for: write a number",
    "stall; for=1441m": "for: is longer than a day",
    "delay; for=nans": "for: write a number",
    "trickle; rate=0": "rate: ",
    "error; status=200": "status: ",
    "error; status=600": "status: ",
    "no-terminator; event=1": "event: no-terminator has no such field; it has none",
    'comments; text="a\nb"': "text: cannot hold line breaks",
}


@pytest.mark.parametrize(("text", "said"), BAD.items())
def test_what_is_wrong_is_one_line_that_names_the_field(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        fault_in(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"a b": "1"}, "no name of a header"),
        ({"a": "1\r\nb: 2"}, "line breaks"),
        ({"Content-Length": "3"}, "up to the server"),
        ({"a": None}, "headers.a: "),
    ],
)
def test_headers_that_would_break_the_answer_are_refused(headers: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fault_of({"kind": "error", "status": 500, "headers": headers})


@pytest.mark.parametrize(
    ("text", "ns"), [("2s", 2 * 10**9), ("0.5ms", 500_000), ("1m", 60 * 10**9), ("0s", 0)]
)
def test_times_have_a_unit(text: str, ns: int) -> None:
    assert duration_ns(text) == ns
    assert duration_ns(duration_text(ns)) == ns


def test_a_bare_retry_after_is_in_seconds_as_in_the_header() -> None:
    for value in (2, "2", "2s", "2000ms"):
        assert (
            fault_of({"kind": "error", "status": 503, "retry_after": value}).words()
            == "error; status=503; retry_after=2s"
        )


def test_fields_of_a_rule_in_text() -> None:
    text = ' kind=cut , event=3;path="/a,b;c" ,retry-after=2s'
    assert fields_of(text) == {"kind": "cut", "event": "3", "path": "/a,b;c", "retry_after": "2s"}
    rule = rule_of(fields_of("kind=cut,event=3,path=/v1/chat/*,every=5"))
    assert rule.words() == "kind=cut,event=3,path=/v1/chat/*,every=5"
