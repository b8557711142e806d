"""What Locust's event loop (gevent's hub) can do better than a greenlet: read, and wake in time.

The law of this file: callbacks of the hub never wait and never raise.
"""

import os
import socket
import sys
import time

import gevent
from gevent.hub import Waiter, get_hub

from harness.load.wire import Answer, Connection, LoopReader, Receive, plain_receiver, read_once

NS_PER_S = 1_000_000_000


class HubReader:
    """Reads answers in callbacks of the hub: a greenlet sleeps until its answer is over.

    Switching to a greenlet and back for every event costs more than reading it. Deadlines are kept by
    `sweep`, which is to be called every so often.
    """

    def __init__(self) -> None:
        self.hub = get_hub()
        self.waiting: dict[Answer, tuple[Receive, Waiter]] = {}
        self.loop_reader = LoopReader()

    def read(self, connection: Connection, answer: Answer) -> None:
        """Read until the answer is over; TLS, whose reads may have to write, in a greenlet's loop."""
        raw = raw_socket(connection.sock)
        if raw is None:
            self.loop_reader.read(connection, answer)
            return
        receive = connection.stamping.receiver(raw) if connection.stamping else plain_receiver(raw)
        waiter: Waiter = Waiter(self.hub)

        def readable() -> None:
            read_once(receive, answer)
            if answer.over:
                watcher.stop()
                waiter.switch(None)

        watcher = self.hub.loop.io(connection.sock.fileno(), 1)
        self.waiting[answer] = receive, waiter
        watcher.start(readable)
        try:
            if not answer.over:
                waiter.get()
        finally:
            del self.waiting[answer]
            watcher.stop()
            watcher.close()

    def sweep(self, now_ns: int) -> None:
        """Give up the answers whose deadline has passed.

        What has come and was not read yet counts: the silence of a client that was held up is its own.
        """
        for answer, (receive, waiter) in list(self.waiting.items()):
            if not answer.over and now_ns >= answer.wake_ns():
                read_once(receive, answer)
                if answer.give_up_if_late(now_ns):
                    self.hub.loop.run_callback(waiter.switch, None)


def raw_socket(sock: socket.socket) -> socket.socket | None:
    """The system's socket below gevent's, which never waits; None below TLS."""
    if hasattr(sock, "_sslobj"):
        return None
    raw: socket.socket | None = getattr(sock, "_sock", None)
    return raw


if sys.platform == "linux":

    class Alarm:
        """Wakes a greenlet at a moment, to some 0.1 ms: the hub's own timers are rounded to milliseconds."""

        def __init__(self) -> None:
            self.hub = get_hub()
            self.fd = os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)
            self.watcher = self.hub.loop.io(self.fd, 1)

        def wait_until(self, at_ns: int) -> None:
            """Sleep until then; not at all if that has passed."""
            if at_ns > time.monotonic_ns():
                os.timerfd_settime_ns(self.fd, flags=os.TFD_TIMER_ABSTIME, initial=at_ns)
                self.hub.wait(self.watcher)
                os.timerfd_settime_ns(self.fd, initial=0)

        def close(self) -> None:
            """Let go of the timer."""
            self.watcher.stop()
            self.watcher.close()
            os.close(self.fd)

else:

    class Alarm:
        """Wakes a greenlet at a moment, with the hub's own timers."""

        def wait_until(self, at_ns: int) -> None:
            """Sleep until then; not at all if that has passed."""
            gevent.sleep(max(0, at_ns - time.monotonic_ns()) / NS_PER_S)

        def close(self) -> None:
            """Nothing to let go of."""
