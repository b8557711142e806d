"""Connections of clients that use this server as their proxy.

The law of this file: a CONNECT to a host that is ours is answered by us, with TLS under our CA; one to
any other host is a tunnel, whose bytes nobody looks at. Ours are the hosts of the recordings, those on
the user's list, and all known providers, whose traffic must not reach them from here. A request with a
whole URL, as clients ask a proxy without TLS, is always ours: it matches or misses.
"""

import asyncio
import ssl
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, cast

from harness.authority import Authority
from harness.core.hosts import Hosts, provider_of
from harness.core.url import PORTS, origin, origin_text
from harness.replay.connection import UNSENT_LIMIT, Connection
from harness.replay.reader import HEAD_LIMIT
from harness.replay.sealed import Sealed

CONNECT = b"CONNECT "
HEAD_END = b"\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
HANDSHAKE = 0x16
"""The first byte of TLS (RFC 8446, 5.1); no method of HTTP begins with it."""
CONNECT_S = 30.0


class Doors:
    """Which hosts are ours, and what it takes to speak TLS as one of them.

    `origins` are those of the recordings, as `harness.core.url.origin_text` writes them.
    """

    def __init__(self, authority: Authority, hosts: Iterable[Hosts], origins: Iterable[str]) -> None:
        self.authority = authority
        self.hosts = (*hosts, *(Hosts(host, port) for host, port in map(place, origins)))
        self.contexts: dict[str, ssl.SSLContext] = {}
        self.told: set[str] = set()
        for recorded in origins:
            self.context(place(recorded)[0])

    def are_ours(self, host: str, port: int) -> bool:
        """Whether requests to a host are answered here."""
        return provider_of(host) is not None or any(one.fit(host, port) for one in self.hosts)

    def context(self, host: str) -> ssl.SSLContext:
        """For TLS as this host; made once."""
        if host not in self.contexts:
            self.contexts[host] = self.authority.context(host)
        return self.contexts[host]

    def tell(self, host: str, port: int) -> None:
        """Say once for each host that it is reached through us, and not replayed."""
        if (where := f"{host}:{port}") not in self.told:
            self.told.add(where)
            print(f"harness replay: {where} passes as it is", file=sys.stderr, flush=True)


def place(url: str) -> tuple[str, int]:
    """Host and port of an origin, whose port is stated or its scheme's own."""
    scheme, host, port = origin(url)
    return host, port or PORTS[scheme]


class ProxyConnection(Connection):
    """A client's connection to a proxy. `step` takes the bytes that come in, and when they came."""

    def __init__(self, doors: Doors, *rest: Any) -> None:
        super().__init__(*rest)
        self.doors = doors
        self.begun = b""
        self.place = ("", 0)
        self.tunnel: Tunnel | None = None
        self.sealed: Sealed | None = None
        self.reader.proxied = True
        self.step: Callable[[bytes, int], None] = self.begin

    def received(self, data: bytes, arrived_ns: int) -> None:
        """Take what was read."""
        self.step(data, arrived_ns)

    def begin(self, data: bytes, arrived_ns: int) -> None:
        """The beginning: a CONNECT, or requests with whole URLs."""
        self.begun += data
        if not CONNECT.startswith(self.begun[: len(CONNECT)]):
            self.step = super().received
            self.step(self.begun, arrived_ns)
        elif HEAD_END in self.begun:
            head, _, rest = self.begun.partition(HEAD_END)
            self.connect(head.split(b" ")[1], rest, arrived_ns)
        elif len(self.begun) > HEAD_LIMIT:
            self.refuse_with(431)

    def connect(self, target: bytes, rest: bytes, arrived_ns: int) -> None:
        """Answer a CONNECT: ours, a tunnel, or no place at all."""
        try:
            host, port = place(f"https://{target.decode('ascii')}")
        except ValueError:
            self.refuse_with(400)
            return
        self.place = host, port
        if self.doors.are_ours(host, port):
            self.transport.write(ESTABLISHED)
            self.step = self.look_inside
            if rest:
                self.step(rest, arrived_ns)
        else:
            self.doors.tell(host, port)
            self.tunnel = Tunnel(self, rest)
            self.step = self.tunnel.send

    def refuse_with(self, status: int) -> None:
        """Refuse what is no request to a proxy."""
        self.reader.refused = status
        self.go_on()

    def look_inside(self, data: bytes, arrived_ns: int) -> None:
        """The first bytes behind a CONNECT: TLS or not."""
        host, port = self.place
        secure = data[0] == HANDSHAKE
        bare = f"[{host}]" if ":" in host else host
        self.reader.base = origin_text(f"{'https' if secure else 'http'}://{bare}:{port}")
        if secure:
            self.sealed = Sealed(self.doors.context(host))
            self.step = self.unseal
        else:
            self.step = super().received
        self.step(data, arrived_ns)

    def unseal(self, data: bytes, arrived_ns: int) -> None:
        """Bytes of TLS: what they say came when their last byte did."""
        assert self.sealed is not None
        try:
            said = self.sealed.take(data)
        except ssl.SSLError as error:
            self.distrusted(error)
            return
        self.transport.write(self.sealed.answer())
        if self.sealed.shaken:
            self.seal = self.sealed.seal
        if said:
            super().received(said, arrived_ns)
        if self.sealed.over:  # who closes the sending side counts as gone, here as well
            self.hang_up()

    def distrusted(self, error: ssl.SSLError) -> None:
        """The client broke TLS off: at the beginning most do because they do not trust our CA."""
        assert self.sealed is not None
        if not self.sealed.shaken:
            why = (error.reason or "an error").lower().replace("_", " ")
            hint = "does the client trust our CA, as docs/proxy-mode.md says?"
            text = f"TLS for {self.place[0]} failed ({why}): {hint}"
            print(f"harness replay: {text}", file=sys.stderr, flush=True)
        self.transport.write(self.sealed.answer())
        self.transport.close()

    def hang_up(self) -> None:
        """Close in order."""
        if self.sealed and not self.transport.is_closing():
            self.transport.write(self.sealed.farewell())
        super().hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left: nothing of it stays open."""
        super().connection_lost(exc)
        if self.tunnel:
            self.tunnel.close()

    def pause_writing(self) -> None:
        """The client reads slowly: so the far end must wait."""
        super().pause_writing()
        if self.tunnel:
            self.tunnel.hold(paused=True)

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        if self.tunnel:
            self.tunnel.hold(paused=False)


class Tunnel(asyncio.Protocol):
    """The far end of a tunnel, whose bytes go to a client and back."""

    def __init__(self, client: ProxyConnection, first: bytes) -> None:
        self.client = client
        self.waiting = [first] if first else []
        self.transport: asyncio.Transport | None = None
        self.opening = asyncio.ensure_future(self.open())

    async def open(self) -> None:
        """Connect, and tell the client whether it worked."""
        host, port = self.client.place
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.create_connection(lambda: self, host, port)
        except (OSError, TimeoutError):
            self.client.refuse_with(502)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The far end is there, and the client, unless it left meanwhile."""
        self.transport = cast("asyncio.Transport", transport)
        if self.client.transport.is_closing():
            self.transport.close()
            return
        self.transport.set_write_buffer_limits(high=UNSENT_LIMIT)
        self.client.transport.write(ESTABLISHED)
        for data in self.waiting:
            self.transport.write(data)

    def send(self, data: bytes, _arrived_ns: int) -> None:
        """Bytes from the client."""
        if self.transport is None:
            self.waiting.append(data)
        else:
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Bytes from the far end."""
        self.client.transport.write(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The far end has closed."""
        self.client.transport.close()

    def pause_writing(self) -> None:
        """The far end reads slowly: so the client must wait."""
        self.client.transport.pause_reading()

    def resume_writing(self) -> None:
        """The far end has caught up."""
        self.client.transport.resume_reading()

    def hold(self, *, paused: bool) -> None:
        """Read from the far end, or do not."""
        if self.transport is not None:
            with suppress(RuntimeError):  # it is closing
                self.transport.pause_reading() if paused else self.transport.resume_reading()

    def close(self) -> None:
        """Let go of the far end, or do so once it is there."""
        if self.transport is not None:
            self.transport.close()
