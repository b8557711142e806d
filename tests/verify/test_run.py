"""Listening to a server and judging it: one that is late is not met, whoever else is late."""

import http.server
import threading
import time
from collections.abc import Iterator

import pytest

from harness.core.exchange import Exchange, Request, Response
from harness.verify.compare import Verdict, verdict
from harness.verify.run import hold, judge_all

MS = 1_000_000
CHUNKS = tuple((at * MS, b"data: %d\n\n" % at) for at in range(20, 120, 20))
HEADERS = (("content-length", str(sum(len(data) for _, data in CHUNKS))),)
RECORDED = Exchange(Request("POST", "http://u/v1/x"), Response(200, HEADERS, 20 * MS, CHUNKS, 100 * MS), id=1)
TOLERANCE_NS = 60 * MS


class Late(http.server.BaseHTTPRequestHandler):
    """Writes every chunk so many ms after its time."""

    by_ms = 0

    def do_POST(self) -> None:
        start_ns = time.monotonic_ns()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n" % HEADERS[0][1].encode())
        for offset_ns, data in CHUNKS:
            due_ns = start_ns + offset_ns + self.by_ms * MS
            threading.Event().wait(max(0, due_ns - time.monotonic_ns()) / 1e9)
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    handler = type("LateBySo", (Late,), {"by_ms": request.param})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("url", "expected"), [(0, Verdict.MET), (500, Verdict.NOT_MET)], indirect=["url"], ids=["on time", "late"]
)
@pytest.mark.parametrize("noise_ns", [0, 40 * MS], ids=["quiet", "noisy"])
def test_a_server_that_writes_late_is_not_met_on_any_machine(
    url: str, expected: Verdict, noise_ns: int
) -> None:
    (result,) = judge_all({1: RECORDED}, hold({1: RECORDED}, url, 1, lambda done, every: None))
    assert (result.fault, result.chunks) == (None, len(CHUNKS))
    assert verdict([result], noise_ns, TOLERANCE_NS) is expected
