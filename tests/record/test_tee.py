"""Every way in which an exchange ends, through a real recorder, with a real upstream that behaves so."""

import gzip
import json
import re
import socket
import struct
import threading
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from harness.core.encoding import decode_chunks
from harness.core.exchange import RESET, Exchange, State, header

if TYPE_CHECKING:
    from tests.plugins.wire import Client, Recorder, Upstream

SSE = "Content-Type: text/event-stream"
JSON = "Content-Type: application/json"
FIRST = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
SECOND = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"lo"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
CHAT = b'{"model":"m","stream":true,"messages":[]}'
COMPLETION = json.dumps({"model": "m", "object": "chat.completion", "choices": []}).encode()

type Run = Callable[..., Exchange]


@pytest.fixture
def path(request: pytest.FixtureRequest) -> str:
    """A path of this test's own that is one of OpenAI's chat."""
    return f"/{re.sub('[^a-zA-Z0-9]+', '-', request.node.name)}/v1/chat/completions"


@pytest.fixture
def run(recorder: "Recorder", upstream: "Upstream", path: str) -> Run:
    """Play a script to one whole request; the exchange as it was recorded."""

    def run_script(*steps: object, method: str = "POST", body: bytes = CHAT) -> Exchange:
        upstream.on(path, *steps)  # type: ignore[arg-type]
        with recorder.client() as client:
            client.send(method, path, body, "Connection: close")
            client.read_all()
        return recorder.exchange(path)

    return run_script


def data_of(exchange: Exchange) -> list[bytes]:
    assert exchange.response is not None
    return [data for _, data in exchange.response.chunks]


def reset(client: "Client") -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_chunked_stream(run: Run, upstream: "Upstream", path: str) -> None:
    exchange = run(upstream.head(200, SSE), *map(upstream.chunk, (FIRST, SECOND, DONE)), upstream.LAST)
    assert exchange.state is State.COMPLETE
    assert exchange.error is None
    assert data_of(exchange) == [FIRST, SECOND, DONE]
    assert (exchange.request.method, exchange.request.path) == ("POST", path)
    assert exchange.request.url == upstream.url + path
    assert exchange.request.body == CHAT
    assert exchange.response is not None
    assert exchange.response.status == 200
    assert exchange.response.headers == (
        ("Content-Type", "text/event-stream"),
        ("Transfer-Encoding", "chunked"),
    )


def test_request_is_recorded_as_the_client_sent_it_and_turned_to_the_upstream(
    run: Run, upstream: "Upstream", path: str
) -> None:
    exchange = run(upstream.head(200, JSON, "Content-Length: 2"), b"{}")
    assert header(exchange.request.headers, "host") == "recorder.test"
    forwarded = next(request for request in upstream.requests if request.path == path)
    assert f"Host: 127.0.0.1:{upstream.port}".encode() in forwarded.head
    assert forwarded.body == CHAT


def test_times_are_those_of_the_upstream(recorder: "Recorder", upstream: "Upstream", path: str) -> None:
    steps = [threading.Event() for _ in range(3)]
    upstream.on(
        path,
        steps[0],
        upstream.head(200, SSE),
        steps[1],
        upstream.chunk(FIRST),
        steps[2],
        upstream.chunk(DONE) + upstream.LAST,
    )
    with recorder.client() as client:
        client.send("POST", path, CHAT)
        for step, marker in zip(steps, (b"\r\n\r\n", FIRST + b"\r\n", upstream.LAST), strict=True):
            threading.Event().wait(0.05)
            step.set()
            client.read_until(marker)
    response = recorder.exchange(path).response
    assert response is not None
    times = [response.headers_ns, response.chunks[0][0], response.chunks[1][0]]
    assert times[0] > 0
    assert times[1] - times[0] >= 50_000_000
    assert times[2] - times[1] >= 50_000_000
    assert response.end_ns >= times[2]


def test_error_bound_is_small_on_an_idle_loop_and_never_zero(run: Run, upstream: "Upstream") -> None:
    exchange = run(upstream.head(200, SSE), upstream.chunk(DONE), upstream.LAST)
    assert exchange.error_bound_ns is not None
    assert exchange.error_bound_ns > 0


@pytest.mark.parametrize("split", [1, 7])
def test_content_length(run: Run, upstream: "Upstream", split: int) -> None:
    length = f"Content-Length: {len(COMPLETION)}"
    exchange = run(upstream.head(200, JSON, length), COMPLETION[:split], COMPLETION[split:])
    assert exchange.state is State.COMPLETE
    assert b"".join(data_of(exchange)) == COMPLETION


@pytest.mark.parametrize(
    ("content_type", "body", "state"),
    [
        (SSE, FIRST + DONE, State.COMPLETE),
        (SSE, FIRST, State.UNTERMINATED),
        (JSON, COMPLETION, State.COMPLETE),
        (JSON, COMPLETION[:-3], State.UNTERMINATED),
        ("Content-Type: text/plain", b"Internal Server Error", State.COMPLETE),
    ],
    ids=["stream", "stream cut", "json", "json cut", "text"],
)
def test_until_close(run: Run, upstream: "Upstream", content_type: str, body: bytes, state: State) -> None:
    exchange = run(upstream.head(200, content_type, "Connection: close"), body, upstream.CLOSE)
    assert exchange.state is state
    assert b"".join(data_of(exchange)) == body


def test_reset_of_a_body_without_length_is_a_cut(run: Run, upstream: "Upstream") -> None:
    exchange = run(upstream.head(200, SSE, "Connection: close"), FIRST, upstream.RESET)
    assert (exchange.state, exchange.error) == (State.UPSTREAM_CUT, RESET)


@pytest.mark.parametrize(
    ("name", "encode"),
    [
        ("gzip", gzip.compress),
        ("br", brotli.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
        ("deflate", zlib.compress),
        ("gzip, br", lambda data: brotli.compress(gzip.compress(data))),
    ],
)
def test_encoded_bodies_are_kept_encoded(
    run: Run, upstream: "Upstream", name: str, encode: Callable[[bytes], bytes]
) -> None:
    body = encode(FIRST + DONE)
    pieces = [body[:10], body[10:]]
    head = upstream.head(200, SSE, f"Content-Encoding: {name}")
    exchange = run(head, *map(upstream.chunk, pieces), upstream.LAST)
    assert exchange.state is State.COMPLETE
    assert not exchange.rewritten
    assert data_of(exchange) == pieces
    assert exchange.response is not None
    decoded = decode_chunks(name, exchange.response.chunks)
    assert b"".join(data for _, data in decoded) == FIRST + DONE


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)], ids=["HEAD", "204", "304"]
)
def test_responses_without_a_body(run: Run, upstream: "Upstream", method: str, status: int) -> None:
    exchange = run(upstream.head(status, "Content-Length: 5"), method=method, body=b"")
    assert exchange.state is State.COMPLETE
    assert data_of(exchange) == []
    assert exchange.response is not None
    assert exchange.response.status == status


def test_connect_time_is_that_of_the_first_request_on_a_connection(
    recorder: "Recorder", upstream: "Upstream", path: str
) -> None:
    upstream.on(path, upstream.head(200, JSON, "Content-Length: 2"), b"{}")
    with recorder.client() as client:
        for _ in range(2):
            client.send("POST", path, CHAT)
            client.read_until(b"{}")
        recorder.exchange(path, 2)
    first, second = [exchange for exchange in recorder.exchanges() if exchange.request.path == path]
    assert first.connect_ns > 0
    assert second.connect_ns == 0
    assert first.started_at < second.started_at


def test_large_bodies_pass_whole(run: Run, upstream: "Upstream") -> None:
    sent, answer = b'"' + b"x" * 3_000_000 + b'"', b"y" * 5_000_000
    exchange = run(upstream.head(200, f"Content-Length: {len(answer)}"), answer, body=sent)
    assert exchange.request.body == sent
    assert b"".join(data_of(exchange)) == answer


def test_an_answer_to_half_a_request(recorder: "Recorder", upstream: "Upstream", path: str) -> None:
    """It goes on as it comes, since it is long, and t0 is no later than the answer."""
    part, read = b"x" * 2_000_000, threading.Event()
    upstream.on(path, upstream.head(413, JSON, "Content-Length: 2"), b"{}", read, upstream.CLOSE)
    with recorder.client() as client:
        client.send("POST", path, b"", "Content-Length: 100000000", "X-Unread: 1")
        client.socket.sendall(part)
        assert b" 413 " in client.read_until(b"\r\n\r\n{}")
    read.set()
    exchange = recorder.exchange(path)
    assert exchange.response is not None
    assert (exchange.state, exchange.response.status) == (State.COMPLETE, 413)
    assert exchange.request.body == part[: len(exchange.request.body)] != b""
    assert 0 <= exchange.response.headers_ns <= exchange.response.end_ns


def test_half_a_large_request_is_noted_and_no_more(
    recorder: "Recorder", upstream: "Upstream", path: str, wait_until: Callable[..., None]
) -> None:
    with recorder.client() as client:
        client.send("POST", path, b"", "Content-Length: 100000000")
        client.socket.sendall(b"x" * 2_000_000)
    note = f"{path}: the request was never whole; not recorded"
    wait_until(lambda: note in recorder.errors(), "no note about half a request")
    assert path not in [exchange.request.path for exchange in recorder.exchanges()]


def test_chunked_request(recorder: "Recorder", upstream: "Upstream", path: str) -> None:
    upstream.on(path, upstream.head(200, JSON, "Content-Length: 2"), b"{}", upstream.CLOSE)
    with recorder.client() as client:
        client.send("POST", path, b"", "Transfer-Encoding: chunked")
        client.socket.sendall(b"3\r\nabc\r\n")
        client.socket.sendall(b"2\r\nde\r\n0\r\n\r\n")
        client.read_until(b"{}")
    assert recorder.exchange(path).request.body == b"abcde"


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_client_abort(recorder: "Recorder", upstream: "Upstream", path: str, leave: str) -> None:
    upstream.gone.clear()
    upstream.on(path, upstream.head(200, SSE), upstream.chunk(FIRST), upstream.HOLD)
    with recorder.client() as client:
        client.send("POST", path, CHAT)
        client.read_until(FIRST + b"\r\n")
        if leave == "reset":
            reset(client)
    exchange = recorder.exchange(path)
    assert exchange.state is State.CLIENT_ABORT
    assert exchange.error == "Client disconnected."
    assert data_of(exchange) == [FIRST]
    assert upstream.gone.wait(10), "the upstream connection stayed open"


def test_client_abort_before_the_response(recorder: "Recorder", upstream: "Upstream", path: str) -> None:
    upstream.gone.clear()
    upstream.on(path, upstream.HOLD)
    with recorder.client() as client:
        client.send("POST", path, CHAT)
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.read_all()
    exchange = recorder.exchange(path)
    assert exchange.state is State.CLIENT_ABORT
    assert exchange.response is None
    assert exchange.end_ns > 0


def test_closing_right_after_the_terminator_is_complete(
    recorder: "Recorder", upstream: "Upstream", path: str
) -> None:
    upstream.on(path, upstream.head(200, SSE), upstream.chunk(FIRST), upstream.chunk(DONE), upstream.HOLD)
    with recorder.client() as client:
        client.send("POST", path, CHAT)
        client.read_until(DONE + b"\r\n")
    exchange = recorder.exchange(path)
    assert exchange.state is State.COMPLETE
    assert exchange.error is None


def test_leaving_a_stream_of_an_unknown_protocol_is_an_abort(
    recorder: "Recorder", upstream: "Upstream", request: pytest.FixtureRequest
) -> None:
    path = f"/{request.node.name}"
    upstream.on(path, upstream.head(200, SSE), upstream.chunk(b"data: 1\n\n"), upstream.HOLD)
    with recorder.client() as client:
        client.send("GET", path)
        client.read_until(b"\n\n\r\n")
    assert recorder.exchange(path).state is State.CLIENT_ABORT


@pytest.mark.parametrize("end", ["CLOSE", "RESET"])
def test_cut_in_a_chunked_body(run: Run, upstream: "Upstream", end: str) -> None:
    exchange = run(upstream.head(200, SSE), upstream.chunk(FIRST), getattr(upstream, end))
    assert exchange.state is State.UPSTREAM_CUT
    assert b"".join(data_of(exchange)) in ((FIRST,) if end == "CLOSE" else (FIRST, b""))


def test_cut_in_a_body_of_known_length(run: Run, upstream: "Upstream") -> None:
    exchange = run(upstream.head(200, JSON, "Content-Length: 1000"), COMPLETION, upstream.CLOSE)
    assert exchange.state is State.UPSTREAM_CUT
    assert b"".join(data_of(exchange)) == COMPLETION


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-T"], ids=["before", "within"])
def test_cut_before_the_head_is_whole(run: Run, upstream: "Upstream", head: bytes) -> None:
    exchange = run(head, upstream.CLOSE) if head else run(upstream.CLOSE)
    assert exchange.state is State.UPSTREAM_CUT
    assert exchange.response is None


@pytest.mark.parametrize(
    "answer",
    [
        b"SMTP ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: bogus\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: a\r\n\r\n",
    ],
    ids=["no http", "transfer-encoding", "length"],
)
def test_broken_head(run: Run, upstream: "Upstream", answer: bytes) -> None:
    exchange = run(answer, upstream.CLOSE)
    assert exchange.state is State.UPSTREAM_ERROR
    assert exchange.response is None
    assert exchange.error


def test_broken_chunk(run: Run, upstream: "Upstream") -> None:
    exchange = run(upstream.head(200, SSE), upstream.chunk(FIRST), b"zz\r\n", upstream.CLOSE)
    assert exchange.state is State.UPSTREAM_ERROR
    assert data_of(exchange) == [FIRST]


def test_trailers_end_no_recorder(recorder: "Recorder", upstream: "Upstream", path: str) -> None:
    upstream.on(path, upstream.head(200, SSE), upstream.chunk(DONE), b"0\r\nX-Sum: 1\r\n\r\n")
    with recorder.client() as client:
        client.send("POST", path, CHAT)
        client.read_until(DONE + b"\r\n")
    assert data_of(recorder.exchange(path)) == [DONE]


def test_informational_answers_and_notes(
    recorder: "Recorder", upstream: "Upstream", wait_until: Callable[..., None]
) -> None:
    path = "/socket?api_key=secret-in-the-query"
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Accept: abc")
    switching = b"HTTP/1.1 101 Switching\r\n" + "\r\n".join([*upgrade, "", ""]).encode()
    upstream.on(path, switching, b"\x81\x02hi", upstream.HOLD)
    wanted = (*upgrade[:2], "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x")
    with recorder.client() as client:
        client.send("GET", path, b"", *wanted)
        assert client.read_until(b"\x81\x02hi").endswith(b"hi")
    wait_until(lambda: "another protocol" in recorder.errors(), "no note about the WebSocket")
    assert "secret-in-the-query" not in recorder.errors()
    assert path not in [exchange.request.path for exchange in recorder.exchanges()]


def test_requests_that_never_were_whole_are_noted(
    recorder: "Recorder", wait_until: Callable[..., None]
) -> None:
    with recorder.client() as client:
        client.send("POST", "/half", b"", "Content-Length: 10")
        client.socket.sendall(b"12345")
    wait_until(lambda: "never whole; not recorded\n" in recorder.errors(), "no note about half a request")
    with recorder.client() as client:
        client.send("CONNECT", "a.test:443")
        client.read_all()
    wait_until(lambda: "CONNECT is for proxies" in recorder.errors(), "no note about CONNECT")
    with recorder.client() as client:
        client.send("POST", "/two-lengths", b"", "Content-Length: 2", "Transfer-Encoding: chunked")
        client.read_all()
    wait_until(lambda: "/two-lengths: not recorded (" in recorder.errors(), "no note about the framing")
    assert "/half" not in [exchange.request.path for exchange in recorder.exchanges()]


def test_tls_from_a_client_is_refused_in_words(recorder: "Recorder", wait_until: Callable[..., None]) -> None:
    with recorder.client() as client:
        client.socket.sendall(bytes.fromhex("160301020001000003fc0303") + bytes(500))
        assert client.read_all() == b""
    wait_until(lambda: "http://, not https://" in recorder.errors(), "no note about TLS")
