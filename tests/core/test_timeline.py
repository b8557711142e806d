import gzip
import zlib
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.exchange import Exchange, Headers, Request, Response
from harness.core.sse import SseDecoder
from harness.core.timeline import Event, Framing, content_of, content_type, events_of

SSE = "text/event-stream; charset=utf-8"
NDJSON = "application/x-ndjson"
JSON = "application/json"
REQUEST = Request("POST", "https://api.test/v1/chat/completions")


def response(body: bytes, media_type: str | None, *more: tuple[str, str]) -> Response:
    headers: Headers = (*((("Content-Type", media_type),) if media_type else ()), *more)
    return Response(200, headers, 1, ((7, body),), 9)


STREAM = b'data: {"a":1}\n\ndata: [DONE]\n\n'
LINES = b'{"a":1}\n{"done":true}\n'
BODIES: dict[str, tuple[str | None, bytes, Framing | None, list[bytes]]] = {
    "sse": (SSE, STREAM, Framing.SSE, [b'{"a":1}', b"[DONE]"]),
    "sse in upper case": ("Text/Event-Stream", STREAM, Framing.SSE, [b'{"a":1}', b"[DONE]"]),
    "sse without a type": (None, STREAM, Framing.SSE, [b'{"a":1}', b"[DONE]"]),
    "sse as json": (JSON, STREAM, Framing.SSE, [b'{"a":1}', b"[DONE]"]),
    "sse as ndjson": (NDJSON, STREAM, Framing.SSE, [b'{"a":1}', b"[DONE]"]),
    "sse with fields first": (
        "text/plain",
        b"event: a\r\nid: 1\r\nretry: 1\r\ndata: 1\r\n\r\n",
        Framing.SSE,
        [b"1"],
    ),
    "sse with comments first": (None, b"\xef\xbb\xbf\n: PROCESSING\n\n:\n\ndata: 1\n\n", Framing.SSE, [b"1"]),
    "sse with comments alone": (SSE, b": ping\n\n: ping\n\n", Framing.SSE, []),
    "sse without a byte": (SSE, b"", Framing.SSE, []),
    "sse cut in its first line": (SSE, b"dat", Framing.SSE, []),
    "json as sse": (SSE, b'\n {"error": {"message": "no"}}', None, []),
    "pretty json as sse": (SSE, b'{\n  "error": "no"\n}\n', None, []),
    "ndjson as sse": (SSE, LINES, Framing.NDJSON, [b'{"a":1}', b'{"done":true}']),
    "ndjson": (NDJSON, LINES, Framing.NDJSON, [b'{"a":1}', b'{"done":true}']),
    "ndjson without a type": (None, LINES, Framing.NDJSON, [b'{"a":1}', b'{"done":true}']),
    "ndjson as json": (JSON, b"\n" + LINES, Framing.NDJSON, [b'{"a":1}', b'{"done":true}']),
    "ndjson of one line": (NDJSON, b'{"done":true}', Framing.NDJSON, [b'{"done":true}']),
    "ndjson cut in its first line": (NDJSON, b'{"do', Framing.NDJSON, [b'{"do']),
    "ndjson cut in its last line": (JSON, b'{"a":1}\n{"do', Framing.NDJSON, [b'{"a":1}', b'{"do']),
    "pretty json as ndjson": (NDJSON, b'{\n "error": "no"\n}', None, []),
    "json": (JSON, b'{"a":1}', None, []),
    "json of one line with line feeds": (None, b'\n\n{"a":1}\n\n', None, []),
    "pretty json": (JSON, b'{\n  "a": [\n    1\n  ]\n}\n', None, []),
    "keep-alives, then json": (JSON, b"\n" * 50 + b'   \n{"a":1}', None, []),
    "text": ("text/plain", b"hello\ndata: 1\n\n", None, []),
    "text that talks of ids": ("text/plain", b"id: 1\nname: x\n", None, []),
    "audio": ("audio/mpeg", b"ID3\xff\xfb\x90", None, []),
    "html": ("text/html", b"<html>\n{}\n</html>", None, []),
    "nothing": (None, b"", None, []),
}


@pytest.mark.parametrize(("media_type", "body", "framing", "data"), BODIES.values(), ids=BODIES)
def test_framing_is_what_the_body_shows(
    media_type: str | None, body: bytes, framing: Framing | None, data: list[bytes]
) -> None:
    content = content_of(response(body, media_type))
    assert content.framing == framing
    assert [event.data for event in content.events] == data
    assert content.body == body


def test_many_comments_do_not_make_sniffing_slow() -> None:
    assert content_of(response(b":\r\n" * 300_000, None)).framing is None


def test_no_response_has_no_events() -> None:
    assert events_of(Exchange(REQUEST, None)) == ()


def test_an_event_has_the_time_of_its_last_byte() -> None:
    chunks = ((10, b"event: a\nda"), (20, b"ta: 1\n"), (30, b"\ndata: 2\n\n: ping\n\ndata"), (40, b": 3\n\n"))
    exchange = Exchange(REQUEST, Response(200, (("content-type", SSE),), 5, chunks, 50))
    assert events_of(exchange) == (Event(30, "a", b"1"), Event(30, None, b"2"), Event(40, None, b"3"))


def test_an_event_without_its_end_has_the_time_of_the_last_chunk() -> None:
    chunks = ((10, b"data: 1\n\ndata"), (20, b": 2"), (30, b"3"))
    exchange = Exchange(REQUEST, Response(200, (("content-type", SSE),), 5, chunks, 50))
    assert events_of(exchange) == (Event(10, None, b"1"), Event(30, None, b"23"))
    chunks = ((10, b'{"a":1}\n{"b"'), (20, b":2"), (30, b"}"))
    exchange = Exchange(REQUEST, Response(200, (("content-type", NDJSON),), 5, chunks, 50))
    assert events_of(exchange) == (Event(10, None, b'{"a":1}'), Event(30, None, b'{"b":2}'))


def test_times_survive_the_content_encoding() -> None:
    stream = zlib.compressobj(wbits=31)
    parts = [b"data: 1\n\nda", b"ta: 2\n\n"]
    chunks = [(i, stream.compress(part) + stream.flush(zlib.Z_SYNC_FLUSH)) for i, part in enumerate(parts)]
    headers = (("content-type", SSE), ("content-encoding", "gzip"))
    exchange = Exchange(REQUEST, Response(200, headers, 0, (*chunks, (9, stream.flush())), 9))
    assert events_of(exchange) == (Event(0, None, b"1"), Event(1, None, b"2"))


def test_events_before_the_damage_are_kept() -> None:
    headers = (("content-type", SSE), ("content-encoding", "gzip"))
    chunks = ((1, gzip.compress(b"data: 1\n\ndata: 2\n\n")), (2, b"damage is no gzip"))
    events = events_of(Exchange(REQUEST, Response(200, headers, 0, chunks, 9)))
    assert [event.data for event in events] == [b"1", b"2"]


def test_an_unknown_encoding_has_no_events() -> None:
    content = content_of(response(STREAM, SSE, ("content-encoding", "magic")))
    assert (content.events, content.body) == ((), b"")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [((), ""), ((("content-TYPE", " Text/HTML ; charset=x"),), "text/html"), ((("Content-Type", ""),), "")],
)
def test_content_type(headers: Headers, expected: str) -> None:
    assert content_type(headers) == expected


BLOCKS = st.lists(
    st.tuples(
        st.binary(max_size=20).map(lambda data: data.translate(None, b"\r\n")),
        st.sampled_from([b"\n", b"\r\n", b"\r"]),
    ),
    min_size=1,
    max_size=6,
)


@given(blocks=BLOCKS, cuts=st.lists(st.integers(1, 200)))
def test_sse_events_at_the_chunk_with_their_last_byte(
    blocks: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    encoded = [b"data: " + data + end + end for data, end in blocks]
    body = b"".join(encoded)
    # An event is complete at the first byte of its blank line's end.
    ends = [total - len(end) for total, (_, end) in zip(accumulate(map(len, encoded)), blocks, strict=True)]
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    chunks = tuple((stop, body[start:stop]) for start, stop in pairwise(edges))
    events = events_of(Exchange(REQUEST, Response(200, (("content-type", SSE),), 0, chunks, 0)))
    assert [event.data for event in events] == [data for data, _ in blocks]
    assert [event.offset_ns for event in events] == [min(e for e in edges if e > end) for end in ends]


@given(
    lines=st.lists(st.integers().map(lambda number: b'{"n":%d}' % number), min_size=2),
    cuts=st.lists(st.integers(1, 200)),
)
def test_ndjson_lines_at_the_chunk_with_their_last_byte(lines: list[bytes], cuts: list[int]) -> None:
    body = b"".join(line + b"\n" for line in lines)
    ends = list(accumulate(len(line) + 1 for line in lines))
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    chunks = tuple((stop, body[start:stop]) for start, stop in pairwise(edges))
    events = events_of(Exchange(REQUEST, Response(200, (), 0, chunks, 0)))
    assert [(event.offset_ns, event.data) for event in events] == [
        (min(edge for edge in edges if edge >= end), line) for end, line in zip(ends, lines, strict=True)
    ]


LINES_OF_STREAMS = [b"data: a\n\n", b"data: \n\n", b"data: a\n\ndata: b\n\n", b"data:  c \n\n"]
OTHER_PIECES = [
    b"data: a\r\n\r\n",
    b"data: a\n",
    b"\n",
    b"\n\n",
    b"data: d",
    b"event: e\n",
    b": f\n\n",
    b"data: ",
    b"g",
]


@pytest.mark.parametrize("others", [[], OTHER_PIECES])
@given(data=st.data())
def test_events_are_those_of_the_decoder(data: st.DataObject, others: list[bytes]) -> None:
    pieces = st.lists(st.sampled_from([*LINES_OF_STREAMS, *others]), min_size=1)
    chunks = tuple(enumerate(data.draw(pieces)))
    events, decoder = [], SseDecoder()
    for offset_ns, chunk in chunks:
        events += [Event(offset_ns, one.name, one.data) for one in decoder.feed(chunk) if not one.comment]
    events += [Event(chunks[-1][0], one.name, one.data) for one in decoder.close()]
    content = content_of(Response(200, (("content-type", SSE),), 0, chunks, 0))
    assert content.framing is Framing.SSE
    assert content.events == tuple(events)
