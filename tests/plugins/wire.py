"""Fixtures that speak HTTP byte by byte: an upstream that plays a script, a client, a recorder.

`upstream.on("/path", *steps)` says what the upstream does with requests for that path. A step is

- bytes: sent as they are (`upstream.head(...)`, `upstream.chunk(...)` and `upstream.LAST` make HTTP of them);
- a `threading.Event`: waited for;
- `upstream.CLOSE`: the connection is closed; `upstream.RESET`: it is broken; `upstream.HALF`: our side of
  it is closed;
- `upstream.HOLD`: nothing is done until the client closes (or says something more), which sets
  `upstream.gone` and ends the connection.

After the last step the connection is kept for the next request. All requests are in `upstream.requests`.
"""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest

from harness.core.exchange import Exchange
from harness.store.open import open_recording

LIMIT_S = 40.0
"""Nothing that a test waits for takes longer."""


class Step(Enum):
    """What the upstream does that is no sending."""

    CLOSE = "close"
    HALF = "half"
    RESET = "reset"
    HOLD = "hold"


@dataclass(frozen=True)
class Received:
    """A request as the upstream got it; `head` is in bytes, without the empty line."""

    head: bytes
    body: bytes

    @property
    def path(self) -> str:
        return self.head.split(b" ")[1].decode()


class Upstream:
    """A TCP server that answers with scripts."""

    CLOSE, HALF, RESET, HOLD = Step.CLOSE, Step.HALF, Step.RESET, Step.HOLD
    LAST = b"0\r\n\r\n"

    def __init__(self) -> None:
        self.scripts: dict[str, tuple[bytes | threading.Event | Step, ...]] = {}
        self.requests: list[Received] = []
        self.gone = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.connections: list[socket.socket] = []
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    @staticmethod
    def head(status: int, *headers: str) -> bytes:
        """A response's head; chunked unless a header says something else."""
        lengths = ("content-length", "transfer-encoding", "connection: close")
        framed = any(header.lower().startswith(lengths) for header in headers)
        lines = [f"HTTP/1.1 {status} Reason", *headers, *([] if framed else ["Transfer-Encoding: chunked"])]
        return "\r\n".join([*lines, "", ""]).encode()

    @staticmethod
    def chunk(data: bytes) -> bytes:
        """One HTTP chunk."""
        return b"%x\r\n%s\r\n" % (len(data), data)

    def on(self, path: str, *steps: bytes | threading.Event | Step) -> None:
        self.scripts[path] = steps

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections.append(connection)
                thread = threading.Thread(target=self.serve, args=(connection,), daemon=True)
                self.threads.append(thread)
                thread.start()

    def serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as source:
            while request := received(source.readline, source.read):
                self.requests.append(request)
                for step in self.scripts.get(request.path, (self.head(404, "Content-Length: 0"),)):
                    self.play(connection, step)

    def play(self, connection: socket.socket, step: bytes | threading.Event | Step) -> None:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif isinstance(step, threading.Event):
            assert step.wait(LIMIT_S)
        elif step is Step.HALF:
            connection.shutdown(socket.SHUT_WR)
        elif step is Step.HOLD:
            connection.recv(1)
            self.gone.set()
            raise ConnectionAbortedError
        else:
            if step is Step.RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR) if step is Step.CLOSE else connection.close()
            raise ConnectionAbortedError

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(LIMIT_S)


def received(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> Received | None:
    """The next request on a connection; None at its end."""
    lines = []
    while (line := readline()) not in (b"\r\n", b""):
        lines.append(line)
    if not lines:
        return None
    head = b"".join(lines)
    lengths = [line.partition(b":")[2] for line in lines if line.lower().startswith(b"content-length:")]
    unread = b"\nx-unread:" in head.lower()  # the upstream answers before it has read the body
    return Received(head.rstrip(b"\r\n"), read(int(lengths[0])) if lengths and not unread else b"")


class Client:
    """One connection, byte by byte; a context manager."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)

    def send(self, method: str, path: str, body: bytes = b"", *headers: str) -> None:
        """Send a request; its length is stated if it has a body."""
        length = [f"Content-Length: {len(body)}"] if body else []
        lines = [f"{method} {path} HTTP/1.1", "Host: recorder.test", *headers, *length, "", ""]
        self.socket.sendall("\r\n".join(lines).encode() + body)

    def read_until(self, marker: bytes) -> bytes:
        """All bytes up to and with the marker, or up to the end of the connection."""
        data = b""
        while not data.endswith(marker) and (more := self.socket.recv(1)):
            data += more
        return data

    def read_all(self) -> bytes:
        """All bytes up to the end of the connection, however it ends."""
        data = b""
        with suppress(ConnectionError):
            while more := self.socket.recv(65536):
                data += more
        return data

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Recorder:
    """A `harness record` as a child; `ports` by the names of its upstreams."""

    def __init__(self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.db = folder / "recording.db"
        self.log = folder / "stderr.txt"
        command = [sys.executable, "-m", "harness", "record", "--db", str(self.db), *arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **(env or {})}
            )
        assert self.process.stdout is not None
        self.output = self.process.stdout
        self.ports: dict[str, int] = {}

    def listen(self, count: int = 1) -> "Recorder":
        """Read the lines that say where it listens."""
        for _ in range(count):
            line = self.output.readline()
            assert "listening on http://" in line, line + self.errors()
            self.ports[line.split()[2]] = int(line.rpartition(":")[2])
        return self

    @property
    def port(self) -> int:
        """The port of the only upstream, or of the first."""
        return next(iter(self.ports.values()))

    def client(self, name: str | None = None) -> Client:
        """A connection to the listener of an upstream, or of the first."""
        return Client(self.ports[name] if name else self.port)

    def errors(self) -> str:
        """What it has said on stderr so far."""
        return self.log.read_text()

    def exchanges(self) -> list[Exchange]:
        """All that is stored by now."""
        with open_recording(self.db) as recording:
            return list(recording.exchanges())

    def exchange(self, path: str, count: int = 1) -> Exchange:
        """The latest exchange for this path, as soon as there are so many."""
        found: list[Exchange] = []

        def stored() -> bool:
            found[:] = [exchange for exchange in self.exchanges() if exchange.request.path == path]
            return len(found) >= count

        until(stored, f"{path} was not stored; {self.errors()}")
        return found[-1]

    def children(self) -> dict[str, int]:
        """Pids of the proxy and the writer, by name."""
        names = {}
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
            if found := re.search(r"\0harness\.record\.(\w+)\0", command):
                names[found[1]] = int(pid)
        return names

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """End it; its exit code. What it says on stdout until then is in `rest`."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        self.rest, _ = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.stop()
        self.output.close()


def until(condition: Callable[[], object], message: str) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, message
        threading.Event().wait(0.02)


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], object], str], None]:
    """`wait_until(condition, message)` polls, and fails with the message after a while."""
    return until


@pytest.fixture(scope="session")
def connect() -> Callable[[int], Client]:
    """`connect(port)` is a connection to a port of this machine."""
    return Client


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """A raw upstream for the tests of a module, each on paths of its own."""
    server = Upstream()
    yield server
    server.close()


@pytest.fixture(scope="module")
def other_upstream() -> Iterator[Upstream]:
    """A second one."""
    server = Upstream()
    yield server
    server.close()


@pytest.fixture(scope="module")
def start_recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Recorder]]:
    """`start_recorder("--upstream", URL, ...)` starts `harness record` on free ports; `.listen()` waits."""
    started: list[Recorder] = []

    def start(*arguments: str, env: Mapping[str, str] | None = None) -> Recorder:
        recorder = Recorder(tmp_path_factory.mktemp("record"), "--port", "0", *arguments, env=env)
        started.append(recorder)
        return recorder

    yield start
    for recorder in started:
        recorder.close()


@pytest.fixture(scope="module")
def recorder(start_recorder: Callable[..., Recorder], upstream: Upstream) -> Recorder:
    """One recorder of `upstream` for the tests of a module."""
    return start_recorder("--upstream", upstream.url).listen()
