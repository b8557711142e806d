"""The floor: how late this machine wakes a thread that only waits for a timer, while a replay runs.

No server on the same machine can be expected to do better than that, so a figure that is not far
above the floor says more about the machine than about the replay.
"""

import select
import threading
import time
from types import TracebackType

EVERY_NS = 5_000_000
NS_PER_S = 1e9


class IdleTimer:
    """Wakes every 5 ms on absolute deadlines, from entering the context to leaving it.

    `lateness_ns` has the lateness of every wake, in ns; at least one.
    """

    def __init__(self) -> None:
        self.lateness_ns: list[int] = []
        self.over = False
        self.thread = threading.Thread(target=self.wake_again_and_again, name="idle timer")

    def wake_again_and_again(self) -> None:
        """The thread's life."""
        due_ns = time.monotonic_ns()
        while not (self.over and self.lateness_ns):
            due_ns = max(due_ns + EVERY_NS, time.monotonic_ns())
            self.lateness_ns.append(wake_at(due_ns))

    def __enter__(self) -> "IdleTimer":
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over = True
        self.thread.join()


def wake_at(due_ns: int) -> int:
    """Wait until `due_ns`, and say how late that was."""
    while (left_ns := due_ns - time.monotonic_ns()) > 0:
        select.select([], [], [], left_ns / NS_PER_S)
    return -left_ns
