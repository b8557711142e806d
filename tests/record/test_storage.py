"""What becomes of traffic that cannot be stored: full disks, locks, files that are gone, killed processes."""

import os
import random
import resource
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from h2.connection import H2Connection

from harness.core.exchange import State
from harness.store.open import open_recording

if TYPE_CHECKING:
    from tests.plugins.wire import Recorder, Upstream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the recorder's processes in /proc")

type Start = Callable[..., "Recorder"]
type Wait = Callable[[Callable[[], object], str], None]

BIG = b"x" * 3_000_000
SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
UNLIMITED = resource.RLIM_INFINITY

FAILING_RULE = """
import sys
if "harness.record.writer" in sys.orig_argv:
    from harness.core.redaction import Redactor
    correct = Redactor._text
    def failing(self, text, tally):
        if "/fails" in text:
            raise RuntimeError("a secret")
        return correct(self, text, tally)
    Redactor._text = failing
"""


def ask(recorder: "Recorder", path: str) -> bytes:
    """The answer to a request on a connection of its own; empty where it is refused."""
    try:
        with recorder.client() as client:
            client.send("GET", path, b"", "Connection: close")
            return client.read_all()
    except ConnectionError:
        return b""


def paths(db: Path) -> list[str]:
    with open_recording(db) as recording:
        return [exchange.request.path for exchange in recording.exchanges()]


def test_traffic_passes_whatever_fails_and_is_counted(
    start_recorder: Start, upstream: "Upstream", wait_until: Wait, tmp_path: Path
) -> None:
    """One recorder through all of it; each failure is said at once, and the next exchange is tried again."""
    (tmp_path / "sitecustomize.py").write_text(FAILING_RULE)
    for path in ("/a", "/locked", "/fails", "/b", "/c", "/d"):
        upstream.on(path, SMALL)
    upstream.on("/big", upstream.head(200, f"Content-Length: {len(BIG)}"), BIG)
    arguments = ("--upstream", upstream.url, "--on-storage-failure", "pass")
    recorder = start_recorder(*arguments, env={"PYTHONPATH": str(tmp_path)}).listen()
    writer = recorder.children()["writer"]

    def says(text: str) -> None:
        wait_until(lambda: text in recorder.errors(), f"not said: {text}\n{recorder.errors()}")

    def passes(path: str) -> None:
        assert ask(recorder, path).startswith(b"HTTP/1.1 200 ")

    passes("/a")
    recorder.exchange("/a")
    resource.prlimit(writer, resource.RLIMIT_FSIZE, (1_000_000, UNLIMITED))
    passes("/big")
    says(f"NOT RECORDED: GET /big: {recorder.db} cannot be written")
    resource.prlimit(writer, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
    with closing(sqlite3.connect(recorder.db, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        passes("/locked")
        says("is in use by another program: close that first, or record to another file; waiting for 9 s")
    says("storing again; 1 exchange could not be stored")
    passes("/fails")
    says("NOT RECORDED: an exchange with default: masking or deriving fails: RuntimeError at ")
    passes("/b")
    recorder.exchange("/b")
    recorder.db.unlink()
    kept = recorder.db.with_name("recording.rescued-1.db")
    says(f"was removed or replaced while it was written: what was recorded is in {kept}")
    passes("/c")
    wait_until(lambda: paths(kept) == ["/a", "/locked", "/b", "/c"], "the new file lacks something")
    os.kill(writer, signal.SIGKILL)
    says("NOT RECORDED: the writer is gone: traffic passes unrecorded")
    passes("/d")
    assert recorder.stop() == 4
    assert paths(kept) == ["/a", "/locked", "/b", "/c"]
    assert f"recorded 4 exchanges in {kept}: 4 complete" in recorder.errors()
    assert recorder.errors().endswith("; 3 exchanges could not be recorded\n")
    assert "a secret" not in recorder.errors()
    assert "/fails" not in recorder.errors()


def test_what_was_lost_is_told_at_the_end(
    start_recorder: Start, upstream: "Upstream", wait_until: Wait
) -> None:
    upstream.on("/small", SMALL)
    upstream.on("/big", upstream.head(200, f"Content-Length: {len(BIG)}"), BIG)
    recorder = start_recorder("--upstream", upstream.url, "--on-storage-failure", "pass").listen()
    writer = recorder.children()["writer"]
    resource.prlimit(writer, resource.RLIMIT_FSIZE, (1_000_000, UNLIMITED))
    for path in ("/big", "/small", "/big"):
        assert ask(recorder, path).startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: recorder.errors().count("NOT RECORDED: GET /big") == 2, "not both were told")
    resource.prlimit(writer, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
    replaced = recorder.db.with_name("other.db")
    replaced.write_bytes(b"somebody's")
    replaced.rename(recorder.db)
    assert recorder.stop() == 4
    kept = recorder.db.with_name("recording.rescued-1.db")
    *before, error = recorder.errors().splitlines()
    assert f"harness record: recorded 1 exchange in {kept}: 1 complete" in before
    assert error.endswith("; 2 exchanges could not be recorded")
    assert error.count("cannot be written") == 1
    assert paths(kept) == ["/small"]
    assert recorder.db.read_bytes() == b"somebody's"
    assert sorted(path.name for path in recorder.db.parent.iterdir()) == [
        "recording.db",
        "recording.rescued-1.db",
        "stderr.txt",
    ]


def test_a_queue_over_its_bound_refuses_traffic_and_stores_what_was_finished(
    start_recorder: Start, upstream: "Upstream", wait_until: Wait
) -> None:
    huge = BIG * 7  # more than the kernel takes as well
    stream = upstream.head(200, "Content-Type: text/event-stream")
    upstream.on("/huge", upstream.head(200, f"Content-Length: {len(huge)}"), huge)
    upstream.on("/waits", upstream.HOLD)
    upstream.on("/waits-too", upstream.HOLD)
    upstream.on("/streams", stream, upstream.chunk(b"data: 1\n\n"), upstream.HOLD)
    recorder = start_recorder("--upstream", upstream.url, "--max-queue", "1MiB").listen()
    writer = recorder.children()["writer"]
    with (
        recorder.client() as waiting,
        recorder.client() as streaming,
        asking_in_http2(recorder, "/waits-too") as speaks_http2,
    ):
        waiting.send("GET", "/waits")
        asked = {"/waits", "/waits-too"}
        wait_until(lambda: asked <= {one.path for one in upstream.requests}, "not all was asked")
        streaming.send("GET", "/streams")
        streaming.read_until(b"data: 1\n\n\r\n")
        os.kill(writer, signal.SIGSTOP)
        assert ask(recorder, "/huge").endswith(huge)
        answer = waiting.read_all()
        assert streaming.read_all() == b""  # and no end of the chunks
        assert b"HTTP/1.1" not in rest_of(speaks_http2)
        wait_until(lambda: "which is too slow: stopping" in recorder.errors(), "nothing was said")
        os.kill(writer, signal.SIGCONT)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"it cannot record: more than 1 MiB wait for the writer" in answer
    assert recorder.wait() == 4
    states = {exchange.request.path: exchange.state for exchange in recorder.exchanges()}
    assert states == {
        "/huge": State.COMPLETE,
        "/waits": State.INTERRUPTED,
        "/waits-too": State.INTERRUPTED,
        "/streams": State.INTERRUPTED,
    }


class Upload(threading.Thread):
    """Sends a body; `answer` is what came then."""

    def __init__(self, recorder: "Recorder", body: bytes) -> None:
        super().__init__(daemon=True)
        self.recorder = recorder
        self.body = body
        self.answer = b""
        self.start()

    def run(self) -> None:
        with suppress(ConnectionError), self.recorder.client() as client:
            client.send("POST", "/upload", self.body, "Connection: close")
            self.answer = client.read_all()


def test_uploads_wait_for_a_slow_writer_and_nothing_else_does(
    start_recorder: Start, upstream: "Upstream"
) -> None:
    """They are more than may wait; without that the recorder would stop."""
    more = threading.Event()
    head, first, last = upstream.head(200, "Content-Type: text/event-stream"), b"data: 1\n\n", b"data: 2\n\n"
    upstream.on("/streams", head, upstream.chunk(first), more, upstream.chunk(last), upstream.LAST)
    upstream.on("/small", SMALL)
    upstream.on("/upload", SMALL)
    recorder = start_recorder("--upstream", upstream.url, "--max-queue", "8MiB").listen()
    writer = recorder.children()["writer"]
    with recorder.client() as streaming:
        streaming.send("GET", "/streams")
        streaming.read_until(first + b"\r\n")
        os.kill(writer, signal.SIGSTOP)
        uploads = [Upload(recorder, bytes([number]) * 10_000_000) for number in range(3)]
        for upload in uploads:
            upload.join(0.3)
        assert [upload.answer for upload in uploads] == [b"", b"", b""]
        assert ask(recorder, "/small").endswith(b"{}")
        more.set()
        assert streaming.read_until(upstream.LAST).endswith(upstream.chunk(last) + upstream.LAST)
        os.kill(writer, signal.SIGCONT)
        for upload in uploads:
            upload.join(20)
    assert {upload.answer for upload in uploads} == {SMALL}
    assert recorder.stop() == 0, recorder.errors()
    found = [exchange for exchange in recorder.exchanges() if exchange.request.path == "/upload"]
    assert sorted(exchange.request.body for exchange in found) == [upload.body for upload in uploads]
    assert {exchange.state for exchange in found} == {State.COMPLETE}
    assert len(recorder.exchanges()) == 5


def asking_in_http2(recorder: "Recorder", path: str) -> socket.socket:
    """A connection on which a request was sent in HTTP/2 without TLS."""
    opened, protocol = socket.create_connection(("127.0.0.1", recorder.port), 20), H2Connection()
    protocol.initiate_connection()
    asked = {":method": "GET", ":path": path, ":scheme": "http", ":authority": "127.0.0.1"}
    protocol.send_headers(1, list(asked.items()), end_stream=True)
    opened.sendall(protocol.data_to_send())
    return opened


def rest_of(opened: socket.socket) -> bytes:
    """All that comes on a connection until it is closed or broken."""
    data = b""
    with suppress(ConnectionResetError):
        while more := opened.recv(65536):
            data += more
    return data


class Traffic(threading.Thread):
    """Asks for one path after another until nobody answers; `done` are (path, time of its end)."""

    def __init__(self, recorder: "Recorder") -> None:
        super().__init__(daemon=True)
        self.recorder = recorder
        self.done: list[tuple[str, float]] = []
        self.start()

    def run(self) -> None:
        number = 0
        while ask(self.recorder, f"/small?{number}").endswith(b"{}"):
            self.done.append((f"/small?{number}", time.monotonic()))
            number += 1


@pytest.mark.parametrize(
    "victims", [("writer",), ("proxy",), ("proxy", "writer", "supervisor")], ids="+".join
)
def test_a_kill_at_any_moment_leaves_what_was_finished_a_second_before(
    victims: tuple[str, ...], start_recorder: Start, upstream: "Upstream"
) -> None:
    for number in range(3000):
        upstream.on(f"/small?{number}", SMALL)
    recorder = start_recorder("--upstream", upstream.url, "--quiet").listen()
    pids = recorder.children() | {"supervisor": recorder.process.pid}
    traffic = Traffic(recorder)
    threading.Event().wait(1.2 + random.random())  # any moment
    killed = time.monotonic()
    for victim in victims:
        os.kill(pids[victim], signal.SIGKILL)
    recorder.wait()
    traffic.join(20)
    due = {path for path, end in traffic.done if end < killed - 1}
    assert due
    assert due <= set(paths(recorder.db))


def test_two_recorders_append_to_one_file(
    start_recorder: Start, upstream: "Upstream", tmp_path: Path
) -> None:
    db = tmp_path / "both.db"
    for number in range(3000):
        upstream.on(f"/small?{number}", SMALL)
    arguments = ("--upstream", upstream.url, "--quiet", "--db", str(db))
    recorders = [start_recorder(*arguments) for _ in range(2)]
    traffic = [Traffic(recorder.listen()) for recorder in recorders]
    threading.Event().wait(0.5)
    for recorder in recorders:
        recorder.process.send_signal(signal.SIGINT)
    assert [recorder.wait() for recorder in recorders] == [0, 0]
    for thread in traffic:
        thread.join(20)
    with open_recording(db) as recording:
        found = Counter((exchange.capture, exchange.request.path) for exchange in recording.exchanges())
    assert set(found.values()) == {1}
    assert {capture for capture, _ in found} == {1, 2}
    for thread in traffic:
        assert any({p for p, _ in thread.done} <= {p for c, p in found if c == capture} for capture in (1, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["both.db"]
