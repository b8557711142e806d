"""Correct HTTP/1.1 that mitmproxy alone cannot carry, through a real recorder."""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.exchange import State

if TYPE_CHECKING:
    from tests.plugins.wire import Recorder, Upstream

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n"


@pytest.mark.parametrize(
    "steps",
    [
        (EARLY + OK,),
        (CONTINUE + EARLY + EARLY + OK,),
        (EARLY[:11], EARLY[11:-1], EARLY[-1:] + OK[:10], OK[10:]),
        (CONTINUE, OK),
        (CHUNKED,),
        (EARLY, CHUNKED[:-5], CHUNKED[-5:]),
    ],
    ids=["early", "many", "in pieces", "apart", "trailers", "both"],
)
def test_the_answer_is_the_one_that_is_final(
    steps: tuple[bytes, ...], recorder: "Recorder", upstream: "Upstream", request: pytest.FixtureRequest
) -> None:
    path = "/" + re.sub("[^a-z]+", "-", request.node.name)
    upstream.on(path, *steps)
    with recorder.client() as client:
        for _ in range(2):  # on one connection: it is as good as before
            client.send("GET", path)
            answer = client.read_until(b"0\r\n\r\n" if steps[-1] in CHUNKED else b"ok")
            hints = b"".join(steps).count(EARLY)  # which pass, unlike what the recorder answers itself
            assert answer.startswith(EARLY * hints + b"HTTP/1.1 200 OK\r\n")
            assert b"X-T: 1" not in answer
    exchange = recorder.exchange(path, 2)
    assert (exchange.state, exchange.error) == (State.COMPLETE, None)
    assert exchange.response is not None
    assert exchange.response.status == 200
    assert b"".join(data for _, data in exchange.response.chunks) == b"ok"


@pytest.mark.parametrize(
    "head",
    [b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: sk-x\r\n\r\n"],
    ids=["line", "length"],
)
def test_what_is_no_request_is_answered_and_told_of(
    head: bytes, start_recorder: Callable[..., "Recorder"], upstream: "Upstream"
) -> None:
    recorder = start_recorder("--upstream", upstream.url).listen()
    with recorder.client() as client:
        client.socket.sendall(head)
        assert client.read_all().startswith(b"HTTP/1.1 400 ")
    assert recorder.stop() == 0
    note, *_ = [line for line in recorder.errors().splitlines() if "note: " in line]
    assert "not recorded" in note
    assert "sk-x" not in note
    assert recorder.exchanges() == []


FAULT = """
import sys
if "harness.record.proxy" in sys.orig_argv:
    from mitmproxy.proxy.layers.http import _http1
    correct = _http1.Http1Client.read_headers
    def faulty(self, event):
        if b"299" in bytes(self.buf):
            raise RuntimeError("a secret")
        yield from correct(self, event)
    _http1.Http1Client.read_headers = faulty
"""


def test_a_fault_of_mitmproxy_closes_the_connection_and_names_the_exchange(
    start_recorder: Callable[..., "Recorder"], upstream: "Upstream", tmp_path: Path
) -> None:
    """Whatever it trips over next: here we plant it."""
    (tmp_path / "sitecustomize.py").write_text(FAULT)
    recorder = start_recorder("--upstream", upstream.url, env={"PYTHONPATH": str(tmp_path)}).listen()
    answered = threading.Event()
    upstream.on("/fault", b"HTTP/1.1 299 Odd\r\n\r\n", answered)
    upstream.on("/good", OK)
    with recorder.client() as client:
        client.send("GET", "/fault")
        assert client.read_all() == b""
    answered.set()
    with recorder.client() as client:
        client.send("GET", "/good")
        client.read_until(b"ok")
    assert recorder.exchange("/good").state is State.COMPLETE
    exchange = recorder.exchange("/fault")
    assert (exchange.state, exchange.error) == (State.UPSTREAM_ERROR, "mitmproxy has crashed")
    assert recorder.stop() == 4
    said = [line for line in recorder.errors().splitlines() if "NOT RECORDED" in line]
    # It may trip once more as the connection closes, when there is nothing left to name.
    assert [line.endswith("in GET /fault") for line in said] in ([True], [True, False])
    assert "a secret" not in recorder.errors()


LATE_FAULT = """
import sys
if "harness.record.proxy" in sys.orig_argv:
    from mitmproxy.proxy.events import ConnectionClosed
    from mitmproxy.proxy.layers.http import HttpLayer
    correct = HttpLayer._handle_event
    def faulty(self, event):
        if isinstance(event, ConnectionClosed) and event.connection is not self.context.client:
            raise RuntimeError("a secret")
        yield from correct(self, event)
    HttpLayer._handle_event = faulty
"""


def test_a_fault_of_mitmproxy_after_the_client_has_left_is_told_of(
    start_recorder: Callable[..., "Recorder"],
    upstream: "Upstream",
    tmp_path: Path,
    wait_until: Callable[[Callable[[], object], str], None],
) -> None:
    (tmp_path / "sitecustomize.py").write_text(LATE_FAULT)
    recorder = start_recorder("--upstream", upstream.url, env={"PYTHONPATH": str(tmp_path)}).listen()
    upstream.on("/good", OK)
    with recorder.client() as client:
        client.send("GET", "/good")
        client.read_until(b"ok")
    wait_until(lambda: "NOT RECORDED" in recorder.errors(), "no word on the fault")
    assert "a secret" not in recorder.errors()
    assert recorder.stop() == 4
    assert recorder.exchange("/good").state is State.COMPLETE


def test_trailers_of_a_request(recorder: "Recorder", upstream: "Upstream") -> None:
    answered = threading.Event()
    upstream.on("/trailers", OK, answered, upstream.CLOSE)  # it reads no chunked bodies: closing is a reset
    with recorder.client() as client:
        client.socket.sendall(
            b"POST /trailers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
            b"2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n"
        )
        client.read_until(b"ok")
        exchange = recorder.exchange("/trailers")
        answered.set()
    assert (exchange.state, exchange.request.body) == (State.COMPLETE, b"hi")
