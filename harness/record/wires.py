# mypy: allow-untyped-calls
"""The sockets below mitmproxy's connections, for what its layers have no word for.

mitmproxy 12.2 (`proxy/server.py`, `handle_connection`) takes a connection that was reset for one that was
closed, and closes connections, but never resets one. What came before a reset and was not read yet, such as
the answer to an upload that was refused, asyncio throws away; here it is read first, as a client would.
"""

import asyncio
import socket
import struct
from asyncio.trsock import TransportSocket
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from mitmproxy.connection import Connection
from mitmproxy.proxy import server_hooks

if TYPE_CHECKING:
    from mitmproxy.addons.proxyserver import Proxyserver
    from mitmproxy.proxy.server import ConnectionHandler, ConnectionIO

READ_BYTES = 65536

BREAK = struct.pack("ii", 1, 0)
"""A linger time of zero: closing then sends RST (socket(7))."""


class Wires:
    """The connections of a proxy server; one of its addons."""

    def __init__(self, server: "Proxyserver") -> None:
        self.server = server
        self.broken: set[str] = set()

    def server_connected(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Watch an upstream's connection; nothing was asked on it yet."""
        wire = self._of(data.server)
        if wire and isinstance(wire.reader, asyncio.StreamReader):
            self.watch(data.server.id, wire.reader, wire)

    def watch(self, name: str, reader: asyncio.StreamReader, wire: "ConnectionIO") -> None:
        """Let a reader end with what came, and remember that its peer broke the connection."""

        def set_exception(error: BaseException) -> None:
            if isinstance(error, ConnectionError):
                self.broken.add(name)
            reader.feed_data(what_is_left(wire))
            reader.feed_eof()

        reader.set_exception = set_exception  # type: ignore[method-assign, assignment]

    def server_disconnected(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Forget a connection."""
        self.broken.discard(data.server.id)

    def clients(self) -> "Iterator[tuple[ConnectionHandler, ConnectionIO]]":
        """All clients that are there, with their sockets."""
        for connection in list(self.server.connections.values()):
            theirs = connection.transports.get(connection.client)  # none where the client is gone already
            if theirs and theirs.handler and not theirs.handler.cancelling():
                yield connection, theirs

    def was_reset(self, connection: Connection) -> bool:
        """Whether the upstream of a connection that has ended broke it, and did not close it."""
        return connection.id in self.broken

    def reset(self, connection: Connection) -> None:
        """Have a connection broken when it is closed next."""
        if wire := self._of(connection):
            break_on_close(wire)

    def _of(self, connection: Connection) -> "ConnectionIO | None":
        all_wires = (handler.transports.get(connection) for handler in self.server.connections.values())
        return next(filter(None, all_wires), None)


def what_is_left(wire: "ConnectionIO") -> bytes:
    """What the kernel still has of a connection that is over."""
    data = b""
    end = socket_of(wire)
    with suppress(OSError):
        if end:
            with end.dup() as rest:
                while more := rest.recv(READ_BYTES):
                    data += more
    return data


def socket_of(wire: "ConnectionIO") -> TransportSocket | None:
    """The socket of a connection, if it has one."""
    if not isinstance(wire.writer, asyncio.StreamWriter):
        return None
    end: TransportSocket | None = wire.writer.get_extra_info("socket")
    return end


def break_on_close(wire: "ConnectionIO") -> None:
    """Have a socket send RST instead of FIN when it is closed."""
    if end := socket_of(wire):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, BREAK)


def cut(wire: "ConnectionIO", last_words: bytes | None) -> None:
    """End a connection: in order behind these bytes, by force where there are none."""
    assert wire.handler
    if last_words is None:
        break_on_close(wire)
    elif isinstance(wire.writer, asyncio.StreamWriter) and not wire.writer.is_closing():
        wire.writer.write(last_words)
    wire.handler.cancel()
