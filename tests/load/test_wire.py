"""The wire: real answers on real sockets, in every way in which they can end."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from harness.load.journal import Ending, pieces_of
from harness.load.plan import Call
from harness.load.route import Route
from harness.load.wire import Answer, Client, Connection, Kept, LoopReader, Stamping

EVENT = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'


class Asker:
    """A client and its kept connections; `ask(path)` is one request."""

    def __init__(self, url: str, stamping: Stamping | None, **limits: Any) -> None:
        self.route = Route.to(url)
        limits = {"timeout_s": 5.0, "stall_s": None, **limits}
        self.client = Client(self.route, LoopReader(), stamping, **limits)
        self.kept = Kept()
        self.sent = 0

    def ask(self, path: str, **call: Any) -> Answer:
        answer = Answer(is_head=call.get("method") == "HEAD")
        request = b"".join(self.route.request(Call(path=path, body=call.pop("body", "{}"), **call), {}))
        self.client.ask(answer, request, self.kept, self.count)
        return answer

    def count(self) -> None:
        self.sent += 1


@pytest.fixture(scope="module")
def stamping() -> Iterator[Stamping]:
    stamping = Stamping()
    yield stamping
    stamping.close()


@pytest.fixture
def make_asker(stamping: Stamping) -> Iterator[Callable[..., Asker]]:
    """Askers that use the kernel's stamps, unless told otherwise."""
    made: list[Asker] = []

    def make(url: str, stamps: Stamping | None = stamping, **limits: Any) -> Asker:
        made.append(Asker(url, stamps, **limits))
        return made[-1]

    yield make
    for asker in made:
        asker.kept.close()


@pytest.fixture
def asker(upstream: Any, make_asker: Callable[..., Asker]) -> Asker:
    return make_asker(upstream.url)


def body(answer: Answer) -> bytes:
    head, blob = answer.frame(0)
    return b"".join(data for _, data in pieces_of(blob, head.pieces))


def test_a_chunked_answer_is_done_and_its_connection_kept(upstream: Any, asker: Asker) -> None:
    upstream.on(
        "/chunked", upstream.head(200, "X-A: b"), upstream.chunk(EVENT), upstream.chunk(EVENT), upstream.LAST
    )
    first, second = asker.ask("/chunked"), asker.ask("/chunked")
    assert (first.ending, body(first), body(second)) == (Ending.DONE, EVENT * 2, EVENT * 2)
    assert (b"X-A", b"b") in first.headers
    assert first.connect_ns > 0
    assert second.connect_ns == 0
    assert asker.sent == 2
    assert len(asker.kept.idle) == 1


def test_a_body_of_a_length(upstream: Any, asker: Asker) -> None:
    upstream.on("/length", upstream.head(429, "Content-Length: 5"), b"he", b"llo")
    answer = asker.ask("/length")
    assert (answer.status, answer.ending, body(answer), len(asker.kept.idle)) == (
        429,
        Ending.DONE,
        b"hello",
        1,
    )


def test_a_body_that_ends_with_the_connection(upstream: Any, asker: Asker) -> None:
    upstream.on("/close", upstream.head(200, "Connection: close"), EVENT, upstream.CLOSE)
    answer = asker.ask("/close")
    assert (answer.ending, body(answer), asker.kept.idle) == (Ending.CLOSED, EVENT, [])
    assert answer.end_ns == answer.last_ns


@pytest.mark.parametrize("path", ["/cut", "/reset"])
def test_an_answer_that_breaks_off(upstream: Any, asker: Asker, path: str) -> None:
    last = {"/cut": upstream.CLOSE, "/reset": upstream.RESET}[path]
    gate = threading.Event()
    upstream.on(path, upstream.head(200), upstream.chunk(EVENT), gate, last)
    threading.Timer(0.1, gate.set).start()
    answer = asker.ask(path)
    assert (answer.ending, body(answer)) == ({"/cut": Ending.CUT, "/reset": Ending.RESET}[path], EVENT)
    assert answer.end_ns - answer.last_ns > 50_000_000
    assert asker.kept.idle == []


def test_nothing_but_a_close(upstream: Any, asker: Asker) -> None:
    upstream.on("/nothing", upstream.CLOSE)
    answer = asker.ask("/nothing")
    assert (answer.status, answer.ending, answer.first_ns) == (None, Ending.CUT, None)
    assert asker.sent == 1


def test_what_is_no_http(upstream: Any, asker: Asker) -> None:
    upstream.on("/smtp", b"220 mail.test ESMTP\r\n", upstream.HOLD)
    answer = asker.ask("/smtp")
    assert (answer.ending, answer.error, asker.kept.idle) == (Ending.PROTOCOL, "no HTTP/1.1 answer", [])


def test_interim_answers_are_passed_over(upstream: Any, asker: Asker) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    upstream.on("/hints", interim, upstream.head(200, "Content-Length: 2"), b"ok")
    answer = asker.ask("/hints")
    assert (answer.status, body(answer), answer.ending) == (200, b"ok", Ending.DONE)
    assert answer.headers == [(b"Content-Length", b"2")]


def test_head_has_no_body(upstream: Any, asker: Asker) -> None:
    upstream.on("/head", upstream.head(200, "Content-Length: 50"))
    assert asker.ask("/head", method="HEAD", body="").ending is Ending.DONE


def test_bytes_after_the_answer_end_the_connection(upstream: Any, asker: Asker) -> None:
    upstream.on("/more", upstream.head(200, "Content-Length: 2") + b"ok and more")
    answer = asker.ask("/more")
    assert (answer.ending, body(answer), asker.kept.idle) == (Ending.DONE, b"ok", [])


def test_the_terminator_of_the_protocol_is_not_the_end_of_the_message(upstream: Any, asker: Asker) -> None:
    gate = threading.Event()
    done = upstream.chunk(b"data: [DONE]\n\n")
    upstream.on("/done", upstream.head(200), upstream.chunk(EVENT), done, gate, upstream.LAST)
    threading.Timer(0.1, gate.set).start()
    answer = asker.ask("/done")
    assert answer.ending is Ending.DONE
    assert len(asker.kept.idle) == 1


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced(
    upstream: Any, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.on("/ok", upstream.head(200, "Content-Length: 2"), b"ok")
    asker.ask("/ok")
    monkeypatch.setattr(Connection, "is_alive", lambda _: True)  # as when it is closed right after the look
    upstream.connections[-1].shutdown(socket.SHUT_RDWR)
    answer = asker.ask("/ok")
    assert (answer.status, answer.retried, asker.sent) == (200, True, 2)
    assert answer.connect_ns > 0


def test_a_kept_connection_that_is_seen_closed_is_not_even_tried(upstream: Any, asker: Asker) -> None:
    upstream.on("/ok", upstream.head(200, "Content-Length: 2"), b"ok")
    asker.ask("/ok")
    upstream.connections[-1].shutdown(socket.SHUT_RDWR)
    time.sleep(0.05)  # noqa: TID251  for the close to arrive
    answer = asker.ask("/ok")
    assert (answer.status, answer.retried) == (200, False)


def test_a_request_that_broke_off_is_not_sent_twice(upstream: Any, asker: Asker) -> None:
    upstream.on("/ok", upstream.head(200, "Content-Length: 2"), b"ok")
    upstream.on("/half", upstream.head(200), upstream.chunk(EVENT), upstream.RESET)
    asker.ask("/ok")
    before = len(upstream.requests)
    answer = asker.ask("/half")
    assert (answer.retried, len(upstream.requests) - before) == (False, 1)


def test_a_request_that_the_server_held_before_it_broke_is_not_sent_again(
    upstream: Any, asker: Asker
) -> None:
    upstream.on("/ok", upstream.head(200, "Content-Length: 2"), b"ok")
    gate = threading.Event()
    upstream.on("/held", gate, upstream.RESET)
    asker.ask("/ok")
    before = len(upstream.requests)
    threading.Timer(1.2, gate.set).start()
    answer = asker.ask("/held")
    assert (answer.ending, answer.retried, len(upstream.requests) - before) == (Ending.RESET, False, 1)


def test_the_deadline(upstream: Any, make_asker: Callable[..., Asker]) -> None:
    asker = make_asker(upstream.url, timeout_s=0.3)
    upstream.on("/slow", upstream.head(200), upstream.chunk(EVENT), upstream.HOLD)
    answer = asker.ask("/slow")
    assert (answer.ending, answer.error, body(answer)) == (Ending.TIMEOUT, "timeout", EVENT)
    assert 0.25e9 < answer.end_ns - answer.sent_ns < 2e9


def test_silence(upstream: Any, make_asker: Callable[..., Asker]) -> None:
    asker = make_asker(upstream.url, stall_s=0.2)
    upstream.on("/silent", upstream.head(200), upstream.chunk(EVENT), upstream.HOLD)
    answer = asker.ask("/silent")
    assert (answer.ending, answer.error) == (Ending.STALL, "silence")
    assert answer.end_ns - answer.last_ns > 150_000_000


def test_what_waits_to_be_read_is_no_silence() -> None:
    near, far = socket.socketpair()
    with near, far:
        far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        answer, now_ns = Answer(), time.monotonic_ns()
        answer.begin(now_ns - 1_000_000_000, now_ns + 9_000_000_000, 500_000_000)
        LoopReader().read(Connection(near, None), answer)
    assert answer.ending is Ending.DONE


def test_nobody_listens(make_asker: Callable[..., Asker]) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    asker = make_asker(f"http://127.0.0.1:{port}")
    answer = asker.ask("/")
    assert (answer.ending, answer.error, answer.status) == (Ending.REFUSED, "connection refused", None)
    assert asker.sent == 1


def test_stamps_are_those_of_the_arrival_not_of_the_reading(
    upstream: Any, make_asker: Callable[..., Asker]
) -> None:
    upstream.on("/late", upstream.head(200), upstream.chunk(EVENT), upstream.LAST)
    asker = make_asker(upstream.url)

    class Sleeper:
        def read(self, connection: Any, answer: Answer) -> None:
            time.sleep(0.3)  # noqa: TID251  the reader's own lag
            LoopReader().read(connection, answer)

    asker.client.reader = Sleeper()
    answer = asker.ask("/late")
    head, _ = answer.frame(0)
    if head.stamps == "reader":
        pytest.skip("this machine does not stamp packets")
    assert answer.end_ns - answer.sent_ns < 250_000_000
    assert head.stamp_error_ns < 1_000_000


def test_without_kernel_stamps_the_reader_stamps(upstream: Any, make_asker: Callable[..., Asker]) -> None:
    upstream.on("/ok", upstream.head(200, "Content-Length: 2"), b"ok")
    answer = make_asker(upstream.url, None).ask("/ok")
    assert answer.frame(0)[0].stamps == "reader"
    assert answer.sent_ns < answer.end_ns <= time.monotonic_ns()


def test_reads_are_pieces(upstream: Any, asker: Asker) -> None:
    gate = threading.Event()
    chunks = upstream.chunk(EVENT) + upstream.chunk(EVENT)
    upstream.on("/pieces", upstream.head(200) + chunks, gate, upstream.chunk(EVENT) + upstream.LAST)
    threading.Timer(0.1, gate.set).start()
    head, blob = asker.ask("/pieces").frame(0)
    pieces = pieces_of(blob, head.pieces)
    assert [data for _, data in pieces] == [EVENT * 2, EVENT]
    assert pieces[1][0] - pieces[0][0] > 50_000_000


@contextmanager
def reading_slowly() -> Iterator[str]:
    """A server that lets a large request wait, then answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                time.sleep(0.3)  # noqa: TID251  the server's own lag
                received = b""
                while not received.endswith(b"!"):
                    received += connection.recv(1 << 20)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    thread.join()


def test_a_request_counts_from_its_last_byte(make_asker: Callable[..., Asker]) -> None:
    with reading_slowly() as url:
        start_ns = time.monotonic_ns()
        answer = make_asker(url).ask("/", body="x" * 16_000_000 + "!")
    assert answer.ending is Ending.DONE
    assert answer.sent_ns - start_ns > 200_000_000
