import json
from dataclasses import replace

from harness.core.derive import Derived
from harness.core.exchange import Exchange, Request, Response, State
from harness.record import console

EXCHANGE = Exchange(
    Request("POST", "https://api.openai.com/v1/chat/completions?x=1"),
    Response(200, (), 0, ((0, b"a"), (1, b"b")), 1_523_000_000),
)
DERIVED = Derived("openai.chat", model="gpt-4o-mini", ttft_ns=289_140_000)


def test_a_line() -> None:
    assert console.line(EXCHANGE, DERIVED) == (
        "POST   /v1/chat/completions             200 gpt-4o-mini                  2 chunks  "
        "ttft  289.1 ms     1.52 s  complete"
    )


def test_a_line_without_a_response() -> None:
    cut = replace(EXCHANGE, response=None, state=State.UPSTREAM_CUT, end_ns=5_000_000)
    assert console.line(cut, Derived("bytes")) == (
        "POST   /v1/chat/completions               - -                            0 chunks  "
        "ttft         -     5.0 ms  upstream_cut"
    )


def test_lines_are_as_wide_whatever_they_say() -> None:
    other = replace(EXCHANGE, request=Request("GET", "https://a.test/" + "deep/" * 20))
    wide = console.line(other, replace(DERIVED, model="organisation/" + "m" * 40, ttft_ns=12))
    assert len(wide) == len(console.line(EXCHANGE, DERIVED))


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    line = console.line(replace(EXCHANGE, request=Request("G\x1b", "https://a.test/\x1b[2J")), DERIVED)
    assert line.isprintable()


def test_json() -> None:
    assert json.loads(console.as_json(7, EXCHANGE, DERIVED)) == {
        "id": 7,
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "model": "gpt-4o-mini",
        "chunks": 2,
        "ttft_ms": 289.14,
        "duration_ms": 1523.0,
        "state": "complete",
    }


def test_summary_of_nothing() -> None:
    assert console.summary(None, "a.db") == "what is stored in a.db was not counted"
    assert console.summary({}, "a.db") == "recorded 0 exchanges in a.db"
