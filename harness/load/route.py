"""The way to a target: its address, a proxy if the environment names one, TLS; and connecting.

The law of this file: plain `socket` and `ssl`, so that Locust's monkey-patching makes all of it
cooperative. Proxies come from `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` as curl and urllib read them:
http goes through a proxy with absolute URLs, https through a tunnel (CONNECT, RFC 9110, 9.3.6).
"""

import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib import request as environment
from urllib.parse import unquote, urlsplit

from harness.core.errors import BadInput
from harness.core.url import PORTS, authority_of, origin
from harness.load.plan import Call

TUNNEL_HEAD = 65_536
OURS = frozenset({
    "accept-encoding", "connection", "content-length", "host", "proxy-authorization", "transfer-encoding",
})  # fmt: skip
"""Headers that the worker writes itself, whatever a call holds."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy of the environment; `authorization` is the header's value, None: it wants none."""

    host: str
    port: int
    authorization: str | None

    @classmethod
    def of(cls, url: str) -> Self:
        """The proxy that a variable names. BadInput: it is no http URL."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme != "http" or not parts.hostname:
            raise BadInput("the proxy that HTTP_PROXY or HTTPS_PROXY names is no http:// URL")
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
        basic = f"Basic {b64encode(user.encode()).decode()}" if user else None
        return cls(parts.hostname, parts.port or 80, basic)


@dataclass(frozen=True, slots=True)
class Route:
    """Where requests go. `authority` is host and port as the Host header has it, `prefix` the URL's path."""

    secure: bool
    host: str
    port: int
    authority: str
    prefix: str
    proxy: Proxy | None = None
    tls: ssl.SSLContext | None = None

    @classmethod
    def to(cls, target: str, ca_file: Path | str | None = None) -> Self:
        """The way to a base URL. BadInput: the URL, its proxy or the CA file cannot be used."""
        try:
            scheme, host, given = origin(target)
        except ValueError as error:
            raise BadInput(f"the target {error}: use something like http://127.0.0.1:8000") from None
        port = given or PORTS[scheme]
        return cls(
            secure=scheme == "https",
            host=host,
            port=port,
            authority=authority_of(scheme, host, port),
            prefix=urlsplit(target).path.rstrip("/"),
            proxy=proxy_for(scheme, host, given),
            tls=trust(ca_file) if scheme == "https" else None,
        )

    def connect(self, timeout_s: float) -> socket.socket:
        """A connection, ready for a request. OSError (TimeoutError, ssl.SSLError) where there is none."""
        first = self.proxy or self
        sock = socket.create_connection((first.host, first.port), timeout=timeout_s)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.proxy and self.secure:
                tunnel(sock, self.authority_with_port, self.proxy)
            return self.tls.wrap_socket(sock, server_hostname=self.host) if self.tls else sock
        except BaseException:
            sock.close()
            raise

    @property
    def authority_with_port(self) -> str:
        """Host and port, the port always."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def request_target(self, path: str) -> str:
        """What stands in the request line: with a proxy for http the whole URL (RFC 9112, 3.2.2)."""
        through = f"http://{self.authority}" if self.proxy and not self.secure else ""
        return f"{through}{self.prefix}{path}"

    def proxy_headers(self) -> dict[str, str]:
        """What a proxy for http wants to know of every request; a tunnel's is told once."""
        known = self.proxy.authorization if self.proxy and not self.secure else None
        return {"Proxy-Authorization": known} if known else {}

    def request(
        self, call: Call, extra: Mapping[str, str], *, keep_alive: bool = True
    ) -> tuple[bytes, bytes]:
        """A call as bytes, cut where more header lines may be put in; `extra` headers win over the call's."""
        body = call.body.encode()
        taken = OURS | {name.lower() for name in extra}
        headers = [("Host", self.authority), ("Accept-Encoding", "identity")]
        headers += [(name, value) for name, value in call.headers if name.lower() not in taken]
        headers += extra.items()
        if body or call.method not in ("GET", "HEAD"):
            headers.append(("Content-Length", str(len(body))))
        if not keep_alive:
            headers.append(("Connection", "close"))
        headers += self.proxy_headers().items()
        lines = [f"{call.method} {self.request_target(call.path)} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers]
        return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape"), b"\r\n" + body


def proxy_for(scheme: str, host: str, port: int | None) -> Proxy | None:
    """The proxy that the environment names for a host; None: go straight."""
    proxies = environment.getproxies_environment()
    url = proxies.get(scheme) or proxies.get("all")
    bypass = environment.proxy_bypass_environment(  # type: ignore[attr-defined]  # of the stubs
        f"{host}:{port}" if port else host, proxies
    )
    return Proxy.of(url) if url and not bypass else None


def trust(ca_file: Path | str | None) -> ssl.SSLContext:
    """What TLS trusts: the system's authorities, and those of a file. BadInput: it holds none."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except ssl.SSLError:
            raise BadInput(f"--ca-file {ca_file} holds no certificates in PEM form") from None
        except OSError as error:
            raise BadInput(f"--ca-file {ca_file} cannot be read: {error.strerror}") from None
    return context


def tunnel(sock: socket.socket, authority: str, proxy: Proxy) -> None:
    """Have a proxy connect to a host. OSError where it does not."""
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    sock.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        data = sock.recv(1)  # one by one, since what follows belongs to TLS
        head += data
        if not data or len(head) > TUNNEL_HEAD:
            raise ConnectionError("the proxy closed the connection")
    status = head.split(b" ", 2)[1:2]
    if not status or not status[0].startswith(b"2"):
        raise ConnectionError(f"the proxy refused a tunnel: {status[0].decode('latin-1') if status else '?'}")
