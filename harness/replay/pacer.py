"""The pacer: plays the parts of many playbacks, each at its own absolute time, on one event loop.

The law of this file: deadlines are absolute, from the arrival of the request's last byte, so no
error adds up. All plays stand in one heap by their next deadline, and one alarm rings for the
first of them. Time is cut into slots of 200 µs, centred: a ring plays everything that is due up to
half a slot ahead, which costs at most 0.1 ms of earliness and saves a fifth of the CPU. After some
256 writes the loop looks at its sockets again, so that new requests get in even when it is late.
"""

import asyncio
import os
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush, heapreplace
from typing import Protocol

from harness.core.histogram import Histogram
from harness.replay.alarm import make_alarm
from harness.replay.playback import LATEST_NS, Playback

SLOT_NS = 200_000
HALF_SLOT_NS = SLOT_NS // 2
WRITES_PER_RING = 256
MOST_BYTES = 256 * 1024
"""Of one write: more waits for the next turn, so that a slow reader's bytes stay in the playback."""
FOLD = 512
"""Lateness samples are kept raw, which is cheap, and folded in batches of this, which takes 0.12 ms."""


class Wire(Protocol):
    """The connection that a play writes to: its transport, and the file of its socket.

    `seal` encrypts what goes onto it; None: it is plain.
    """

    fd: int
    transport: asyncio.Transport
    seal: Callable[[bytes | memoryview], bytes] | None


@dataclass(slots=True)
class Lateness:
    """How late the server wrote: time of each write minus its deadline, in ns (negative: early).

    Writes that waited for a slow reader say nothing about the server; they are only counted (`held`).
    `parts`: parts of playbacks that were written.
    """

    samples: array[int] = field(default_factory=lambda: array("q"))
    histogram: Histogram = field(default_factory=Histogram)
    held: int = 0
    parts: int = 0

    def reset(self) -> None:
        """Begin again."""
        del self.samples[:]
        self.histogram = Histogram()
        self.held = self.parts = 0

    def fold_if_many(self) -> None:
        """Make room: called often, it folds seldom."""
        if len(self.samples) >= FOLD:
            self.fold()

    def fold(self) -> Histogram:
        """All samples so far as a histogram."""
        self.histogram.add(self.samples)
        del self.samples[:]
        return self.histogram


class Play:
    """One playback under way. `t0_ns`: when the request's last byte arrived. `speed`: 0 is at once.

    `ended` is called after the last part. `blocked`: the reader is slow, and bytes wait in the
    transport.
    """

    __slots__ = (
        "blocked",
        "due",
        "ended",
        "ends",
        "excused_ns",
        "fd",
        "is_closing",
        "part",
        "seal",
        "sent",
        "t0_ns",
        "unsent",
        "view",
        "write_rest",
    )

    def __init__(
        self, playback: Playback, wire: Wire, t0_ns: int, speed: float, ended: Callable[[], None]
    ) -> None:
        self.due = scaled(playback.due, speed)
        self.ends = playback.ends
        self.view = memoryview(playback.blob)
        self.fd = wire.fd
        self.is_closing = wire.transport.is_closing
        self.unsent = wire.transport.get_write_buffer_size
        self.write_rest = wire.transport.write
        self.seal = wire.seal
        self.t0_ns = t0_ns
        self.ended = ended
        self.part = 0
        self.sent = 0
        self.excused_ns = 0
        self.blocked = False

    def due_ns(self) -> int:
        """The absolute deadline of the next part."""
        return self.t0_ns + self.due[self.part]

    def write(self, now_ns: int) -> bool:
        """Write what is due by now; True if there is more to come and the reader keeps up.

        This is the hot path, a call for every write. Parts that fall due together go out in one
        write. A connection that is closing is left alone: its file may belong to somebody else.
        """
        if self.is_closing():
            return False
        due, ends, part = self.due, self.ends, self.part + 1
        count, horizon_ns = len(due), now_ns + HALF_SLOT_NS - self.t0_ns
        while part < count and due[part] <= horizon_ns:
            part += 1
        start, end = self.sent, ends[part - 1]
        if end - start > MOST_BYTES:
            end = start + MOST_BYTES
            part = min(part, bisect_right(ends, end))
        self.part, self.sent = part, end
        if end > start:
            self.send(self.view[start:end])
        return part < count and not self.blocked

    def is_over(self) -> bool:
        """Whether everything was written."""
        return self.part == len(self.due)

    def caught_up(self, pacer: "Pacer") -> None:
        """The reader was slow and is not any more."""
        pacer.resume(self)

    def client_left(self) -> None:
        """The connection is gone before the last part; nothing of it is kept here."""

    def send(self, data: memoryview) -> None:
        """Write straight to the socket, which is faster than a transport; what it leaves goes there."""
        written = 0
        out = data if self.seal is None else self.seal(data)
        if not self.unsent():
            try:
                written = os.write(self.fd, out)
            except BlockingIOError:
                written = 0
            except OSError:  # the client is gone: the transport finds out and says so
                return
        if written < len(out):
            self.write_rest(bytes(out[written:]))


def scaled(due: array[int], speed: float) -> array[int]:
    """Deadlines at another speed; the very same array at speed 1."""
    if speed == 1:
        return due
    return array("q", (int(min(offset / speed, LATEST_NS)) if speed else 0 for offset in due))


class Pacer:
    """Plays on a loop. `lateness` gathers the error of every write."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.heap: list[tuple[int, int, Play]] = []
        self.order = 0
        self.lateness = Lateness()
        self.alarm = make_alarm(loop, self.ring)

    def add(self, play: Play) -> None:
        """Start a play, or go on with one whose reader has caught up."""
        self.order += 1
        heappush(self.heap, (play.due_ns(), self.order, play))
        if self.heap[0][1] == self.order:
            self.arm()

    def resume(self, play: Play) -> None:
        """Go on with a play whose reader was slow. What fell due meanwhile is not the server's lateness."""
        play.blocked = False
        play.excused_ns = time.monotonic_ns()
        self.add(play)

    def ring(self) -> None:
        """Play everything that is due, then set the alarm for what comes next."""
        try:
            self.play_due()
        finally:
            self.arm()

    def play_due(self) -> None:
        """Write all parts whose time has come, at most so many."""
        heap, clock, note = self.heap, time.monotonic_ns, self.lateness.samples.append
        for _ in range(WRITES_PER_RING):
            if not heap:
                break
            due_ns, order, play = heap[0]
            now_ns = clock()
            if due_ns > now_ns + HALF_SLOT_NS:
                break
            if due_ns >= play.excused_ns:
                note(now_ns - due_ns)
            else:
                self.lateness.held += 1
            part = play.part
            more = play.write(now_ns)
            self.lateness.parts += play.part - part
            if more:
                heapreplace(heap, (play.t0_ns + play.due[play.part], order, play))
            else:
                heappop(heap)
                if play.is_over():
                    play.ended()
        self.lateness.fold_if_many()

    def arm(self) -> None:
        """Set the alarm for the slot that is nearest to the first deadline."""
        if self.heap:
            self.alarm.set((self.heap[0][0] + HALF_SLOT_NS) // SLOT_NS * SLOT_NS)
        else:
            self.alarm.clear()

    def close(self) -> None:
        """Stop the alarm; nothing is played any more."""
        self.heap.clear()
        self.alarm.close()
