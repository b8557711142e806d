"""What goes onto the wire, and when, for every end and every kind of client."""

import gzip
import itertools

import pytest

from harness.core.exchange import Exchange, Headers, Request, Response, State
from harness.replay.playback import Client, Ending, Playback, playback

REQUEST = Request("POST", "http://up/v1/x", body=b"{}")
STREAM: Headers = (("content-type", "text/event-stream"), ("transfer-encoding", "chunked"))
CHUNKS = ((20, b"data: a\n\n"), (20, b"data: b\n\n"), (50, b""), (50, b"data: [DONE]\n\n"))


def exchange(
    headers: Headers = STREAM,
    chunks: tuple[tuple[int, bytes], ...] = CHUNKS,
    state: State = State.COMPLETE,
    status: int = 200,
    connect_ns: int = 0,
) -> Exchange:
    return Exchange(REQUEST, Response(status, headers, 10, chunks, 60), state, connect_ns=connect_ns)


def parts(played: Playback) -> list[tuple[int, bytes]]:
    bounds = itertools.pairwise((0, *played.ends))
    return [(due, played.blob[a:b]) for due, (a, b) in zip(played.due, bounds, strict=True)]


def head_and_body(played: Playback) -> tuple[bytes, bytes]:
    head, _, body = played.blob.partition(b"\r\n\r\n")
    return head.lower(), body


def test_headers_chunks_and_end_have_deadlines_of_their_own() -> None:
    played = playback(exchange(), Client())
    assert [due for due, _ in parts(played)] == [10, 20, 50, 60]
    assert parts(played)[1][1] == b"9\r\ndata: a\n\n\r\n9\r\ndata: b\n\n\r\n"
    assert parts(played)[2][1] == b"e\r\ndata: [DONE]\n\n\r\n"
    assert parts(played)[3][1] == b"0\r\n\r\n"
    assert played.ending is Ending.KEEP


def test_connection_setup_is_taken_off_unless_kept() -> None:
    shifted = playback(exchange(connect_ns=15), Client())
    assert list(shifted.due) == [0, 5, 35, 45]
    kept = playback(exchange(connect_ns=15), Client(), keep_connect=True)
    assert list(kept.due) == [10, 20, 50, 60]


def test_hop_by_hop_headers_are_not_the_recorded_ones() -> None:
    headers = (*STREAM, ("Keep-Alive", "timeout=5"), ("Connection", "keep-alive"), ("X-Request-Id", "r1"))
    head, _ = head_and_body(playback(exchange(headers), Client()))
    assert head.count(b"transfer-encoding") == 1
    assert b"x-request-id: r1" in head
    assert b"keep-alive" not in head
    assert b"connection" not in head


LENGTH: Headers = (("content-length", "9"),)
ONE = ((20, b"123456789"),)
CUT = ((20, b"1234"),)
ENDINGS = {
    "complete, chunked": (exchange(), Client(), Ending.KEEP, b"transfer-encoding: chunked"),
    "complete, of unknown length": (exchange((), ONE), Client(), Ending.KEEP, b"transfer-encoding: chunked"),
    "complete, with length": (exchange(LENGTH, ONE), Client(), Ending.KEEP, b"content-length: 9"),
    "complete, to HTTP/1.0": (exchange(), Client(http10=True), Ending.CLOSE, b"connection: close"),
    "unterminated": (exchange((), ONE, State.UNTERMINATED), Client(), Ending.CLOSE, b"connection: close"),
    "cut, chunked": (exchange(STREAM, CUT, State.UPSTREAM_CUT), Client(), Ending.CLOSE, b"chunked"),
    "cut, with length": (exchange(LENGTH, CUT, State.UPSTREAM_CUT), Client(), Ending.CLOSE, b"length: 9"),
    "cut, to HTTP/1.0": (exchange((), CUT, State.UPSTREAM_CUT), Client(http10=True), Ending.RESET, b"close"),
    "broken": (exchange(STREAM, CUT, State.UPSTREAM_ERROR), Client(), Ending.CLOSE, b"chunked"),
    "client left": (exchange(STREAM, CUT, State.CLIENT_ABORT), Client(), Ending.CLOSE, b"chunked"),
    "no connection": (exchange(LENGTH, ONE, State.CONNECT_FAILED, 502), Client(), Ending.KEEP, b"502 bad"),
}  # fmt: skip


@pytest.mark.parametrize(("recorded", "client", "ending", "in_head"), ENDINGS.values(), ids=ENDINGS)
def test_each_end_is_played_as_it_was(
    recorded: Exchange, client: Client, ending: Ending, in_head: bytes
) -> None:
    played = playback(recorded, client)
    head, body = head_and_body(played)
    assert played.ending is ending
    assert in_head in head
    assert body.endswith(b"0\r\n\r\n") is (b"chunked" in head and ending is Ending.KEEP)
    if ending is not Ending.KEEP:
        assert played.due[-1] == 60


def test_nothing_came_back_and_then_the_connection_broke() -> None:
    played = playback(Exchange(REQUEST, None, State.UPSTREAM_CUT, end_ns=70), Client())
    assert (played.blob, list(played.due), played.ending) == (b"", [70], Ending.CLOSE)


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body_have_none(status: int) -> None:
    head, body = head_and_body(playback(exchange((), (), status=status), Client()))
    assert body == b""
    assert b"transfer-encoding" not in head


def test_answer_to_head_is_the_head_alone() -> None:
    played = playback(exchange(LENGTH, ONE), Client(head=True))
    assert head_and_body(played)[1] == b""
    assert b"content-length: 9" in played.blob


def test_a_length_that_is_not_true_is_dropped() -> None:
    head, body = head_and_body(playback(exchange((("content-length", "5"),), ONE), Client()))
    assert b"content-length" not in head
    assert body == b"9\r\n123456789\r\n0\r\n\r\n"


ENCODED = gzip.compress(b"data: a\n\n")
GZIP: Headers = (("content-encoding", "gzip"), ("content-length", str(len(ENCODED))))
GZIPPED = exchange(GZIP, ((20, ENCODED[:10]), (40, ENCODED[10:])))


@pytest.mark.parametrize(
    ("accepts", "kept"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("*;q=0", False),
        ("identity", False),
        ("", False),
        (None, False),
        ("gzip;q=high", True),
    ],
)
def test_recorded_encoding_is_kept_for_clients_that_take_it(accepts: str | None, kept: bool) -> None:
    head, body = head_and_body(playback(GZIPPED, Client(accepts=accepts)))
    assert (b"content-encoding" in head) is kept
    assert body == (ENCODED if kept else b"9\r\ndata: a\n\n\r\n0\r\n\r\n")


def test_decoded_bytes_keep_the_time_of_the_chunk_that_brought_them() -> None:
    assert list(playback(GZIPPED, Client()).due) == [10, 40, 60]


def test_encoded_body_that_is_damaged_goes_out_as_it_is() -> None:
    damaged = exchange((("content-encoding", "gzip"),), ((20, b"no gzip at all"),))
    head, body = head_and_body(playback(damaged, Client()))
    assert b"content-encoding: gzip" in head
    assert b"no gzip at all" in body
