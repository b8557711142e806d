from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.sse import SseDecoder, SseEvent


def decoded(*pieces: bytes) -> list[SseEvent]:
    decoder = SseDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def event(data: bytes, name: str | None = None, id: str | None = None) -> SseEvent:  # noqa: A002
    return SseEvent(name, data, id)


def comment(data: bytes) -> SseEvent:
    return SseEvent(None, data, None, comment=True)


FORMS = {
    "chat": (b'data: {"a":1}\n\ndata: [DONE]\n\n', [event(b'{"a":1}'), event(b"[DONE]")]),
    "named": (b"event: ping\ndata: {}\n\n", [event(b"{}", "ping")]),
    "crlf": (b"event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", [event(b"1", "a"), event(b"2")]),
    "cr": (b"event: a\rdata: 1\r\rdata: 2\r\r", [event(b"1", "a"), event(b"2")]),
    "mixed line ends": (b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\n\r", [event(b"1"), event(b"2"), event(b"3")]),
    "byte order mark": (b"\xef\xbb\xbfdata: 1\n\n", [event(b"1")]),
    "byte order mark later": (b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [event(b"1")]),
    "many lines": (b"data: a\ndata: b\ndata:\ndata: c\n\n", [event(b"a\nb\n\nc")]),
    "no space": (b"data:a\n\n", [event(b"a")]),
    "one space of two": (b"data:  a \n\n", [event(b" a ")]),
    "no colon": (b"data\n\n", [event(b"")]),
    "empty data": (b"data:\n\n", [event(b"")]),
    "id": (b"id: 7\ndata: a\n\ndata: b\n\n", [event(b"a", id="7"), event(b"b")]),
    "id with NUL": (b"id: a\0b\ndata: a\n\n", [event(b"a")]),
    "empty name": (b"event:\ndata: a\n\n", [event(b"a")]),
    "last name": (b"event: a\nevent: b\ndata: a\n\n", [event(b"a", "b")]),
    "retry and unknown": (b"retry: 10\nfoo: bar\ndata: a\n\n", [event(b"a")]),
    "field in upper case": (b"Data: a\n\n", []),
    "name without data": (b"event: a\nid: 1\n\ndata: b\n\n", [event(b"b")]),
    "comment": (b": PROCESSING\n\ndata: a\n\n", [comment(b"PROCESSING"), event(b"a")]),
    "two comments": (b":a\n: b\n\n", [comment(b"a\nb")]),
    "comment in an event": (b": ping\ndata: a\n\n", [event(b"a")]),
    "empty comment": (b":\n\n", [comment(b"")]),
    "blank lines": (b"\n\n\r\n\ndata: a\n\n\n\n", [event(b"a")]),
    "separators of text only": (
        b"data: a\x0b\x0c\x1c\xc2\x85\xe2\x80\xa8b\n\n",
        [event(b"a\x0b\x0c\x1c\xc2\x85\xe2\x80\xa8b")],
    ),
    "broken UTF-8": (b"event: \xff\ndata: \xff\xfe\n\n", [event(b"\xff\xfe", "�")]),
    "no blank line at the end": (b"data: a\n\ndata: b\n", [event(b"a"), event(b"b")]),
    "no end at all": (b"event: x\ndata: b", [event(b"b", "x")]),
    "cut in a field's name": (b"data: a\n\ndat", [event(b"a")]),
    "comment at the end": (b"data: a\n\n: bye", [event(b"a")]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(("body", "events"), FORMS.values(), ids=FORMS)
class TestForms:
    def test_whole(self, body: bytes, events: list[SseEvent]) -> None:
        assert decoded(body) == events

    def test_byte_by_byte(self, body: bytes, events: list[SseEvent]) -> None:
        assert decoded(*(body[i : i + 1] for i in range(len(body)))) == events

    def test_cut_in_two_anywhere(self, body: bytes, events: list[SseEvent]) -> None:
        assert all(decoded(body[:i], b"", body[i:]) == events for i in range(len(body) + 1))

    def test_bytes_after_the_end(self, body: bytes, events: list[SseEvent]) -> None:
        assert decoded(body + b"\n\n", b"data: after\n\n")[-1] == event(b"after")


def test_an_event_comes_with_the_byte_that_completes_it() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\n") == [event(b"a")]
    assert decoder.feed(b"data: b\r\n\r") == [event(b"b")]
    assert decoder.feed(b"\n") == []


def test_after_closing_the_decoder_is_as_new() -> None:
    decoder = SseDecoder()
    decoder.feed(b"event: x\nid: 1\ndata: a\r")
    assert decoder.close() == [event(b"a", "x", "1")]
    assert decoder.close() == []
    assert decoder.feed(b"\xef\xbb\xbfdata: b\n\n") == [event(b"b")]


def test_a_huge_event_in_small_pieces() -> None:
    text = b"x" * 300_000
    body = b"data: " + text + b"\n\n"
    assert decoded(*(body[i : i + 7] for i in range(0, len(body), 7))) == [event(text)]


STREAMS = st.lists(
    st.sampled_from(
        [
            b"\r",
            b"\n",
            b"\r\n",
            b"data: a",
            b"data:",
            b"event: e",
            b"id: 1",
            b":c",
            b"\xef\xbb\xbf",
            b"\xf0\x9f",
            b"d",
        ]
    )
).map(b"".join)


@given(body=STREAMS | st.binary(), cuts=st.lists(st.integers(0, 200)))
def test_any_split_gives_the_same_events(body: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    assert decoded(*(body[a:b] for a, b in pairwise(edges))) == decoded(body)
