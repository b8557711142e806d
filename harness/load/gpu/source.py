"""Starting the sampler beside a run, and ending it with the run.

The law of this file: the log is a process of its own (a thread would be a greenlet under gevent, and its
calls would stall whoever reads tokens). Without a card, a driver or an answer the run goes on without a
log, and one line says so. What the user asked for wrongly is an error.
"""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.core.errors import BadInput
from harness.core.visible import last_line
from harness.load.gpu.open import OFF

FILE = "gpu.jsonl"
"""The name of the log in a run's folder."""
ERRORS = "gpu.log"
"""What the sampler said on stderr."""
RATE_HZ = 5.0
STOP_S = 10.0
COMMAND = (sys.executable, "-P", "-m", "harness.load.gpu.child")
"""No modules from the working directory, which is the user's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for: `nvml`, the URL of another host's metrics, or `off`; samples a second; cards.

    Cards are by index or UUID; none named: all.
    """

    source: str = OFF
    rate_hz: float = RATE_HZ
    gpus: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """The sampler's command line, without where its records go."""
        selection = [word for name in self.gpus for word in ("--gpus", name)]
        return [*COMMAND, self.source, "--rate", str(self.rate_hz), *selection]

    def checked(self) -> "Asked":
        """What can be had of it: itself, or with one line on stderr nothing, where there is none to sample.

        BadInput: it was asked for wrongly.
        """
        if self.source == OFF:
            return self
        command = [*self.command(), "--check"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return self
        tell(done.returncode, done.stderr)
        return Asked()


class GpuLog:
    """A sampler that runs: `file` grows until `stop`; a context manager (`lines` reads it).

    As such it says on stderr where the log broke off before its end.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path) -> None:
        self.process = process
        self.file = folder / FILE

    @classmethod
    def start(
        cls, source: str, folder: Path, *, rate_hz: float = RATE_HZ, gpus: Iterable[str] = ()
    ) -> Self | None:
        """Start logging into a folder (it must exist) and wait until it goes on.

        `source` is `nvml`, the URL of another host's metrics, or `off`. None, with one line on stderr
        unless it is `off`: there is nothing to log. BadInput: it was asked for wrongly.
        """
        if source == OFF:
            return None
        command = Asked(source, rate_hz, tuple(gpus)).command()
        with (folder / ERRORS).open("wb") as errors:
            process = subprocess.Popen(
                [*command, "--output", str(folder / FILE)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert process.stdout is not None
        if process.stdout.readline():
            return cls(process, folder)
        code = end(process)
        tell(code, errors_of(folder))
        return None

    def stop(self) -> int:
        """End the log, with a last sample; the sampler's exit code (0: it is whole)."""
        return end(self.process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.stop():
            why = last_line(errors_of(self.file.parent), "it was ended")
            print(f"the GPU log broke off: {why}", file=sys.stderr)


def end(process: "subprocess.Popen[bytes]") -> int:
    """Let a sampler end, by force if it does not."""
    try:
        process.communicate(timeout=STOP_S)  # closes its stdin
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode


def tell(code: int, said: str) -> None:
    """Say on stderr why a sampler ended at once. BadInput: it was asked wrongly."""
    why = last_line(said, "the GPU log ended at once")
    if code == BadInput.exit_code:
        raise BadInput(why)
    print(f"{why}: the run goes on without a GPU log", file=sys.stderr)


def errors_of(folder: Path) -> str:
    """What the sampler of a folder said on stderr."""
    return (folder / ERRORS).read_text(encoding="utf-8", errors="replace")
