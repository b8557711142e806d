"""What each fault makes of an answer: its bytes, its times, and where it does not fit."""

import gzip
import json
from dataclasses import replace
from typing import Any

import pytest

from harness.core.exchange import Exchange, Headers, Request, Response, State, header
from harness.core.fault_rules import fault_in
from harness.core.faults import KINDS, NDJSON, PLAIN, SSE
from harness.core.json_text import is_json
from harness.core.spans import spans_of
from harness.core.spoiling import MARK, RESET_AFTER_NS, Unfit, spoil
from harness.core.timeline import Framing, events_of

MS = 1_000_000
CHAT = "http://up/v1/chat/completions"
STREAM: Headers = (("content-type", "text/event-stream"),)
JSON: Headers = (("Content-Type", "application/json"),)
A, B, DONE = b'data: {"a": "x"}\n\n', b'data: {"b": "y"}\n\n', b"data: [DONE]\n\n"
EVENTS = (A, B, DONE)


def exchange(chunks: Any, headers: Headers = STREAM, url: str = CHAT, end: int = 100) -> Exchange:
    timed = tuple((at * MS, data) for at, data in chunks)
    return Exchange(Request("POST", url), Response(200, headers, 5 * MS, timed, end * MS))


WHOLE_STREAM = [(10, A), (20, B), (30, DONE)]
CHAT_STREAM = exchange(WHOLE_STREAM)
WHOLE = json.dumps({"text": "hello"}).encode()
PLAIN_BODY = exchange(((50, WHOLE),), (*JSON, ("content-length", str(len(WHOLE)))))
LINES = tuple(json.dumps(line).encode() + b"\n" for line in ({"r": "x"}, {"r": "y"}, {"done": True}))
OLLAMA = exchange(
    ((10, LINES[0]), (20, LINES[1]), (30, LINES[2])),
    (("content-type", "application/x-ndjson"),),
    "http://up/api/chat",
)
FORMS = {SSE: CHAT_STREAM, NDJSON: OLLAMA, PLAIN: PLAIN_BODY}


def spoiled(text: str, one: Exchange = CHAT_STREAM) -> Response:
    response = spoil(fault_in(text), one).exchange.response
    assert response is not None
    return response


def chunks(text: str, one: Exchange = CHAT_STREAM) -> list[tuple[float, bytes]]:
    return [(at / MS, data) for at, data in spoiled(text, one).chunks]


def why_not(text: str, one: Exchange) -> str:
    with pytest.raises(Unfit) as caught:
        spoil(fault_in(text), one)
    return str(caught.value)


TIMES = {"stall": "; for=1s", "delay": "; for=1s", "trickle": "; rate=50"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "error"])
@pytest.mark.parametrize("form", FORMS)
def test_a_kind_fits_the_bodies_that_its_row_in_the_docs_names(kind: str, form: str) -> None:
    text = kind + TIMES.get(kind, "") + ("; byte=3" if kind == "reset" else "")
    if form in KINDS[kind].of:
        assert header(spoiled(text, FORMS[form]).headers, MARK) == text
    else:
        assert why_not(text, FORMS[form])


@pytest.mark.parametrize(
    ("text", "expected", "end"),
    [
        ("cut; event=0", [], 5),
        ("cut; event=2", [(10, A), (20, B)], 20),
        ("cut; byte=20", [(10, A), (20, B[:2])], 20),
        ("cut; byte=0", [], 5),
        ("cut", [(10, A), (20, B[:7])], 20),
    ],
)
def test_a_cut_ends_with_the_bytes_before_it(text: str, expected: Any, end: int) -> None:
    found = spoil(fault_in(text), CHAT_STREAM)
    assert chunks(text) == expected
    assert (found.exchange.state, found.reset) == (State.UPSTREAM_CUT, False)
    assert found.exchange.response
    assert found.exchange.response.end_ns == end * MS


def test_a_reset_comes_a_little_after_the_bytes_before_it() -> None:
    found = spoil(fault_in("reset; event=1"), CHAT_STREAM)
    assert found.reset
    assert found.exchange.response
    assert found.exchange.response.chunks == ((10 * MS, A),)
    assert found.exchange.response.end_ns == 10 * MS + RESET_AFTER_NS


def test_a_cut_body_still_promises_its_length() -> None:
    cut = spoiled("cut; byte=4", PLAIN_BODY)
    assert (cut.body, header(cut.headers, "content-length")) == (WHOLE[:4], str(len(WHOLE)))
    assert "content-length" in why_not(f"cut; byte={len(WHOLE)}", PLAIN_BODY)


def test_a_stall_moves_what_follows() -> None:
    assert chunks("stall; event=1; for=1s") == [(10, A), (1020, B), (1030, DONE)]
    assert spoiled("stall; event=1; for=1s").end_ns == 1100 * MS
    assert chunks("stall; event=0; for=1s")[0] == (1010, A)
    assert chunks("stall; event=3; for=1s") == WHOLE_STREAM


def test_a_trickle_gives_so_many_bytes_a_second_and_none_early() -> None:
    found = spoiled("trickle; rate=100")
    assert found.body == b"".join(EVENTS)
    sent = 0
    for at, data in found.chunks:
        sent += len(data)
        assert at >= 10 * MS + sent * 10 * MS
        assert len(data) <= 5
    assert found.chunks[-1][0] == 10 * MS + sent * 10 * MS == found.end_ns
    assert [(round(at), data) for at, data in chunks("trickle; rate=1000000000")] == WHOLE_STREAM


def test_a_trickle_of_much_has_a_bound_on_its_pieces() -> None:
    many = exchange(((0, b"x" * 5_000_000),), ())
    assert len(spoiled("trickle; rate=1", many).chunks) < 21_000


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("how", ["json", "utf8"])
def test_malformed_breaks_one_event_and_no_other(form: str, how: str) -> None:
    one = FORMS[form]
    assert one.response
    number = 1 if form == PLAIN else 2
    body = spoiled(f"malformed; event={number}; how={how}", one).body
    framing = {SSE: Framing.SSE, NDJSON: Framing.NDJSON, PLAIN: None}[form]
    datas = [span.data for span in spans_of(framing, body)] or [body]
    before = [span.data for span in spans_of(framing, one.response.body)] or [one.response.body]
    assert len(datas) == len(before)
    different = [index for index, pair in enumerate(zip(datas, before, strict=True)) if pair[0] != pair[1]]
    assert different == [number - 1]
    with pytest.raises(ValueError, match=r"."):
        json.loads(datas[number - 1].decode())
    if how == "utf8":
        assert is_json(datas[number - 1].decode("utf-8", "ignore").encode()), "nothing else is wrong with it"


def test_a_damaged_event_keeps_its_name_and_the_time_of_its_last_byte() -> None:
    one = exchange(((1, b"event: delta\nid: 7\nda"), (2, b"ta: {}\n\n"), (3, b"event: stop\ndata: {}\n\n")))
    assert chunks("malformed", one) == [(2, b"event: delta\ndata: {\n\n"), (3, b"event: stop\ndata: {}\n\n")]


TERMINATED = {
    "chat": (CHAT_STREAM, A + B),
    "ollama": (OLLAMA, LINES[0] + LINES[1]),
    "anthropic": (
        exchange(((1, A), (2, b'event: message_stop\ndata: {"type": "message_stop"}\n\n')), url="http://u/v1/messages"),
        A,
    ),
    "responses": (
        exchange(((1, A + b'data: {"type": "response.completed"}\n\ndata: [DONE]\n\n'),), url="http://u/v1/responses"),
        A,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("one", "left"), TERMINATED.values(), ids=TERMINATED)
def test_no_terminator_takes_away_what_ends_the_stream_in_its_api(one: Exchange, left: bytes) -> None:
    found = spoil(fault_in("no-terminator"), one).exchange
    assert found.response
    assert (found.response.body, found.state, found.response.end_ns) == (left, State.COMPLETE, 100 * MS)


def test_a_duplicate_follows_at_once() -> None:
    assert chunks("duplicate; event=2") == [(10, A), (20, B + B), (30, DONE)]
    unfinished = exchange(((1, b"data: 1\n\ndata: 2"),))
    assert spoiled("duplicate; event=2", unfinished).body == b"data: 1\n\n" + b"data: 2\n\n" * 2


def test_comments_stand_before_the_events() -> None:
    assert chunks("comments; each=2; text=hi") == [
        (10, b": hi\n\n"),
        (10, A),
        (20, B),
        (30, b": hi\n\n"),
        (30, DONE),
    ]
    assert len(events_of(spoil(fault_in("comments"), CHAT_STREAM).exchange)) == 3
    parted = exchange(((1, A[:5]), (2, A[5:] + B[:4]), (3, B[4:])))
    assert chunks("comments", parted)[3:] == [(2, b": ping\n\n"), (2, B[:4]), (3, B[4:])]
    assert chunks("comments", PLAIN_BODY)[0] == (5, b"\n")


def test_a_delay_moves_everything_and_leaves_the_encoding() -> None:
    headers = (*STREAM, ("content-encoding", "gzip"))
    one = exchange(((10, gzip.compress(A)),), headers)
    late = spoiled("delay; for=1s", one)
    assert (late.headers_ns, late.end_ns, late.chunks[0][0]) == (1005 * MS, 1100 * MS, 1010 * MS)
    assert header(late.headers, "content-encoding") == "gzip"


def test_what_works_on_the_body_works_on_the_decoded_one() -> None:
    packed = gzip.compress(b"".join(EVENTS))
    headers = (*STREAM, ("Content-Encoding", "gzip"), ("Content-Length", str(len(packed))))
    found = spoiled("duplicate; event=1", exchange(((10, packed[:8]), (20, packed[8:])), headers))
    assert found.body == A + A + B + DONE
    assert {name.lower() for name, _ in found.headers} == {"content-type", MARK}


def test_another_content_type_is_the_only_one() -> None:
    found = spoiled("content-type", PLAIN_BODY)
    assert [value for name, value in found.headers if name.lower() == "content-type"] == ["text/html"]


UNFIT = {
    "event beyond": ("cut; event=4", CHAT_STREAM, "the stream has 3 events"),
    "byte beyond": ("cut; byte=99", PLAIN_BODY, "the body has 17 bytes"),
    "event of a plain body": ("stall; event=1; for=1s", PLAIN_BODY, "a plain body has no events"),
    "second of a plain body": ("malformed; event=2", PLAIN_BODY, "a plain body has no events"),
    "comments in NDJSON": ("comments", OLLAMA, "NDJSON has no comments"),
    "no body": ("cut", exchange(()), "the answer has no body"),
    "no end": ("no-terminator", exchange(((1, A),)), "the recorded stream has no terminator"),
    "damaged": ("cut", exchange(((1, b"xx"),), (("content-encoding", "gzip"),)), "cannot be decoded"),
    "no answer": ("delay; for=1s", replace(CHAT_STREAM, response=None), "no answer was recorded"),
}


@pytest.mark.parametrize(("text", "one", "said"), UNFIT.values(), ids=UNFIT)
def test_what_does_not_fit_is_said(text: str, one: Exchange, said: str) -> None:
    assert said in why_not(text, one)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_spans_are_whole_and_end_to_end(newline: bytes) -> None:
    body = (b": hello\n\nevent: a\ndata: 1\n\n\ndata: 2\ndata: 3\n\ndata: 4").replace(b"\n", newline)
    spans = spans_of(Framing.SSE, body)
    assert [(span.name, span.data) for span in spans] == [("a", b"1"), (None, b"2\n3"), (None, b"4")]
    assert b"".join(body[span.start : span.end] for span in spans) == body


def test_spans_of_a_plain_stream_are_those_that_the_decoder_finds() -> None:
    plain = b"data: 1\n\ndata: \n\ndata: data: 2\n\n"
    decoded = spans_of(Framing.SSE, plain + b": end\n\n")
    assert spans_of(Framing.SSE, plain) == decoded
    assert [span.end for span in decoded] == [9, 17, 32]


def test_spans_of_lines() -> None:
    body = b'\n{"a": "\r"}\r\n\n{"b": 1}'
    spans = spans_of(Framing.NDJSON, body)
    assert b"".join(body[span.start : span.end] for span in spans) == body
    assert [span.data for span in spans] == [b'{"a": "\r"}', b'{"b": 1}']
