"""Ports for the listeners: checked, or found, before anything is started."""

import errno
import socket
from contextlib import ExitStack

from harness.core.errors import BadInput

LAST = 65535


def free_ports(host: str, first: int, count: int) -> list[int]:
    """As many free ports on `host`: from `first` on, or any with 0. BadInput where that cannot be.

    They are not held: mitmproxy opens them itself, and says so if somebody else was quicker.
    """
    if first + count - 1 > LAST:
        raise BadInput(f"--port {first}: {count} upstreams need {count} ports, and {LAST} is the last one")
    wanted = [first + number if first else 0 for number in range(count)]
    with ExitStack() as held:
        probes = [held.enter_context(bound(host, port)) for port in wanted]
        return [probe.getsockname()[1] for probe in probes]


def bound(host: str, port: int) -> socket.socket:
    """A socket that is bound to this address, as a server would be; BadInput if that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    probe = socket.socket(family, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
    except OSError as error:
        probe.close()
        advice = "try --port 0, or another" if error.errno == errno.EADDRINUSE else "is --host right?"
        raise BadInput(f"cannot listen on {host}:{port}: {error.strerror or error}; {advice}") from None
    return probe
