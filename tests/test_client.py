"""The accurate client against real sockets that behave in every way."""

import gc
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from harness.client import Conversation, Table, begin, converse

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
Server = Callable[[Callable[[socket.socket], None]], int]


@pytest.fixture
def server() -> Iterator[Server]:
    """Accepts connections, reads a request from each, and hands it to a function of the test."""
    with ExitStack() as stack:

        def start(behave: Callable[[socket.socket], None]) -> int:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listener.settimeout(10)

            def life() -> None:
                while True:
                    try:
                        connection, _ = listener.accept()
                    except OSError:
                        return
                    with connection:
                        connection.recv(65536)
                        behave(connection)

            thread = threading.Thread(target=life)
            thread.start()
            stack.callback(thread.join)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            return int(listener.getsockname()[1])

        yield start


def ask(port: int, request: bytes = REQUEST, limit_s: float = 5) -> Conversation:
    conversation = Conversation(1, request, round(limit_s * 1e9))
    ended: list[Conversation] = []
    converse("127.0.0.1", port, [conversation], 1, ended.append)
    assert ended == [conversation]
    return conversation


def test_pieces_carry_the_times_of_their_reads(server: Server) -> None:
    pause = threading.Event()

    def slowly(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"abc")
        pause.wait(0.1)
        connection.sendall(b"def")

    got = ask(server(slowly))
    assert [data for _, data in got.pieces] == [b"abc", b"def"]
    assert (got.status, got.complete, got.failure) == (200, True, None)
    assert got.pieces[1][0] - got.pieces[0][0] > 50_000_000
    assert got.pieces[0][0] >= got.sent_ns


ANSWERS = {
    "whole": (HEAD + b"abcdef", 200, True, None),
    "cut": (HEAD + b"abc", 200, False, None),
    "nothing": (b"", 0, False, None),
    "until close": (b"HTTP/1.1 200 OK\r\n\r\nabc", 200, True, None),
    "no HTTP": (b"hello\r\n\r\n", 0, False, "not an HTTP response"),
}


@pytest.mark.parametrize(("answer", "status", "complete", "failure"), ANSWERS.values(), ids=ANSWERS)
def test_every_end_is_told(
    answer: bytes, status: int, complete: bool, failure: str | None, server: Server
) -> None:
    got = ask(server(lambda connection: connection.sendall(answer)))
    assert (got.status, got.complete) == (status, complete)
    assert (got.failure or "").startswith(failure or "")
    assert bool(got.failure) is bool(failure)


def test_answer_to_head_ends_with_the_head(server: Server) -> None:
    def keep_open(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        connection.recv(1)

    assert ask(server(keep_open), b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").complete


def test_what_does_not_end_is_given_up(server: Server) -> None:
    def say_nothing(connection: socket.socket) -> None:
        connection.recv(1)

    got = ask(server(say_nothing), limit_s=0.2)
    assert got.failure == "it did not end in its time"


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert (ask(unused.getsockname()[1]).failure or "").startswith("no connection")


def test_at_most_so_many_at_once(server: Server) -> None:
    port = server(lambda connection: connection.sendall(HEAD + b"abcdef"))
    many = [Conversation(number, REQUEST, 5_000_000_000) for number in range(20)]
    ended: list[int] = []
    converse("127.0.0.1", port, many, 3, lambda conversation: ended.append(conversation.key))
    assert sorted(ended) == list(range(20))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps what comes in")
def test_a_client_that_reads_late_does_not_make_the_server_late_and_says_so(server: Server) -> None:
    sent_ns: list[int] = []

    def answer(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"abcdef")
        sent_ns.append(time.monotonic_ns())

    conversation, table = Conversation(1, REQUEST, 5_000_000_000), Table()
    connection = begin("127.0.0.1", server(answer), conversation)
    assert connection is not None
    table.seat(connection, conversation)
    threading.Event().wait(0.5)
    assert list(table.listen(1000)) == [conversation]
    late_ns = time.monotonic_ns() - sent_ns[0]
    assert conversation.pieces[0][0] < sent_ns[0] + late_ns // 2
    assert max(conversation.lags_ns) > late_ns // 2


def test_python_is_left_as_it_was(server: Server) -> None:
    interval_s = sys.getswitchinterval()
    ask(server(lambda connection: connection.sendall(HEAD + b"abcdef")))
    assert (sys.getswitchinterval(), gc.isenabled()) == (interval_s, True)
