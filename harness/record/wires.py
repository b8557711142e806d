# mypy: allow-untyped-calls
"""The sockets below mitmproxy's connections, for what its layers have no word for.

mitmproxy 12.2 (`proxy/server.py`, `handle_connection`) takes a connection that was reset for one that was
closed, and closes connections, but never resets one.
"""

import asyncio
import socket
import struct
from collections.abc import Iterator

from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Connection
from mitmproxy.proxy.server import ConnectionHandler, ConnectionIO

BREAK = struct.pack("ii", 1, 0)
"""A linger time of zero: closing then sends RST (socket(7))."""


class Wires:
    """The connections of a proxy server."""

    def __init__(self, server: Proxyserver) -> None:
        self.server = server

    def clients(self) -> Iterator[tuple[ConnectionHandler, ConnectionIO]]:
        """All clients that are there, with their sockets."""
        for connection in list(self.server.connections.values()):
            theirs = connection.transports.get(connection.client)  # none where the client is gone already
            if theirs and theirs.handler and not theirs.handler.cancelling():
                yield connection, theirs

    def was_reset(self, connection: Connection) -> bool:
        """Whether the peer of a connection that has ended broke it, and did not close it."""
        wire = self._of(connection)
        return (
            wire is not None
            and isinstance(wire.reader, asyncio.StreamReader)
            and isinstance(wire.reader.exception(), ConnectionError)
        )

    def reset(self, connection: Connection) -> None:
        """Have a connection broken when it is closed next."""
        if wire := self._of(connection):
            break_on_close(wire)

    def _of(self, connection: Connection) -> ConnectionIO | None:
        all_wires = (handler.transports.get(connection) for handler in self.server.connections.values())
        return next(filter(None, all_wires), None)


def break_on_close(wire: ConnectionIO) -> None:
    """Have a socket send RST instead of FIN when it is closed."""
    if isinstance(wire.writer, asyncio.StreamWriter) and (end := wire.writer.get_extra_info("socket")):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, BREAK)


def cut(wire: ConnectionIO, last_words: bytes | None) -> None:
    """End a connection: in order behind these bytes, by force where there are none."""
    assert wire.handler
    if last_words is None:
        break_on_close(wire)
    elif isinstance(wire.writer, asyncio.StreamWriter) and not wire.writer.is_closing():
        wire.writer.write(last_words)
    wire.handler.cancel()
