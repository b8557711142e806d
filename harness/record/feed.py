"""What the writer gives to the process that checks exchanges, if there is one.

The law of this file: storing never waits for the checker. What is offered waits in memory, bounded, for
a thread that writes it to the checker's stdin as interchange lines, each behind its id; what finds no
room there is not checked, which is said once and counted. A checker that is gone is no trouble of the
recording.
"""

import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from queue import SimpleQueue
from threading import Lock, Thread

from harness.core.checking import CheckCounts
from harness.core.exchange import Exchange
from harness.core.interchange import to_line

LIMIT = 64 * 1024 * 1024
"""Bytes of bodies that may wait for the checker."""

STALL_S = 10.0
"""At the end, how long the checker may go without taking anything, or take for what it has."""


@dataclass(frozen=True, slots=True)
class Checked:
    """How many exchanges were checked, how many of them broke something, how many were not checked."""

    checked: int
    wrong: int
    unchecked: int


class Feed:
    """Starts `command`, which reads lines `ID INTERCHANGE` and says at the end what came of it.

    `tell` gets a line for people, at most one for each reason.
    """

    def __init__(
        self,
        command: Sequence[str],
        tell: Callable[[str], None],
        limit: int = LIMIT,
        stall_s: float = STALL_S,
    ) -> None:
        self.tell = tell
        self.limit = limit
        self.stall_s = stall_s
        self.offered = self.sent = self.waiting = 0
        self.behind = self.gone = False
        self.lock = Lock()
        self.queue: SimpleQueue[Exchange | None] = SimpleQueue()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self.thread = Thread(target=self.send_all, daemon=True)
        self.thread.start()

    def offer(self, exchange: Exchange) -> None:
        """Have a stored exchange checked, if there is room; returns at once."""
        self.offered += 1
        size = size_of(exchange)
        if self.gone:
            return
        with self.lock:
            fits = not self.waiting or self.waiting + size <= self.limit
            self.waiting += size if fits else 0
        if fits:
            self.queue.put(exchange)
        elif not self.behind:
            self.behind = True
            self.tell("the checker cannot keep up: some exchanges are not checked")

    def send_all(self) -> None:
        """The thread: write what was offered until the end, or until the checker is gone."""
        pipe = self.process.stdin
        assert pipe is not None
        try:
            while exchange := self.queue.get():
                pipe.write(f"{exchange.id} {to_line(exchange)}\n".encode())
                pipe.flush()
                self.sent += 1
                with self.lock:
                    self.waiting -= size_of(exchange)
        except OSError:
            self.gone = True
            self.tell("the checker is gone: exchanges are recorded, but not checked any more")

    def close(self) -> Checked:
        """Wait for the checker as long as it gets on; what came of it."""
        self.queue.put(None)
        while self.thread.is_alive():
            before = self.sent
            self.thread.join(self.stall_s)
            if self.thread.is_alive() and self.sent == before:
                self.process.kill()
        return self.result()

    def result(self) -> Checked:
        """What the checker said, all of it unchecked where it said nothing."""
        try:
            said, _ = self.process.communicate(timeout=self.stall_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            said, _ = self.process.communicate()
        counts = CheckCounts()
        with suppress(ValueError):
            counts = CheckCounts.model_validate_json(said)
        return Checked(counts.checked, counts.wrong, self.offered - counts.checked)

    def report(self) -> dict[str, int]:
        """`close`, for the supervisor."""
        return asdict(self.close())


def size_of(exchange: Exchange) -> int:
    """The bytes of the bodies."""
    return len(exchange.request.body) + sum(
        len(data) for _, data in (exchange.response.chunks if exchange.response else ())
    )
