"""A program of its own that writes a recording, as the recorder's writer process does."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

PROGRAM = """
import sys
from pathlib import Path

from harness.core.derive import derive
from harness.core.exchange import Exchange, Request, Response
from harness.store.capture import Capture
from harness.store.writer import RecordingWriter

with RecordingWriter(Path(sys.argv[1])) as writer:
    writer.start_capture(Capture("2026-01-01T00:00:00Z", host=sys.argv[2]))
    print("started", flush=True)
    for line in sys.stdin:
        for index in range(int(line)):
            chunks = tuple((seq, b"data: %d\\n\\n" % (index + seq)) for seq in range(20))
            exchange = Exchange(Request("GET", f"http://a.test/{index}"), Response(200, (), 0, chunks, 20))
            writer.add(exchange, derive(exchange))
            print("one", flush=True)
        print("all", flush=True)
print("closed", flush=True)
"""


class Writing:
    """A writer in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]", commands: IO[str], answers: IO[str]) -> None:
        self.process, self.commands, self.answers = process, commands, answers

    def add(self, count: int) -> None:
        """Have it add this many exchanges of 20 chunks; returns at once."""
        self.commands.write(f"{count}\n")
        self.commands.flush()

    def close(self) -> None:
        """Have it close the recording and end."""
        self.commands.close()
        self.hear("closed")
        assert self.process.wait() == 0

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def hear(self, answer: str) -> None:
        """Wait for `started`, `one` (exchange was added), `all` (that were asked for), `closed`."""
        for line in self.answers:
            if line == f"{answer}\n":
                return
        raise AssertionError(f"the program ended before it said {answer!r}")


@pytest.fixture
def writing() -> Callable[[Path], object]:
    """Start such a program on a path; it ends with the block."""

    @contextmanager
    def started(path: Path) -> Iterator[Writing]:
        command = [sys.executable, "-c", PROGRAM, str(path), path.name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield Writing(process, process.stdin, process.stdout)
            finally:
                process.kill()

    return started
