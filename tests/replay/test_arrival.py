"""When a request came in that is read late."""

import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from harness.kernel_stamps import enable
from harness.replay.arrival import READ_BYTES, Arrival

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps what comes in")


def pause() -> None:
    threading.Event().wait(0.3)


@pytest.fixture
def sides() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's socket and a server's, whose listener asked for stamps."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        enable(listener)
        pause()
        with socket.create_connection(listener.getsockname(), timeout=10) as client:
            server, _ = listener.accept()
            with server:
                server.setblocking(False)
                yield client, server


@pytest.fixture
def arrival(sides: tuple[socket.socket, socket.socket]) -> Iterator[Arrival]:
    found = Arrival(sides[1].fileno(), sides[1].family)
    yield found
    found.let_go()


@on_linux
def test_what_is_read_late_came_in_before(
    sides: tuple[socket.socket, socket.socket], arrival: Arrival
) -> None:
    client, server = sides
    client.sendall(b"request")
    sent_ns = time.monotonic_ns()
    pause()
    arrival.look()
    assert server.recv(READ_BYTES) == b"request"
    late_ns = time.monotonic_ns() - sent_ns
    assert arrival.of(7) < sent_ns + late_ns // 2


@on_linux
def test_other_bytes_than_were_looked_at_came_in_now(
    sides: tuple[socket.socket, socket.socket], arrival: Arrival
) -> None:
    client, _ = sides
    client.sendall(b"request")
    pause()
    arrival.look()
    now_ns = time.monotonic_ns()
    assert arrival.of(8) >= now_ns


def test_without_bytes_or_stamps_it_is_now(
    sides: tuple[socket.socket, socket.socket], arrival: Arrival
) -> None:
    arrival.look()
    now_ns = time.monotonic_ns()
    assert arrival.of(7) >= now_ns


def test_letting_go_leaves_the_socket_open(
    sides: tuple[socket.socket, socket.socket], arrival: Arrival
) -> None:
    arrival.let_go()
    sides[1].send(b"x")
    assert sides[0].recv(1) == b"x"
