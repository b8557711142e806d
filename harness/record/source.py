"""The writer's end of the socket, with a look around whenever nothing comes."""

import select
import socket
from collections.abc import Callable
from typing import Any

IDLE_MS = 1000
"""How long nothing comes before the look."""


class Source(socket.SocketIO):
    """Raw bytes for a buffered reader; `idle` is called while it waits, once a second."""

    def __init__(self, end: socket.socket, idle: Callable[[], None]) -> None:
        super().__init__(end, "r")
        self.idle = idle
        self.waiting = select.poll()
        self.waiting.register(end, select.POLLIN)

    def readinto(self, buffer: Any) -> int | None:
        """Read what comes next into the buffer; how many bytes that are, 0 at the end."""
        while not self.waiting.poll(IDLE_MS):
            self.idle()
        return super().readinto(buffer)
