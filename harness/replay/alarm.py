"""An alarm on an event loop: calls back at an absolute time of the monotonic clock, in nanoseconds.

Event loops keep their own timers on a grid of a millisecond (uvloop fires up to 1.3 ms early, epoll
rounds up). Linux has timers that are files: the loop watches one like a socket, and wakes within
some 0.1 ms. Elsewhere the loop's own timer must do.
"""

import os
import sys
import time
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from typing import Protocol

NS_PER_S = 1_000_000_000


class Alarm(Protocol):
    """Rings at the time that was set last, until it is set anew, cleared or closed."""

    def set(self, at_ns: int) -> None:
        """Ring at `at_ns`, or at once if that has passed."""

    def clear(self) -> None:
        """Stop ringing until it is set again."""

    def close(self) -> None:
        """Let go of the timer."""


if sys.version_info >= (3, 13):

    class FileAlarm:
        """A timerfd. Setting it anew clears an expiry, so it is never read; it rings until then."""

        def __init__(self, loop: AbstractEventLoop, ring: Callable[[], None]) -> None:
            self.loop = loop
            self.fd = os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)
            loop.add_reader(self.fd, ring)

        def set(self, at_ns: int) -> None:
            """Set the timer; `at_ns` of 0 or less would disarm it, so it is at least 1."""
            os.timerfd_settime_ns(self.fd, flags=os.TFD_TIMER_ABSTIME, initial=max(1, at_ns))

        def clear(self) -> None:
            """Stop ringing until it is set again."""
            os.timerfd_settime_ns(self.fd, initial=0)

        def close(self) -> None:
            """Close the timer's file."""
            self.loop.remove_reader(self.fd)
            os.close(self.fd)


class LoopAlarm:
    """The loop's own timer, for systems and Pythons without timerfd."""

    def __init__(self, loop: AbstractEventLoop, ring: Callable[[], None]) -> None:
        self.loop = loop
        self.ring = ring
        self.handle: TimerHandle | None = None

    def set(self, at_ns: int) -> None:
        """Set the timer, relative to now: loops count on clocks of their own."""
        self.clear()
        delay_s = max(0, at_ns - time.monotonic_ns()) / NS_PER_S
        self.handle = self.loop.call_later(delay_s, self.ring)

    def clear(self) -> None:
        """Stop the timer."""
        if self.handle is not None:
            self.handle.cancel()
            self.handle = None

    def close(self) -> None:
        """Stop the timer."""
        self.clear()


def make_alarm(loop: AbstractEventLoop, ring: Callable[[], None]) -> Alarm:
    """The most accurate alarm that this system has."""
    if sys.version_info >= (3, 13) and hasattr(os, "timerfd_create"):
        return FileAlarm(loop, ring)
    return LoopAlarm(loop, ring)
