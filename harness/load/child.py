"""Locust as a child: `harness load` starts it for a run's folder, watches it and ends it.

The law of this file: Locust monkey-patches its process, so it has one of its own, in a process group of
its own: Ctrl-C at the terminal reaches `harness load` alone, which then ends the run in order. Where that is
killed, the run ends as well: nothing goes on sending that nobody watches.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from harness.core.errors import BadInput
from harness.load.folder import PARENT, VARIABLE, Folder
from harness.load.plan import Closed, Plan

STOP_S = 20.0
"""How long an ordered end may take: what is under way gets 5 s, then all is written down."""
TAIL_BYTES = 16_384
COMPLAINT = re.compile(r"^\[[^]]*\] \S*/ERROR/stream_\w+: (.*)$", re.MULTILINE)
"""What our own Locust files log as an error: `[DATE] HOST/ERROR/stream_worker: TEXT`."""
LOCUST = (sys.executable, "-m", "locust", "-f")


def locust_file() -> Path:
    """The Locust file: beside this package in the wheel, beside `harness/` in a checkout."""
    here = Path(__file__).resolve()
    for place in (here.parent / "loadtests", here.parents[2] / "loadtests"):
        if (place / "stream.py").exists():
            return place / "stream.py"
    raise BadInput("loadtests/stream.py is missing: install traffic-harness anew")


class LocustChild:
    """Locust, running a folder's plan; a context manager that ends it. What it says is in `locust.log`.

    `bind`: host and port at which workers of other machines join (None: it makes its own workers).
    `env`: variables beside those of this process.
    """

    def __init__(
        self,
        folder: Folder,
        workers: int,
        extra: Sequence[str] = (),
        bind: tuple[str, int] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        ours = {VARIABLE: str(folder.path.resolve()), PARENT: str(os.getpid())}
        self.log = folder.path / "locust.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command(folder.plan(), workers, bind), *extra],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {}), **ours},
                start_new_session=True,
            )

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self.process.poll()

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the end, at most so long; the exit code, None: it still runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(timeout_s)
        return None

    def stop(self) -> int:
        """End it in order, by force where that takes too long; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        if self.wait(STOP_S) is None:
            self.kill()
        return self.process.wait()

    def kill(self) -> None:
        """End it at once, with all of its workers; their reducers end by themselves."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def output_tail(self, lines: int = 20) -> str:
        """The last lines of what it said."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
        return "\n".join(text.splitlines()[-lines:])

    def complaints(self) -> list[str]:
        """What went wrong in its processes, each once."""
        return list(dict.fromkeys(COMPLAINT.findall(self.output_tail(1000))))

    def __enter__(self) -> "LocustChild":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def command(plan: Plan, workers: int, bind: tuple[str, int] | None) -> list[str]:
    """The command line. Users of a closed loop all start at once: the plan's ramp is the worker's affair."""
    workers = min(workers, plan.loop.concurrency) if isinstance(plan.loop, Closed) else workers
    users = str(plan.loop.concurrency if isinstance(plan.loop, Closed) else workers)
    line = [*LOCUST, str(locust_file()), "--headless", "--only-summary", "-u", users, "-r", users]
    if bind is None and workers < 2:
        return line
    host, port = bind or ("127.0.0.1", free_port())
    place = ["--master-bind-host", host, "--master-bind-port", str(port)]
    if bind is None:
        return [*line, "--processes", str(workers), "--master-port", str(port), *place]
    return [*line, "--master", "--expect-workers", str(workers), *place]


def join_command(host: str, port: int) -> list[str]:
    """The command line of a worker that joins a run elsewhere."""
    return [*LOCUST, str(locust_file()), "--worker", "--master-host", host, "--master-port", str(port)]


def free_port() -> int:
    """A port that is free now: several runs on one machine must not share a master."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
