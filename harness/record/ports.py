"""Sockets for the listeners: opened, or refused in words, before anything is started.

The law of this file: who is told a port has it, from here on. The sockets are bound and handed to the
proxy as open files, so that no two recorders that start at the same moment choose the same port. The
proxy listens once it can answer: a client that comes sooner is refused, and does not wait unseen.
"""

import errno
import socket
from contextlib import ExitStack

from harness.core.errors import BadInput

LAST = 65535
BACKLOG = 4096


def listening(host: str, first: int, count: int) -> list[socket.socket]:
    """As many sockets bound to `host`: at ports from `first` on, or at any with 0.

    BadInput where that cannot be; nothing is left open then.
    """
    if first + count - 1 > LAST:
        raise BadInput(f"--port {first}: {count} upstreams need {count} ports, and {LAST} is the last one")
    wanted = [first + number if first else 0 for number in range(count)]
    with ExitStack() as held:
        sockets = [held.enter_context(listener(host, port)) for port in wanted]
        held.pop_all()
    return sockets


def listener(host: str, port: int) -> socket.socket:
    """A socket that holds this address; BadInput if that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # else others could bind it as well
    except OSError as error:
        opened.close()
        advice = "try --port 0, or another" if error.errno == errno.EADDRINUSE else "is --host right?"
        raise BadInput(f"cannot listen on {host}:{port}: {error.strerror or error}; {advice}") from None
    return opened


def free_ports(host: str, first: int, count: int) -> list[int]:
    """The ports of such sockets, closed again: for programs that can only be told a number."""
    sockets = listening(host, first, count)
    ports = [port_of(one) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def port_of(opened: socket.socket) -> int:
    """The port that a socket holds."""
    port: int = opened.getsockname()[1]
    return port
