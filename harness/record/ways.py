# mypy: allow-untyped-calls
"""The ways in: how a request finds its upstream, and which connections are looked into at all.

The law of this file: a way knows mitmproxy's requests and decides; it keeps nothing of what passes.
`Reverse`: one plain listener an upstream, whose address clients use as their base URL. `Forward`: one
listener that clients use as their proxy; what is not on the list of hosts passes as it is, through the
tunnel that the client asked for, with its own TLS to its own server.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple, Protocol

from mitmproxy import http, tls
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers import TCPLayer

from harness.core.url import authority_of, origin
from harness.record.http1 import TUNNEL
from harness.record.message import Kind, Passed, passed, plain
from harness.record.origins import Origins
from harness.record.upstream import Upstream

PREFACE = b"PRI"
"""How HTTP/2 without TLS begins (RFC 9113, 3.4); no method of HTTP/1.1 does."""


US = ("localhost", "127.0.0.1", "::1")
NO_SERVER = (
    "the recorder was asked as a server, and is a proxy here; not recorded (--mode reverse is for that)"
)


class Target(NamedTuple):
    """The name of a request's upstream, and the URL at which that one is asked."""

    upstream: str
    url: str


class Way(Protocol):
    """An addon of mitmproxy that turns requests towards their upstreams."""

    def turn(self, flow: http.HTTPFlow) -> Target | None:
        """Turn a request towards its upstream; None: it passes unrecorded."""


class Reverse:
    """Clients use our address as their base URL. `upstreams` are by listening port."""

    def __init__(self, upstreams: Mapping[int, Upstream], send: Callable[[bytes], None]) -> None:
        self.upstreams = upstreams
        self.send = send

    def turn(self, flow: http.HTTPFlow) -> Target:
        """Put the upstream's address and prefix into the request."""
        request, asked = flow.request, flow.request.path
        upstream = self.upstreams[flow.client_conn.sockname[1]]
        rooted = upstream.path(asked if asked.startswith("/") else f"/{asked}")  # the `*` of OPTIONS
        request.scheme = upstream.scheme
        request.host_header = upstream.authority
        if asked.startswith("/"):
            request.path = rooted
        return Target(upstream.name, f"{upstream.scheme}://{upstream.authority}{rooted}")

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Say that a redirection leads past us."""
        response = flow.response
        if response and 300 < response.status_code < 400:
            with suppress(ValueError):
                scheme, host, _ = origin(response.headers.get("location", ""))
                text = f"redirects to {scheme}://{host}, past the recorder: what follows is not recorded"
                self.send(plain(Kind.NOTE, f"{flow.request.method} {flow.request.path}: {text}"))

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Refuse TLS from a client in words, since this listens in plain HTTP; take HTTP/2 as it comes."""
        data = nextlayer.data_client()
        if data.startswith(PREFACE) and nextlayer.context.client.alpn is None:
            nextlayer.context.client.alpn = b"h2"  # as a client with TLS would have agreed with us
            nextlayer.context.client.alpn_offers = (b"h2", b"http/1.1")
        elif starts_like_tls_record(data) and not nextlayer.layer:
            nextlayer.layer = Refusal(nextlayer.context)
            self.send(plain(Kind.NOTE, "a client spoke TLS; the recorder listens at http://, not https://"))


class Forward:
    """Clients use our address as their proxy."""

    def __init__(self, origins: Origins, send: Callable[[bytes], None]) -> None:
        self.origins = origins
        self.send = send
        self.told: set[str] = set()

    def turn(self, flow: http.HTTPFlow) -> Target | None:
        """Name the request's origin, and leave it as it is."""
        request = flow.request
        if flow.error:  # no request at all, which is told of in a moment
            return Target("", "")
        if request.port == flow.client_conn.sockname[1] and request.host in (
            flow.client_conn.sockname[0],
            *US,
        ):
            self.send(plain(Kind.NOTE, f"{request.method} {request.path}: {NO_SERVER}"))
            return None
        if not self.origins.records(request.host, request.port):
            self.let_pass(request.host, request.port)
            return None
        authority = authority_of(request.scheme, request.host, request.port)
        rooted = request.path if request.path.startswith("/") else f"/{request.path}"
        name = self.origins.name(request.scheme, request.host, request.port, request.path)
        return Target(name, f"{request.scheme}://{authority}{rooted}")

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """A client asks for a tunnel."""
        flow.metadata[TUNNEL] = not self.origins.records(flow.request.host, flow.request.port)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Leave alone what is in the tunnel to a host that is not recorded."""
        address = nextlayer.context.server.address
        if address and not nextlayer.layer and not self.origins.records(*address[:2]):
            nextlayer.layer = TCPLayer(nextlayer.context, ignore=True)
            self.let_pass(*address[:2])

    def let_pass(self, host: str, port: int) -> None:
        """Say once for each host that it passes."""
        where = f"{host}:{port}"
        if where not in self.told:
            self.told.add(where)
            text = f"{where} passes as it is, not recorded; --allow-host {host} would record it"
            self.send(passed(Passed.HOST, text))

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Say that a client does not trust us, or left."""
        address = data.context.server.address
        host = data.conn.sni or (address[0] if address else "a host")
        text = f"a client broke off TLS for {host}: does it trust our CA, as docs/proxy-mode.md says?"
        self.send(plain(Kind.NOTE, f"{text} not recorded"))


class ServerFirst:
    """An addon behind mitmproxy's TlsConfig: TLS with a server comes before TLS with its client.

    So the client is offered the protocol that its server speaks, and the set-up is over before t0.
    """

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """A client begins TLS with a host that is recorded."""
        data.establish_server_tls_first = True


class Refusal(layer.Layer):
    """Closes the client's connection."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start):
            yield commands.CloseConnection(self.context.client)
