# mypy: allow-untyped-calls
"""The mitmproxy addon that writes down what passes.

The law of this file: everything here runs on the one loop that forwards the traffic. A chunk is
stamped, kept and passed on, nothing else: no parsing, no waiting, no writing, nothing that can raise.
Stamps are those of the loop's pass (`harness.record.lag`), on `time.monotonic_ns`. t0 is the stamp of
the `request` hook, which mitmproxy calls when it holds the last byte of the request. Order of the
hooks: `requestheaders`, `request`, `responseheaders`, the tee for each chunk, `response` or `error`.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mitmproxy import connection, http, tcp, tls
from mitmproxy.net.http import status_codes
from mitmproxy.proxy import server_hooks
from mitmproxy.proxy.layers.http._http1 import make_error_response

from harness.core.exchange import REQUEST_LIMIT
from harness.record.backlog import Ends, ends_of
from harness.record.ends import LEFT, How, told
from harness.record.http1 import UPLOAD
from harness.record.lag import LagSelector
from harness.record.message import STAMP, Kind, Passed, encode, passed, plain
from harness.record.uploads import Uploads
from harness.record.ways import Way

CRASHED = "mitmproxy has crashed"

TOO_LARGE = f"its body is over {REQUEST_LIMIT // 2**20} MiB: it passes, but is not recorded"

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
    ends: Ends
    request: dict[str, Any]
    t0: int = 0
    body: bytes = b""
    response: dict[str, Any] | None = None
    headers: int = 0
    connected: int = 0
    stamps: "array[int]" = field(default_factory=lambda: array(STAMP))
    chunks: list[bytes] = field(default_factory=list)
    upload: int = 0
    """The number under which its body went to the writer in parts; 0: it is in `body`."""
    uploaded: int = 0
    over: bool = False
    """It was handed over, or nothing is recorded of it."""

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
    """One per proxy. `way` finds a request's upstream; `send` takes the bytes of a message.

    `holding` holds clients back that are too fast. `finished` counts the exchanges that were handed over.
    """

    def __init__(
        self, way: Way, send: Callable[[bytes], None], loop: LagSelector, holding: Uploads | None = None
    ) -> None:
        self.way = way
        self.send = send
        self.loop = loop
        self.holding = holding or Uploads()
        self.open: dict[str, Open] = {}
        self.finished = 0
        self.connected: dict[str, int] = {}
        self.switched: set[str] = set()
        self.uploads = 0

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Write the request down as the client sent it, and turn it towards its upstream."""
        request = flow.request
        if flow.response:  # it was refused (`harness.record.gate`)
            return
        asked = {
            "method": request.method,
            "path": request.path,
            "http_version": request.http_version,
            "headers": fields_of(request.headers),
        }
        target = self.way.turn(flow)
        if target is None:
            request.stream = True
            return
        ends = ends_of(flow.client_conn)
        exchange = self.open[flow.id] = Open(flow.client_conn.id, ends, asked | target._asdict())
        self.holding.release(ends)
        flow.metadata[UPLOAD] = lambda data: self.upload(exchange, data)

    def upload(self, exchange: Open, data: bytes) -> bytes:
        """Send a part of a large request body to the writer, before it goes to the upstream."""
        if data and not exchange.over:
            head: dict[str, Any] = {"kind": Kind.UPLOAD}
            if not exchange.upload:
                self.uploads += 1
                exchange.upload = self.uploads
                head["open"] = [other.upload for other in self.open.values() if other.upload]
            exchange.uploaded += len(data)
            if exchange.uploaded <= REQUEST_LIMIT:
                head["upload"] = exchange.upload
                self.send(encode(head, data, array(STAMP), ()))
            else:
                self.pass_by(exchange, TOO_LARGE, Kind.TROUBLE)
            if self.holding.behind and self.only_uploads(exchange.client):
                self.holding.hold(exchange.ends)
        return data

    def only_uploads(self, client: str) -> bool:
        """Whether a client sends large bodies and waits for nothing."""
        theirs = [exchange for exchange in self.open.values() if exchange.client == client]
        return all(one.upload and not one.t0 and not one.over for one in theirs)

    def request(self, flow: http.HTTPFlow) -> None:
        """The last byte of the request is here: t0."""
        if exchange := self.open.get(flow.id):
            exchange.t0 = exchange.t0 or self.loop.returned
            exchange.body = flow.request.raw_content or b""
            self.holding.release(exchange.ends)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """The head of the response is here: put the tee on its body."""
        response = flow.response
        if response is None:
            return
        exchange = self.open.get(flow.id)
        if exchange is None or exchange.over:
            response.stream = True
            return
        if response.status_code == status_codes.SWITCHING:
            self.switch(flow, self.open.pop(flow.id))
            return
        self.holding.release(exchange.ends)
        exchange.headers = self.loop.returned
        exchange.t0 = exchange.t0 or exchange.headers  # an answer to half a request, such as a 413
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
        self.holding.release(exchange.ends)
        exchange.connected = exchange.connected or self.connected.get(flow.server_conn.id, 0)
        if exchange.upload and flow.client_conn.connected:
            exchange.t0 = exchange.t0 or now  # the client was answered before it had said all
        if how is How.ERROR and not exchange.connected and not message.startswith(LEFT):
            answer_for(exchange, message, now)
        self.hand_over(exchange, how, message, now)

    def hand_over(self, exchange: Open, how: How, message: str, now: int) -> None:
        """Send the exchange to the writer."""
        if exchange.over:
            return
        if not exchange.t0:
            self.pass_by(exchange, why_no_exchange(exchange.request["method"], message))
            return
        exchange.over = True
        end = exchange.end(now)
        head = {
            "kind": Kind.EXCHANGE,
            "how": how,
            "message": message,
            "request": exchange.request,
            "upload": exchange.upload,
            "uploaded": exchange.uploaded,
            "response": exchange.response,
            "t0": exchange.t0,
            "headers": exchange.headers,
            "end": end,
            "connected": exchange.connected,
            "error_bound": self.loop.bound_since(exchange.t0),
        }
        self.finished += 1
        self.send(encode(head, exchange.body, exchange.stamps, exchange.chunks))

    def pass_by(self, exchange: Open, why: str, kind: Kind = Kind.NOTE) -> None:
        """Say that an exchange is not recorded, and forget what was sent of it."""
        exchange.over = True
        if exchange.upload:
            self.send(encode({"kind": Kind.FORGET, "upload": exchange.upload}, b"", array(STAMP), ()))
        self.send(plain(kind, f"{named(exchange)}: {why}"))

    def switch(self, flow: http.HTTPFlow, exchange: Open) -> None:
        """The connection goes on in another protocol, such as WebSocket, and is counted."""
        self.switched.add(flow.client_conn.id)
        exchange.over = True
        socket = flow.request.headers.get("upgrade", "").lower() == "websocket"
        what = Passed.WEBSOCKET if socket else Passed.CONNECTION
        self.send(passed(what, f"{named(exchange)}: switches to another protocol; not recorded"))

    def tcp_start(self, flow: tcp.TCPFlow) -> None:
        """A connection goes on in another protocol, or never was HTTP."""
        if flow.client_conn.id not in self.switched and flow.server_conn.address:
            host, port, *_ = flow.server_conn.address
            self.send(passed(Passed.CONNECTION, f"{host}:{port}: speaks no HTTP; not recorded"))

    def tcp_message(self, flow: tcp.TCPFlow) -> None:
        """Keep nothing of it, as mitmproxy would."""
        flow.messages.clear()

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
        return [named(exchange) for exchange in given_up]

    def client_disconnected(self, client: connection.Client) -> None:
        """Nothing of a client that is gone can still be open, whatever mitmproxy forgot to say."""
        for key in [key for key, exchange in self.open.items() if exchange.client == client.id]:
            self.hand_over(self.open.pop(key), How.GONE, "", self.loop.returned)
        self.switched.discard(client.id)

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


def named(exchange: Open) -> str:
    """Method and path, as people read them."""
    return f"{exchange.request['method']} {exchange.request['path']}"


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
