"""A replay server as a child process, on exchanges that a test writes down."""

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.child import Child, harness_command
from harness.core.exchange import Exchange, Headers, Request, Response, State
from harness.core.interchange import to_line

MS = 1_000_000
SSE: Headers = (("content-type", "text/event-stream"),)


class ReplayServer:
    """A child `harness replay`; `stop` gives its exit code and the summary that it printed."""

    def __init__(self, child: Child) -> None:
        self.child = child
        host, _, port = child.url.removeprefix("http://").partition(":")
        self.host, self.port = host, int(port)

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=10)

    def send(self, *requests: bytes) -> bytes:
        """All that comes back on one connection until the server closes it."""
        with self.connect() as connection:
            connection.sendall(b"".join(requests))
            return b"".join(iter(lambda: connection.recv(1 << 20), b""))

    def stop(self) -> tuple[int, dict[str, Any]]:
        code = self.child.stop()
        return code, json.loads("".join(self.child.output).splitlines()[-1])


@pytest.fixture
def exchange() -> Callable[..., Exchange]:
    """Makes an exchange from what a test cares about; chunks are (offset in ms, data)."""

    def make(
        body: bytes = b"{}",
        chunks: Sequence[tuple[float, bytes]] = ((0, b"hello"),),
        *,
        method: str = "POST",
        path: str = "/v1/x",
        status: int = 200,
        headers: Headers = (("content-type", "text/plain"),),
        state: State = State.COMPLETE,
        upstream: str = "up",
        connect_ms: float = 0,
    ) -> Exchange:
        offsets = tuple((round(at * MS), data) for at, data in chunks)
        first, last = (offsets[0][0], offsets[-1][0]) if offsets else (0, 0)
        return Exchange(
            Request(method, f"http://up{path}", body=body),
            Response(status, headers, first, offsets, last),
            state,
            upstream=upstream,
            started_at="2026-01-01T00:00:00Z",
            connect_ns=round(connect_ms * MS),
        )

    return make


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Path]:
    """Writes exchanges into an interchange file."""

    def write(*exchanges: Exchange, name: str = "rec.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(to_line(one) + "\n" for one in exchanges))
        return path

    return write


@pytest.fixture
def serve(recording: Callable[..., Path]) -> Iterator[Callable[..., ReplayServer]]:
    """Starts a replay server on some exchanges (or files), with further options."""
    with ExitStack() as stack:

        def start(*what: Exchange | Path, options: Sequence[str] = ()) -> ReplayServer:
            files = [one for one in what if isinstance(one, Path)]
            exchanges = [one for one in what if isinstance(one, Exchange)]
            if exchanges:
                files.append(recording(*exchanges))
            command = harness_command("replay", *map(str, files), "--port", "0", "--json", *options)
            return ReplayServer(stack.enter_context(Child(command)))

        yield start
