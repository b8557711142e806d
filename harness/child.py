"""A server as a child process: started by its command, ready when it says where it listens.

Where one verb of harness needs another, it starts it this way, so that neither imports the other.
"""

import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from tempfile import TemporaryFile
from types import TracebackType

from harness.core.errors import BadInput
from harness.core.visible import last_line

LISTENING = re.compile(r"listening on (http://\S+)")
STOP_S = 10.0


class Child:
    """A child that prints `listening on URL`; a context manager that ends it.

    It is ready when it has named as many URLs as it has `listeners`; `url` is the first of `urls`.
    `quiet`: what it says on stderr is shown only, its last line, where it ends before it listens.
    """

    def __init__(self, command: Sequence[str], *, quiet: bool = False, listeners: int = 1) -> None:
        self.output: list[str] = []
        self.errors = TemporaryFile() if quiet else None  # noqa: SIM115  ends with the child
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.urls = tuple(self.wait_ready() for _ in range(listeners))
        self.url = self.urls[0]

    def wait_ready(self) -> str:
        """Read the child's output until it says where it listens (BadInput: it ended without)."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            if found := LISTENING.search(line):
                return found[1]
        code = self.process.wait()
        self.process.stdout.close()
        raise BadInput(f"{self.name()} ended with code {code} before it listened: {self.last_words()}")

    def name(self) -> str:
        """What was started, as people call it."""
        words = list(map(str, self.process.args))  # type: ignore[arg-type]
        return " ".join(words[words.index("-m") + 1 :][:2] if "-m" in words else words)

    def last_words(self) -> str:
        """The last line that it said on stderr, where that was kept."""
        if not self.errors:
            return "see above"
        with self.errors:
            self.errors.seek(0)
            return last_line(self.errors.read().decode("utf-8", "replace"), "it said nothing")

    def stop(self) -> int:
        """End the child as Ctrl-C would, by force if it does not; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            rest, _ = self.process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            rest, _ = self.process.communicate()
        self.output.append(rest)
        if self.errors:
            self.errors.close()
        return self.process.returncode

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def harness_command(*arguments: str) -> list[str]:
    """The command line of a harness command, run by this very Python, without modules from its directory."""
    return [sys.executable, "-P", "-m", "harness", *arguments]
