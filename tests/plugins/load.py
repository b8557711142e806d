"""`harness load` as a child, a server to load, and what is left of a run: for tests of the whole command."""

import json
import os
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from harness.child import Child, harness_command
from harness.store.load_runs import load_requests, load_run, load_workers
from harness.store.rows import Row

LIMIT_S = 40.0
NOISE = frozenset({"clock_step", "late_reads", "loop_lag", "queueing", "stamp_error", "worker_cpu"})
"""Checks of a run that a busy machine fails."""
PATH = "/v1/chat/completions"
REQUEST = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True}


def paced_recording(path: Path, events: int = 20, gap_ms: int = 20) -> Path:
    """A recording with one chat stream: an event each `gap_ms`, the first of them after as long."""
    texts: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"content": "x"}}]}] * events
    usage = {"prompt_tokens": 3, "completion_tokens": events, "total_tokens": events + 3}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}
    datas = [*map(json.dumps, [*texts, last]), "[DONE]"]
    chunks = [[(n + 1) * gap_ms * 1_000_000, f"data: {data}\n\n"] for n, data in enumerate(datas)]
    request = {"method": "POST", "url": f"http://x{PATH}", "body": json.dumps(REQUEST)}
    response = {"status": 200, "headers": [["content-type", "text/event-stream"]], "chunks": chunks}
    path.write_text(json.dumps({"request": request, "response": response}) + "\n")
    return path


@contextmanager
def replayed(recording: Path) -> Iterator[str]:
    """The URL of a `harness replay` of a recording."""
    with Child(harness_command("replay", str(recording), "--port", "0"), quiet=True) as child:
        yield child.url


class Relay:
    """Carries bytes to a port of this machine: with a `context` behind TLS, else as the proxy that it is.

    `heads` are the heads of the requests to the proxy: CONNECT, or with a whole URL, one a connection.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.port, self.context = port, context
        self.heads: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.own_port: int = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self.accept)]
        self.threads[0].start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self.listener.accept()
                self.threads.append(threading.Thread(target=self.serve, args=(plain,)))
                self.threads[-1].start()

    def serve(self, plain: socket.socket) -> None:
        with suppress(OSError), plain:
            here = self.context.wrap_socket(plain, server_side=True) if self.context else plain
            with here, socket.create_connection(("127.0.0.1", self.port)) as there:
                if self.context is None:
                    self.introduce(here, there)
                back = threading.Thread(target=pump, args=(there, here))
                back.start()
                pump(here, there)
                back.join(LIMIT_S)

    def introduce(self, here: socket.socket, there: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (data := here.recv(1)):
            head += data
        if not head:
            raise ConnectionAbortedError
        self.heads.append(head)
        if head.startswith(b"CONNECT "):
            here.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            method, url, rest = head.split(b" ", 2)
            there.sendall(b" ".join([method, b"/" + url.split(b"/", 3)[3], rest]))

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(LIMIT_S)

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Carry bytes one way, until one side is gone."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


class LoadCommand:
    """A `harness load` that runs beside the test, quietly, in a folder with a folder for temporary files."""

    def __init__(self, folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.db, self.temporary = folder / "load.db", folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        kept = [] if "--join" in arguments or "--db" in arguments else ["--db", str(self.db)]
        self.process = subprocess.Popen(
            harness_command("load", *arguments, *kept),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **(env or {}), "TMPDIR": str(self.temporary)},
        )
        self.out = self.err = ""

    def wait(self) -> int:
        """Its exit code; `out` and `err` are then what it said."""
        try:
            self.out, self.err = self.process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.out, self.err = self.process.communicate()
            raise
        return self.process.returncode

    def ends_with(self, code: int) -> None:
        """Wait for this exit code, or for 3 where nothing but a busy machine spoils the run."""
        got = self.wait()
        if got == 3 != code:
            checks = self.run()["checks"]
            assert {check["name"] for check in checks if check["grade"] == "invalid"} <= NOISE, self.out
        else:
            assert got == code, self.err

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def processes(self) -> list[psutil.Process]:
        """It and all below it."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def records(self) -> list[dict[str, Any]]:
        """What its workers have recorded so far, while it runs."""
        lines = [
            line
            for path in self.temporary.glob("harness-load-*/records-*.jsonl")
            for line in path.read_bytes().split(b"\n")[:-1]
        ]
        return [json.loads(line) for line in lines]

    def results(self) -> int:
        """How many requests that are."""
        return sum(record["kind"] == "result" for record in self.records())

    def workers(self) -> dict[int, int]:
        """Process ids of workers, by number."""
        return {record["worker"]: record["pid"] for record in self.records() if record["kind"] == "worker"}

    def run(self) -> Row:
        """The row of the last run."""
        return load_run(self.db)

    def requests(self) -> list[Row]:
        """The rows of its requests."""
        return list(load_requests(self.db, self.run()["id"]))

    def worker_rows(self) -> list[Row]:
        """The rows of its workers."""
        return load_workers(self.db, self.run()["id"])

    def left_over(self) -> list[str]:
        """Temporary files that it left behind."""
        return sorted(path.name for path in self.temporary.iterdir())
