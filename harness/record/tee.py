# mypy: allow-untyped-calls
"""The mitmproxy addon that writes down what passes.

The law of this file: everything here runs on the one loop that forwards the traffic. A chunk is
stamped, kept and passed on, nothing else: no parsing, no waiting, no writing, nothing that can raise.
Stamps are those of the loop's pass (`harness.record.lag`), on `time.monotonic_ns`. t0 is the stamp of
the `request` hook, which mitmproxy calls when it holds the last byte of the request. Order of the
hooks: `requestheaders`, `request`, `responseheaders`, the tee for each chunk, `response` or `error`.
"""

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mitmproxy import connection, http, tls
from mitmproxy.net.http import status_codes
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import commands, events, layer, server_hooks
from mitmproxy.proxy.layers.http._http1 import make_error_response

from harness.record.ends import LEFT, How, told
from harness.record.lag import LagSelector
from harness.record.message import STAMP, Kind, encode, plain
from harness.record.upstream import Upstream

CRASHED = "mitmproxy has crashed"

PREFACE = "PRI"
"""What mitmproxy takes the beginning of an HTTP/2 connection for (RFC 9113, 3.4)."""

type Fields = list[list[str]]
"""Header names and values, as JSON holds them."""


def fields_of(headers: http.Headers) -> Fields:
    """Headers as they came off the wire, bytes that are no UTF-8 as surrogate escapes."""
    return [[_text(name), _text(value)] for name, value in headers.fields]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@dataclass(slots=True)
class Open:
    """An exchange that is under way. Times are stamps of the monotonic clock in ns, 0: not yet."""

    client: str
    request: dict[str, Any]
    t0: int = 0
    body: bytes = b""
    response: dict[str, Any] | None = None
    headers: int = 0
    connected: int = 0
    stamps: "array[int]" = field(default_factory=lambda: array(STAMP))
    chunks: list[bytes] = field(default_factory=list)

    def tee(self, loop: LagSelector) -> Callable[[bytes], bytes]:
        """What mitmproxy calls for each chunk before it goes to the client; last with no bytes."""
        stamp, keep = self.stamps.append, self.chunks.append

        def tee(data: bytes) -> bytes:
            stamp(loop.returned)
            keep(data)
            return data

        return tee

    def end(self, now: int) -> int:
        """The stamp of the body's end: that of the call without bytes, which is taken off, else `now`."""
        if self.chunks and not self.chunks[-1]:
            self.chunks.pop()
            return self.stamps.pop()
        return now


class Tee:
    """One per proxy. `upstreams` are by listening port; `send` takes the bytes of a message.

    `finished` counts the exchanges that were handed over.
    """

    def __init__(
        self, upstreams: Mapping[int, Upstream], send: Callable[[bytes], None], loop: LagSelector
    ) -> None:
        self.upstreams = upstreams
        self.send = send
        self.loop = loop
        self.open: dict[str, Open] = {}
        self.finished = 0
        self.connected: dict[str, int] = {}

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Write the request down as the client sent it, and turn it towards its upstream."""
        request = flow.request
        if flow.response:  # it was refused (`harness.record.gate`)
            return
        if request.method == PREFACE:
            self.send(plain(Kind.NOTE, "a client spoke HTTP/2 without TLS, which cannot be recorded"))
            return
        upstream = self.upstreams[flow.client_conn.sockname[1]]
        self.open[flow.id] = Open(
            flow.client_conn.id,
            {
                "upstream": upstream.name,
                "method": request.method,
                "path": request.path,
                "http_version": request.http_version,
                "headers": fields_of(request.headers),
            },
        )
        request.scheme = upstream.scheme
        request.host_header = upstream.authority
        if request.path.startswith("/"):  # not the `*` of OPTIONS
            request.path = upstream.path(request.path)

    def request(self, flow: http.HTTPFlow) -> None:
        """The last byte of the request is here: t0."""
        if exchange := self.open.get(flow.id):
            exchange.t0 = self.loop.returned
            exchange.body = flow.request.raw_content or b""

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """The head of the response is here: put the tee on its body."""
        response = flow.response
        if response is None or not (exchange := self.open.get(flow.id)):
            return
        if response.status_code == status_codes.SWITCHING:
            self.pass_by(self.open.pop(flow.id), "switches to another protocol; not recorded")
            return
        exchange.headers = self.loop.returned
        exchange.connected = self.connected.get(flow.server_conn.id, 0)
        exchange.response = {
            "status": response.status_code,
            "http_version": response.http_version,
            "headers": fields_of(response.headers),
        }
        response.stream = exchange.tee(self.loop)

    def response(self, flow: http.HTTPFlow) -> None:
        """The body has ended as its framing says."""
        self.finish(flow, How.RESPONSE)

    def error(self, flow: http.HTTPFlow) -> None:
        """Anything else ended the exchange."""
        self.finish(flow, How.ERROR, flow.error.msg if flow.error else "")

    def finish(self, flow: http.HTTPFlow, how: How, message: str = "") -> None:
        """Hand an exchange over; what was handed over before, or never came to be, is left alone."""
        now = self.loop.returned
        if not (exchange := self.open.pop(flow.id, None)):
            return
        exchange.connected = exchange.connected or self.connected.get(flow.server_conn.id, 0)
        if how is How.ERROR and not exchange.connected and not message.startswith(LEFT):
            answer_for(exchange, message, now)
        self.hand_over(exchange, how, message, now)

    def hand_over(self, exchange: Open, how: How, message: str, now: int) -> None:
        """Send the exchange to the writer."""
        if not exchange.t0:
            self.pass_by(exchange, why_no_exchange(exchange.request["method"], message))
            return
        end = exchange.end(now)
        head = {
            "kind": Kind.EXCHANGE,
            "how": how,
            "message": message,
            "request": exchange.request,
            "response": exchange.response,
            "t0": exchange.t0,
            "headers": exchange.headers,
            "end": end,
            "connected": exchange.connected,
            "error_bound": self.loop.bound_since(exchange.t0),
        }
        self.finished += 1
        self.send(encode(head, exchange.body, exchange.stamps, exchange.chunks))

    def pass_by(self, exchange: Open, why: str) -> None:
        """Say that an exchange is not recorded, which is as it should be."""
        request = exchange.request
        self.send(plain(Kind.NOTE, f"{request['method']} {request['path']}: {why}"))

    def interrupt(self) -> None:
        """Hand over everything that is open: the recorder stops."""
        while self.open:
            _, exchange = self.open.popitem()
            self.hand_over(exchange, How.STOP, "", self.loop.returned)

    def give_up(self, client: str) -> list[str]:
        """Hand over what is open of a client whose connection mitmproxy has lost control of; what that is."""
        given_up = [self.open.pop(key) for key, exchange in [*self.open.items()] if exchange.client == client]
        for exchange in given_up:
            self.hand_over(exchange, How.CRASHED, CRASHED, self.loop.returned)
        return [f"{exchange.request['method']} {exchange.request['path']}" for exchange in given_up]

    def client_disconnected(self, client: connection.Client) -> None:
        """Nothing of a client that is gone can still be open, whatever mitmproxy forgot to say."""
        for key in [key for key, exchange in self.open.items() if exchange.client == client.id]:
            self.hand_over(self.open.pop(key), How.GONE, "", self.loop.returned)

    def server_connected(self, data: server_hooks.ServerConnectionHookData) -> None:
        """TCP is there (TLS, if there is any, is still to come)."""
        self.connected[data.server.id] = self.loop.returned

    def tls_established_server(self, data: tls.TlsData) -> None:
        """TLS is there."""
        self.connected[data.conn.id] = self.loop.returned

    def tls_failed_server(self, data: tls.TlsData) -> None:
        """TLS failed: there is no connection that could carry a request."""
        self.connected.pop(data.conn.id, None)

    def server_disconnected(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Forget the connection."""
        self.connected.pop(data.server.id, None)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Refuse TLS from a client in words: this proxy listens in plain HTTP."""
        if starts_like_tls_record(nextlayer.data_client()) and not nextlayer.layer:
            nextlayer.layer = Refusal(nextlayer.context)
            self.send(plain(Kind.NOTE, "a client spoke TLS; the recorder listens at http://, not https://"))


class Refusal(layer.Layer):
    """Closes the client's connection."""

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.Start):
            yield commands.CloseConnection(self.context.client)


def why_no_exchange(method: str, message: str) -> str:
    """Why there is no t0: mitmproxy's word without its quotes, if it says more than that the client left.

    >>> why_no_exchange("POST", "")
    'the request was never whole; not recorded'
    """
    if method.upper() == "CONNECT":
        return "a CONNECT is for proxies, and this is reached as a server; not recorded"
    if not message or message.startswith(LEFT) or "closed connection" in message:
        return "the request was never whole; not recorded"
    return f"not recorded ({told(message, connected=True)})"


def answer_for(exchange: Open, message: str, now: int) -> None:
    """Write down the answer that mitmproxy itself gives when there is no connection to the upstream."""
    head, _, body = make_error_response(status_codes.BAD_GATEWAY, message).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    version, status, _ = first.split(b" ", 2)
    exchange.response = {
        "status": int(status),
        "http_version": _text(version),
        "headers": [[_text(part) for part in line.split(b": ", 1)] for line in lines],
    }
    exchange.headers = now
    exchange.stamps.append(now)
    exchange.chunks.append(body)
