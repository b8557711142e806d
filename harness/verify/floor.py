"""The floor: how late this machine wakes a process that only waits for a timer, while a replay runs.

No server on the same machine can be expected to do better than that, so a figure that is not far
above the floor says more about the machine than about the replay. The timer has a process of its own,
since a thread would wait for the client's other threads as well. Run as a program, this module is that
process: it wakes until its standard input ends, and prints the lateness of every wake.
"""

import json
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import TextIO

EVERY_NS = 5_000_000
NS_PER_S = 1e9


class IdleTimer:
    """Wakes every 5 ms on absolute deadlines, from entering the context to leaving it.

    `lateness_ns` then has the lateness of every wake, in ns; at least one.
    """

    def __init__(self) -> None:
        self.lateness_ns: list[int] = []

    def __enter__(self) -> "IdleTimer":
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", __spec__.name],  # no module from the working directory
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is not meant for it: it ends with its standard input
        )
        assert self.process.stdout
        self.process.stdout.readline()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        figures, _ = self.process.communicate()
        self.lateness_ns = json.loads(figures)


def wake_again_and_again() -> list[int]:
    """The lateness of wakes until standard input ends; at least one."""
    found: list[int] = []
    due_ns = time.monotonic_ns()
    watched = [sys.stdin]
    while watched or not found:
        due_ns = max(due_ns + EVERY_NS, time.monotonic_ns())
        if ends_before(due_ns, watched):
            watched = []
        else:
            found.append(time.monotonic_ns() - due_ns)
    return found


def ends_before(due_ns: int, watched: list[TextIO]) -> bool:
    """Wait until a moment, or, giving True, until a watched file ends before it."""
    while (left_ns := due_ns - time.monotonic_ns()) > 0:
        if select.select(watched, [], [], left_ns / NS_PER_S)[0]:
            return True
    return False


if __name__ == "__main__":
    print("ready", flush=True)
    print(json.dumps(wake_again_and_again()))
