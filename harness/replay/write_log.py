"""The write log: when the server wrote which bytes, so that a client can be measured against it.

The law of this file: a stamp is taken right before its write. Nothing of this costs anything while no
log is asked for: plays that keep one are of a class of their own. One line of JSON a play:

    {"request": "17", "exchange": "3", "t0_ns": 1, "head_bytes": 90, "chunked": true,
     "writes": [[2, 340], [3, 420]], "end_ns": 4, "left_ns": null}

`request` is the request's header `X-Harness-Request` (null: it had none), `t0_ns` when its last byte
came in, `writes` are [moment, bytes of the answer up to there, head and framing included]. `head_bytes`
are those of the head, `chunked` says whether chunked framing follows. `end_ns`: when the last part was
played; null where it was broken off. `left_ns`: when the client was seen to have left before that; null
where it stayed. All moments are ns of the monotonic clock (`time.monotonic_ns`). A play that was broken
off has a line as well, written when the client left or when the server stopped.
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
HEAD_END = b"\r\n\r\n"
CHUNKED = b"\r\ntransfer-encoding: chunked"


class LoggedPlay(Play):
    """A play that notes its writes."""

    __slots__ = ("chunked", "end_ns", "head_bytes", "label", "left", "left_ns", "mark", "writes")

    def __init__(self, incoming: Incoming, answer: Answer, wire: Wire, ended: Callable[[], None]) -> None:
        super().__init__(answer.playback, wire, incoming.t0_ns, answer.speed, ended)
        self.mark = header(incoming.request.headers, MARK)
        self.label = answer.label
        self.writes: array[int] = array("q")
        self.end_ns: int | None = None
        self.left_ns: int | None = None
        self.left: Callable[[], None] = nothing
        head = answer.playback.blob.partition(HEAD_END)[0].lower()
        self.head_bytes = len(head) + len(HEAD_END) if head else 0
        self.chunked = CHUNKED in head

    def send(self, data: memoryview) -> None:
        """Note the moment, then write."""
        self.writes.extend((time.monotonic_ns(), self.sent))
        super().send(data)

    def client_left(self) -> None:
        """Note the moment, and that this play is over."""
        self.left_ns = time.monotonic_ns()
        self.left()

    def line(self) -> str:
        """Its line of the log."""
        writes = list(zip(self.writes[::2], self.writes[1::2], strict=True))
        said = {
            "request": self.mark,
            "exchange": self.label,
            "t0_ns": self.t0_ns,
            "head_bytes": self.head_bytes,
            "chunked": self.chunked,
            "writes": writes,
            "end_ns": self.end_ns,
            "left_ns": self.left_ns,
        }
        return json.dumps(said, separators=(",", ":"))


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
            play.end_ns = time.monotonic_ns()
            self.write(play)
            ended()

        play = LoggedPlay(incoming, answer, wire, logged)
        play.left = lambda: self.write(play)
        self.under_way.add(play)
        return play

    def write(self, play: LoggedPlay) -> None:
        """The line of a play that is over; none where it has one already."""
        if play in self.under_way:
            self.under_way.discard(play)
            self.file.write(f"{play.line()}\n")
            self.file.flush()

    def close(self) -> None:
        """Write down what was broken off, too."""
        for play in list(self.under_way):
            self.write(play)
        self.file.close()


def nothing() -> None:
    """Do nothing."""
