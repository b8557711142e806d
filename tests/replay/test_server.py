"""The replay server over real sockets: HTTP/1.1, matching, misses, ends, timing, and its summary."""

import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import __version__
from harness.child import Child
from harness.core import admin
from harness.core.exchange import REQUEST_LIMIT, Exchange, Headers, State
from harness.replay.reader import RequestReader

MS = 1_000_000
Make = Callable[..., Exchange]
Serve = Callable[..., Any]
LAST = b"Connection: close\r\n\r\n"


def post(body: bytes = b"{}", path: str = "/v1/x", *, headers: bytes = b"", close: bool = False) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%b" % (path.encode(), len(body), headers)
    return head + (LAST if close else b"\r\n") + body


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 20), b""))


def body_of(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def test_answers_with_the_recorded_bytes_and_says_so_at_the_end(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(chunks=((0, b"hel"), (5, b"lo"))))
    answer = server.send(post(close=True))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n")
    assert body_of(answer) == chunked(b"hel", b"lo")
    code, summary = server.stop()
    assert (code, summary["answered"], summary["missed"], summary["unused"]) == (0, 1, 0, [])
    assert summary["lateness"]["writes"] >= 1


def test_connection_is_kept_for_the_next_request(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(b"1", ((0, b"one"),)), exchange(b"2", ((0, b"two"),)))
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    got = []
    for body in (b"1", b"2", b"1"):
        connection.request("POST", "/v1/x", body)
        got.append(connection.getresponse().read())
    connection.close()
    assert got == [b"one", b"two", b"one"]


def test_pipelined_requests_are_answered_in_their_order(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(b"1", ((30, b"one"),)), exchange(b"2", ((0, b"two"),)))
    many = [post(b"1"), post(b"2")] * 15
    answer = server.send(*many, post(b"2", close=True))
    assert answer.count(chunked(b"one")) == 15
    assert answer.count(chunked(b"two")) == 16
    assert answer.index(b"one") < answer.index(b"two")


def test_request_in_pieces_and_in_chunks(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(b'{"a":1}'))
    head = b"POST /v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with server.connect() as connection:
        for byte in head + chunked(b'{"a"', b":1}"):
            connection.sendall(bytes([byte]))
        answer = read_all(connection)
    assert body_of(answer) == chunked(b"hello")


def test_large_bodies_one_after_another_on_one_connection(exchange: Make, serve: Serve) -> None:
    body = b'{"a":"' + b"x" * 150_000 + b'"}'
    server = serve(exchange(body))
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    for _ in range(5):
        connection.request("POST", "/v1/x", body)
        assert connection.getresponse().read() == b"hello"
    connection.close()


def test_many_small_requests_in_one_write(exchange: Make, serve: Serve) -> None:
    answer = serve(exchange()).send(*[post()] * 1500, post(close=True))
    assert answer.count(b"HTTP/1.1 200 OK") == 1501


def test_a_long_head_in_small_pieces(exchange: Make, serve: Serve) -> None:
    server = serve(exchange())
    request = post(headers=b"X: %b\r\n" % (b"y" * 40_000), close=True)
    with server.connect() as connection:
        for start in range(0, len(request), 1000):
            connection.sendall(request[start : start + 1000])
        assert body_of(read_all(connection)) == chunked(b"hello")


def test_an_unfinished_head_is_refused_at_the_limit(exchange: Make, serve: Serve) -> None:
    with serve(exchange()).connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        threading.Event().wait(0.2)  # so that it is read by itself
        connection.sendall(b"y" * 66_000)
        assert b" 431 " in connection.recv(100)


def test_target_may_be_a_whole_url(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(path="/v1/x?a=1"))
    answer = server.send(post(path="http://somewhere.test/v1/x?a=1", close=True))
    assert body_of(answer) == chunked(b"hello")


def test_target_may_be_a_star(exchange: Make, serve: Serve) -> None:
    answer = serve(exchange()).send(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", post(close=True))
    assert answer.startswith(b"HTTP/1.1 204")
    assert answer.endswith(chunked(b"hello"))


def test_what_comes_before_a_broken_request_is_answered(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(chunks=((50, b"one"), (100, b"two"))))
    answer = server.send(post(), post(), b"BROKEN\r\n\r\n")
    assert answer.count(chunked(b"one", b"two")) == 2
    assert b"HTTP/1.1 400 Bad Request" in answer


def test_pipelining_without_reading_costs_no_memory(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(chunks=((0, b"x" * 250_000),)))
    with server.connect() as connection:
        before = resident_kib(server.child.process.pid)
        connection.sendall(post() * 799 + post(close=True))
        assert b"x" * 250_000 in server.send(post(close=True))
        assert resident_kib(server.child.process.pid) - before < 20_000
        assert read_all(connection).count(b"x" * 250_000) == 800


def test_times_beyond_all_clocks_are_waited_for_in_peace(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(b"1", chunks=((0, b"a"), (2**62 / MS, b"b"))), exchange(b"2"))
    with server.connect() as connection:
        connection.sendall(post(b"1"))
        assert b"1\r\na\r\n" in connection.recv(65536)
        assert body_of(server.send(post(b"2", close=True))) == chunked(b"hello")
    assert server.stop()[0] == 0


def test_a_length_that_promises_more_than_was_recorded_is_not_kept(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(chunks=(), headers=(("content-length", "5"),)))
    assert body_of(server.send(post(close=True))) == chunked()


def test_interrupted_exchanges_are_not_played_by_their_id(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(state=State.INTERRUPTED))
    answer = server.send(post(headers=b"X-Harness-Exchange: 1\r\n", close=True))
    assert b"HTTP/1.1 404" in answer


def test_a_miss_stops_no_stream(exchange: Make, serve: Serve) -> None:
    """A hundred recorded requests of 50 KB stand beside the stream; misses are looked up among them."""
    words = [{"n": n, "t": "word " * 10} for n in range(700)]
    large = [exchange(json.dumps({"m": words, "k": k}).encode()) for k in range(100)]
    stream = exchange(b"stream", [(at * 10, b"x") for at in range(100)])
    server = serve(stream, *large)
    with server.connect() as connection:
        connection.sendall(post(b"stream", close=True))
        for n in range(5):
            assert b"404" in server.send(post(b'{"m":[{"n":%d}]}' % n, close=True))
        read_all(connection)
    assert server.stop()[1]["lateness"]["max_ms"] < 1500


def test_expected_continue_is_given(exchange: Make, serve: Serve) -> None:
    server = serve(exchange())
    with server.connect() as connection:
        connection.sendall(
            b"POST /v1/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" + LAST
        )
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"{}")
        assert b"200 OK" in connection.recv(65536)


def test_head_is_answered_from_the_get(exchange: Make, serve: Serve) -> None:
    sized: Headers = (("content-length", "5"),)
    server = serve(exchange(b"", method="GET", headers=sized))
    answer = server.send(b"HEAD /v1/x HTTP/1.1\r\nHost: h\r\n" + LAST)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n")
    assert body_of(answer) == b""
    assert server.stop()[0] == 0


def test_preflight_is_allowed_and_no_miss(exchange: Make, serve: Serve) -> None:
    server = serve(exchange())
    answer = server.send(b"OPTIONS /v1/x HTTP/1.1\r\nHost: h\r\nOrigin: http://page\r\n" + LAST)
    assert answer.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"access-control-allow-origin: *" in answer
    assert server.stop()[0] == 0


REFUSED = {
    "no HTTP": (b"hello there\r\n\r\n", 400),
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "head too long": (b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    "many headers": (b"GET / HTTP/1.1\r\n" + b"X: xxxxxxxxxx\r\n" * 7_000 + b"\r\n", 431),
    "target too long": (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
    "body too long": (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (REQUEST_LIMIT + 1), 413),
}


def test_a_body_as_large_as_recordings_hold_is_taken() -> None:
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % REQUEST_LIMIT, 0)
    assert reader.refused is None


@pytest.mark.parametrize(("sent", "status"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_in_the_apis_form(
    sent: bytes, status: int, exchange: Make, serve: Serve
) -> None:
    server = serve(exchange())
    answer = server.send(sent)
    assert int(answer.split()[1]) == status
    assert json.loads(body_of(answer))["error"]["code"] == "harness_refused"
    assert server.send(post(close=True)).startswith(b"HTTP/1.1 200")


def test_an_offer_to_upgrade_is_not_taken_up(exchange: Make, serve: Serve) -> None:
    server = serve(exchange())
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    answer = server.send(post(headers=offer), post(close=True))
    assert answer.count(chunked(b"hello")) == 2


def test_equal_requests_get_recorded_answers_in_order_and_then_the_last(exchange: Make, serve: Serve) -> None:
    server = serve(*(exchange(b'{"n":0}', ((0, text),)) for text in (b"first", b"second", b"third")))
    got = [body_of(server.send(post(b'{"n": 0.0}', close=True))) for _ in range(5)]
    assert got == [chunked(text) for text in (b"first", b"second", b"third", b"third", b"third")]


def test_a_miss_names_the_nearest_recording_and_the_difference(exchange: Make, serve: Serve) -> None:
    server = serve(
        exchange(b'{"model":"m","messages":[{"content":"hello"}]}'),
        exchange(b'{"model":"other","messages":[{"content":"something else"}]}'),
    )
    answer = server.send(post(b'{"model":"m","messages":[{"content":"hello world"}]}', close=True))
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
    error = json.loads(body_of(answer))["error"]
    assert (error["code"], error["harness"]["why"]) == ("harness_miss", "unmatched")
    nearest, other = error["harness"]["nearest"]
    assert (nearest["exchange"], nearest["count"], other["exchange"]) == ("1", 1, "2")
    changed = {"change": "changed", "where": "body/messages/0/content"}
    assert nearest["differences"] == [changed | {"recorded": '"hello"', "requested": '"hello world"'}]
    assert 'recorded "hello", requested "hello world"' in error["message"]
    other_form = json.loads(body_of(server.send(post(path="/v1/messages", close=True))))
    assert (other_form["type"], other_form["error"]["type"]) == ("error", "not_found_error")  # Anthropic's
    code, summary = server.stop()
    assert (code, summary["missed"], len(summary["unused"])) == (1, 2, 2)
    texts = (error["harness"]["text"], other_form["error"]["harness"]["text"])
    assert summary["misses"] == dict.fromkeys(texts, 1)


def test_a_request_that_two_upstreams_recorded_is_a_miss_unless_it_names_one(
    exchange: Make, serve: Serve
) -> None:
    server = serve(exchange(upstream="a", chunks=((0, b"A"),)), exchange(upstream="b", chunks=((0, b"B"),)))
    error = json.loads(body_of(server.send(post(close=True))))["error"]
    assert "upstreams a and b: ask at /a/v1/x" in error["message"]
    assert body_of(server.send(post(path="/b/v1/x", close=True))) == chunked(b"B")
    assert body_of(server.send(post(path="/a/v1/x", close=True))) == chunked(b"A")


def test_what_a_client_aborted_answers_only_where_nothing_better_is(exchange: Make, serve: Serve) -> None:
    aborted = {"state": State.CLIENT_ABORT, "chunks": ((0, b"half"),)}
    half_whole_half = [exchange(b"1", **aborted), exchange(b"1", ((0, b"whole"),)), exchange(b"1", **aborted)]
    server = serve(*half_whole_half, exchange(b"2", **aborted))
    assert body_of(server.send(post(b"1", close=True))) == chunked(b"whole")
    assert body_of(server.send(post(b"1", close=True))) == chunked(b"whole")
    assert body_of(server.send(post(b"2"))) == b"4\r\nhalf\r\n"


def test_interrupted_exchanges_never_answer(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(state=State.INTERRUPTED))
    assert server.send(post(close=True)).startswith(b"HTTP/1.1 404")
    assert server.stop()[1]["unused"] == []


def test_a_cut_breaks_the_connection_after_the_recorded_bytes(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(chunks=((0, b"data: a\n\n"),), state=State.UPSTREAM_CUT))
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    connection.request("POST", "/v1/x", b"{}")
    with pytest.raises(http.client.IncompleteRead) as cut:
        connection.getresponse().read()
    connection.close()
    assert cut.value.partial == b"data: a\n\n"


def test_a_cut_without_framing_is_a_reset(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(chunks=((0, b"ab"), (20, b"cd")), state=State.UPSTREAM_CUT))
    with server.connect() as connection:
        connection.sendall(b"POST /v1/x HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
        with pytest.raises(ConnectionResetError):
            read_all(connection)


def test_chunks_come_at_their_times_and_not_before(exchange: Make, serve: Serve) -> None:
    offsets = (40, 40.05, 120, 121, 300)
    server = serve(exchange(chunks=[(at, b"data: x\n\n") for at in offsets]))
    with server.connect() as connection:
        start = time.monotonic()
        connection.sendall(post())
        arrivals: list[float] = []
        while len(arrivals) < len(offsets):
            count = connection.recv(65536).count(b"data: x")
            arrivals += [(time.monotonic() - start) * 1e3] * count
    early = [due - at for at, due in zip(arrivals, offsets, strict=True)]
    assert max(early) < 1, "a chunk came before its time"
    assert arrivals[1] - arrivals[0] < 20, "a gap of 0.05 ms was not kept near zero"


WITHOUT_UVLOOP = "import sys; sys.modules['uvloop'] = None; from harness.cli.app import main; main()"


def test_where_uvloop_is_missing_the_stock_loop_serves_alike(
    exchange: Make, recording: Callable[..., Path]
) -> None:
    path = recording(exchange(b"1", ((0, b"one"), (50, b"two"))), exchange(b"2", ((0, b"x" * 1_000_000),)))
    with Child([sys.executable, "-c", WITHOUT_UVLOOP, "replay", str(path), "--port", "0"]) as child:
        host, _, port = child.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(post(b"1") + post(b"2", close=True))
            answer = read_all(connection)
    assert body_of(answer).startswith(chunked(b"one", b"two"))
    assert answer.count(b"x") >= 1_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps what comes in")
def test_a_request_that_waits_for_the_server_is_answered_at_its_times(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(chunks=((1000, b"hello"),)))
    with server.connect() as connection:
        connection.sendall(post(path="/__admin/health"))
        connection.recv(65536)
        os.kill(server.child.process.pid, signal.SIGSTOP)
        try:
            start = time.monotonic()
            connection.sendall(post())
            threading.Event().wait(0.9)
        finally:
            os.kill(server.child.process.pid, signal.SIGCONT)
        got = b""
        while b"hello" not in got:
            got += connection.recv(65536)
        assert 0.99 < time.monotonic() - start < 1.7


@pytest.mark.parametrize(
    ("options", "least", "most"), [(("--speed", "0"), 0, 1.5), (("--speed", "10"), 0.2, 1.7), ((), 2, 9)]
)
def test_speed_scales_all_times(
    options: tuple[str, ...], least: float, most: float, exchange: Make, serve: Serve
) -> None:
    server = serve(exchange(chunks=((1000, b"a"), (2000, b"b"))), options=options)
    start = time.monotonic()
    server.send(post(close=True))
    assert least <= time.monotonic() - start < most


def test_connection_setup_counts_only_when_kept(exchange: Make, serve: Serve) -> None:
    recorded = exchange(chunks=((900, b"a"),), connect_ms=900)
    took = []
    for server in (serve(recorded), serve(recorded, options=("--keep-connect",))):
        start = time.monotonic()
        server.send(post(close=True))
        took.append(time.monotonic() - start)
    assert took[0] < 0.9 <= took[1]


def test_a_slow_reader_gets_everything_and_costs_no_memory(exchange: Make, serve: Serve) -> None:
    piece = b"x" * 1_000_000
    server = serve(exchange(chunks=[(0, piece)] * 60))
    with server.connect() as slow:
        slow.sendall(post(close=True))
        before = resident_kib(server.child.process.pid)
        assert server.send(post(close=True)).count(b"x" * 1000) == 60_000, "others are served meanwhile"
        assert resident_kib(server.child.process.pid) - before < 20_000
        got = read_all(slow)
    assert got.count(piece) == 60
    assert server.stop()[1]["answered"] == 2


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_a_client_that_leaves_does_not_disturb_the_others(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(b"1", [(at * 10, b"x") for at in range(50)]), exchange(b"2"))
    for _ in range(5):
        with server.connect() as connection:
            connection.sendall(post(b"1"))
            connection.recv(10)
    assert body_of(server.send(post(b"2", close=True))) == chunked(b"hello")
    assert server.stop()[0] == 0


def test_header_chooses_an_exchange_by_its_id(exchange: Make, serve: Serve) -> None:
    server = serve(*(exchange(b"same", ((0, text),)) for text in (b"one", b"two")))
    chosen = server.send(post(b"other", headers=b"X-Harness-Exchange: 2\r\n", close=True))
    assert body_of(chosen) == chunked(b"two")
    assert server.send(post(headers=b"X-Harness-Exchange: 9\r\n", close=True)).startswith(b"HTTP/1.1 404")


def test_admin_pages_tell_what_happened(exchange: Make, serve: Serve) -> None:
    server = serve(exchange(b"1"), exchange(b"2"), options=("--keep-requests", "1"))
    server.send(post(b"1", close=True))
    server.send(post(b"3", headers=b"Authorization: Bearer abc\r\n", close=True))

    def page(name: str) -> bytes:
        answer = server.send(b"GET /__admin/%b HTTP/1.1\r\nHost: h\r\n" % name.encode() + LAST)
        return body_of(answer)

    health = admin.Health.model_validate_json(page("health"))
    assert health == admin.Health(version=__version__, exchanges=2, speed=1.0)
    timing = admin.Timing.model_validate_json(page("timing"))
    assert (timing.writes >= 1, timing.held_by_slow_readers) == (True, 0)
    [missed] = admin.Unmatched.model_validate_json(page("unmatched")).misses
    assert (missed.request, missed.nearest[0].exchange) == ("POST /v1/x", "1")
    assert [different.requested for different in missed.nearest[0].differences] == ['"3"']
    [received] = admin.Received.model_validate_json(page("received")).requests
    assert (received.request["method"], received.request["body"]) == ("POST", "3")
    assert ["Authorization", "Bearer [redacted]"] in received.request["headers"]
    assert received.t0_ns > 0
    unused = admin.Unused.model_validate_json(page("unused"))
    assert unused.exchanges == (admin.UnusedExchange(id="2", request="POST /v1/x"),)
    assert admin.Invalid.model_validate_json(page("invalid")) == admin.Invalid(count=0, requests=())
    assert "/__admin/timing" in json.loads(page("nothing"))["error"]["message"]


def test_several_recordings_are_one_library(
    exchange: Make, serve: Serve, recording: Callable[..., Path]
) -> None:
    one = recording(exchange(b"1", ((0, b"one"),)), name="one.jsonl")
    two = recording(exchange(b"2", ((0, b"two"),)), name="two.jsonl")
    server = serve(one, two)
    assert body_of(server.send(post(b"2", close=True))) == chunked(b"two")
    chosen = post(b"", headers=b"X-Harness-Exchange: one.jsonl:1\r\n", close=True)
    assert body_of(server.send(chosen)) == chunked(b"one")


def test_secrets_in_a_request_do_not_keep_it_from_matching(exchange: Make, serve: Serve) -> None:
    recorded = exchange(b'{"note":"my key is sk-proj-' + b"a" * 48 + b'"}', path="/v1/x?key=AIza" + "b" * 35)
    server = serve(recorded)
    body = b'{"note":"my key is sk-proj-' + b"z" * 48 + b'"}'
    assert server.send(post(body, path="/v1/x?key=AIza" + "c" * 35, close=True)).startswith(b"HTTP/1.1 200")
