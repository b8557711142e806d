"""Refusing the network to a test: sockets of this process reach loopback and allowed hosts, nothing else.

Python's own sockets are held, which asyncio, httpx, requests and urllib3 use; other programs and C
libraries with sockets of their own (uvloop's, gRPC's) are not.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from harness.core.errors import BadInput

LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", ""})
REACHING = ("connect", "connect_ex", "sendto")
"""Methods of sockets by which another host is reached."""
INTERNET = (socket.AF_INET, socket.AF_INET6)


class NetworkBlocked(RuntimeError):
    """A test asked for a host that it may not reach."""


class Border:
    """Who may be reached: loopback, and hosts whose name or address one of the patterns matches wholly.

    `refused` has what was asked for and refused, as people read it.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self.patterns = [pattern_of(text) for text in allowed]
        self.known: set[str] = set()
        self.refused: list[str] = []

    def lets(self, host: str) -> bool:
        """Whether a host may be reached, by its name or an address."""
        return is_loopback(host) or host in self.known or any(one.fullmatch(host) for one in self.patterns)

    def check(self, host: object, port: object) -> None:
        """NetworkBlocked for a host that may not be reached."""
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")
        if not self.lets(name):
            where = f"{name}:{port}" if port is not None else name
            self.refused.append(where)
            raise NetworkBlocked(f"network access is blocked in this test: {where}")

    def reach(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """A method of sockets that takes the address last (`REACHING`), behind the border."""

        def guarded(sock: socket.socket, *arguments: Any) -> Any:
            if sock.family in INTERNET and arguments and isinstance(arguments[-1], tuple):
                self.check(*arguments[-1][:2])
            return method(sock, *arguments)

        return guarded

    def resolve(self, getaddrinfo: Callable[..., Any]) -> Callable[..., Any]:
        """`socket.getaddrinfo` behind the border: addresses of an allowed name are allowed."""

        def guarded(host: Any, port: Any, *more: Any, **named: Any) -> Any:
            self.check(host, port)
            found = getaddrinfo(host, port, *more, **named)
            self.known.update(address[0] for *_, address in found)
            return found

        return guarded


def pattern_of(text: str) -> re.Pattern[str]:
    """An allowed host as a pattern. BadInput: it is none."""
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise BadInput(f"allowed host {text!r} is no regular expression: {error}") from None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself.

    >>> is_loopback("127.0.0.2"), is_loopback("::1"), is_loopback("10.0.0.1")
    (True, True, False)
    """
    if host.lower() in LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


@contextmanager
def blocked(allowed: Iterable[str]) -> Iterator[Border]:
    """Hold the sockets of this process while this lasts."""
    border = Border(allowed)
    kept, getaddrinfo = {name: getattr(socket.socket, name) for name in REACHING}, socket.getaddrinfo
    for name, method in kept.items():
        setattr(socket.socket, name, border.reach(method))
    socket.getaddrinfo = border.resolve(getaddrinfo)
    try:
        yield border
    finally:
        for name, method in kept.items():
            setattr(socket.socket, name, method)
        socket.getaddrinfo = getaddrinfo
