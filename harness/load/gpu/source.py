"""Starting the sampler beside a run, and ending it with the run.

The law of this file: the log is a process of its own (a thread would be a greenlet under gevent, and its
calls would stall whoever reads tokens). Without a card, a driver or an answer the run goes on without a
log, and one line says so. What the user asked for wrongly is an error.
"""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from harness.load.gpu.open import OFF

FILE = "gpu.jsonl"
"""The name of the log in a run's folder."""
ERRORS = "gpu.log"
"""What the sampler said on stderr."""
RATE_HZ = 5.0
STOP_S = 10.0


class GpuLog:
    """A sampler that runs: `file` grows until `stop`; a context manager (`lines` reads it)."""

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self.process = process
        self.file = folder / FILE

    @classmethod
    def start(
        cls, source: str, folder: Path, *, rate_hz: float = RATE_HZ, gpus: Iterable[str] = ()
    ) -> Self | None:
        """Start logging into a folder (it must exist) and wait until it goes on.

        `source` is `nvml`, the URL of another host's metrics, or `off`. None, with one line on stderr
        unless it is `off`: there is nothing to log.
        """
        if source == OFF:
            return None
        command = [sys.executable, "-m", "harness.load.gpu.child", source]
        options = ["--output", str(folder / FILE), "--rate", str(rate_hz)]
        selection = [word for name in gpus for word in ("--gpus", name)]
        with (folder / ERRORS).open("wb") as errors:
            process = subprocess.Popen(
                [*command, *options, *selection],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert process.stdout is not None
        if process.stdout.readline():
            return cls(process, folder)
        end(process)
        print(f"{said(folder / ERRORS)}: the run goes on without a GPU log", file=sys.stderr)
        return None

    def stop(self) -> int:
        """End the log, with a last sample; the sampler's exit code (0: it is whole)."""
        return end(self.process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def end(process: "subprocess.Popen[bytes]") -> int:
    """Let a sampler end, by force if it does not."""
    try:
        process.communicate(timeout=STOP_S)  # closes its stdin
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode


def said(path: Path) -> str:
    """The last line of a file."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "the GPU log ended at once")
