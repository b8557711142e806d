"""The write log: when the server wrote which bytes, so that a client can be measured against it.

The law of this file: a stamp is taken right before its write. Nothing of this costs anything while no
log is asked for: plays that keep one are of a class of their own. One line of JSON a play:

    {"request": "17", "exchange": "3", "t0_ns": 1, "writes": [[2, 340], [3, 420]]}

`request` is the request's header `X-Harness-Request` (null: it had none), `t0_ns` when its last byte
came in, `writes` are [moment, bytes of the answer up to there, head and framing included]. All moments
are ns of the monotonic clock (`time.monotonic_ns`). A play that was broken off has a line as well.
"""

import json
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from harness.core.errors import BadInput
from harness.core.exchange import header
from harness.replay.connection import Answer
from harness.replay.pacer import Play, Wire
from harness.replay.reader import Incoming

MARK = "x-harness-request"


class LoggedPlay(Play):
    """A play that notes its writes."""

    __slots__ = ("label", "mark", "writes")

    def __init__(self, incoming: Incoming, answer: Answer, wire: Wire, ended: Callable[[], None]) -> None:
        super().__init__(answer.playback, wire, incoming.t0_ns, answer.speed, ended)
        self.mark = header(incoming.request.headers, MARK)
        self.label = answer.label
        self.writes: array[int] = array("q")

    def send(self, data: memoryview) -> None:
        """Note the moment, then write."""
        self.writes.extend((time.monotonic_ns(), self.sent))
        super().send(data)

    def line(self) -> str:
        """Its line of the log."""
        writes = list(zip(self.writes[::2], self.writes[1::2], strict=True))
        head = {"request": self.mark, "exchange": self.label, "t0_ns": self.t0_ns}
        return json.dumps({**head, "writes": writes}, separators=(",", ":"))


class WriteLog:
    """Makes plays that are logged, and writes a line for each when it has ended."""

    def __init__(self, path: Path) -> None:
        try:
            self.file: TextIO = path.open("w", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
        self.under_way: set[LoggedPlay] = set()

    def play(self, incoming: Incoming, answer: Answer, wire: Wire, ended: Callable[[], None]) -> Play:
        """A play with its writes noted."""

        def logged() -> None:
            self.under_way.discard(play)
            self.file.write(f"{play.line()}\n")
            self.file.flush()
            ended()

        play = LoggedPlay(incoming, answer, wire, logged)
        self.under_way.add(play)
        return play

    def close(self) -> None:
        """Write down what was broken off, too."""
        self.file.writelines(f"{play.line()}\n" for play in self.under_way)
        self.file.close()
