"""The replay server in a thread: it serves, tells of misses, and leaves nothing behind."""

import asyncio
import gc
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.core.exchange import Exchange
from harness.core.miss import Miss
from harness.replay.embedded import Embedded
from harness.replay.server import load
from harness.replay.service import Settings

type Make = Callable[..., Exchange]
type Write = Callable[..., Path]


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as answer:
        data: bytes = answer.read()
    return data


def test_it_serves_until_it_is_stopped(
    exchange: Make, recording: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    path = recording(exchange(b"", method="GET", path="/v1/a"), exchange(b"", method="GET", path="/v1/b"))
    before = threading.active_count(), signal.getsignal(signal.SIGINT), gc.get_freeze_count()
    misses: list[Miss] = []
    server = Embedded(load([path], keep_connect=False), Settings(speed=0), misses.append)
    url = server.start()
    assert get(f"{url}/v1/a") == b"hello"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{url}/v1/c")
    assert [miss.request.path for miss in misses] == ["/v1/c"]
    outcome = server.stop()
    assert (outcome.answered, outcome.missed, outcome.unused) == (1, 1, ("2 GET /v1/b",))
    assert (threading.active_count(), signal.getsignal(signal.SIGINT), gc.get_freeze_count()) == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5)
    assert capfd.readouterr() == ("", "")


def test_what_is_under_way_is_broken_off(exchange: Make, recording: Write) -> None:
    path = recording(exchange(b"", method="GET", path="/v1/a", chunks=((0, b"first"), (600_000, b"never"))))
    with Embedded(load([path], keep_connect=False), Settings(), lambda _: None) as server:
        port = int(server.ready.result().rpartition(":")[2])
        connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        connection.sendall(b"GET /v1/a HTTP/1.1\r\nHost: a\r\n\r\n")
        data = b""
        while b"first" not in data:
            data += connection.recv(1000)
    with connection, suppress(ConnectionError):
        data += connection.recv(1000)
    assert b"never" not in data


def test_a_port_that_is_taken_is_told_where_it_was_asked_for(exchange: Make, recording: Write) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(port=taken.getsockname()[1])
        server = Embedded(load([recording(exchange())], keep_connect=False), settings, lambda _: None)
        with pytest.raises(BadInput, match="cannot listen"):
            server.start()
    server.thread.join(20)
    assert not server.thread.is_alive()


def test_it_works_beside_a_loop_that_runs(exchange: Make, recording: Write) -> None:
    library = load([recording(exchange(b"", method="GET", path="/v1/a"))], keep_connect=False)

    async def ask() -> bytes:
        with Embedded(library, Settings(speed=0), lambda _: None) as server:
            return await asyncio.to_thread(get, f"{server.ready.result()}/v1/a")

    assert asyncio.run(ask()) == b"hello"
