"""Reading requests off a connection: bytes in, whole requests out, with limits. Knows no socket.

One contract: `feed` returns the requests that became whole, in their order; once bytes came that are
no request, or too many, `refused` is the HTTP status that says so, and nothing more is read.
"""

from dataclasses import dataclass

import httptools

from harness.core.exchange import REQUEST_LIMIT, Request, path_of
from harness.core.url import origin_text
from harness.replay.playback import Client

HEAD_LIMIT = 64 * 1024
"""Bytes of request line and headers; more is answered with 431, or 414 where the target alone has more."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it came in, at `t0_ns` of the monotonic clock, and what its client can take.

    `origin` is whom the client of a proxy asks (`harness.core.url.origin_text`), else empty.
    """

    request: Request
    client: Client
    t0_ns: int
    keep_alive: bool
    origin: str = ""


class Refused(Exception):
    """A request that is not read to its end; `status` says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class RequestReader:
    """A parser (httptools) for one connection. Its `on_…` methods are the parser's.

    `waits`: the client sent a head that expects `100 Continue` and no body yet. `proxied`: it takes us
    for a proxy; `base` is then the origin to which it asked for a tunnel, if it did.
    """

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.refused: int | None = None
        self.waits = False
        self.proxied = False
        self.base = ""
        self.whole: list[Incoming] = []
        self.arrived_ns = 0
        self.in_head = False
        self.on_message_begin()
        self.in_head = False

    def feed(self, data: bytes, arrived_ns: int) -> list[Incoming]:
        """The requests that these bytes complete; the time of their arrival is t0 of those."""
        self.whole = []
        self.arrived_ns = arrived_ns
        if self.refused is None:
            try:
                self.parse(data)
            except httptools.HttpParserCallbackError as error:
                if not isinstance(error.__context__, Refused):
                    raise
                self.refused = error.__context__.status
            except httptools.HttpParserError:
                self.refused = 400
            except Refused as error:
                self.refused = error.status
        return self.whole

    def parse(self, data: bytes) -> None:
        """Give the parser bytes. An offer to upgrade is not taken up, as RFC 9110, 7.8 allows."""
        in_head = self.in_head
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self.parser.get_method() == b"CONNECT":
                raise Refused(405) from None
            head = self.head_without_upgrade()
            self.parser = httptools.HttpRequestParser(self)
            self.parse(head + data[offer.args[0] :])
        else:
            self.unparsed += len(data) if in_head and self.in_head else 0
            limit(self.unparsed, HEAD_LIMIT, 431)

    def head_without_upgrade(self) -> bytes:
        """The head just parsed, for a parser that is to read its body as well."""
        method, version = text(self.parser.get_method()), self.parser.get_http_version()
        lines = [f"{method} {text(self.target)} HTTP/{version}"]
        lines += [f"{name}: {value}" for name, value in self.headers if name.lower() != "upgrade"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")

    def on_message_begin(self) -> None:
        """A request begins. Its head is counted twice: parsed, and, in case it never ends, as bytes."""
        self.in_head = True
        self.target = b""
        self.headers: list[tuple[str, str]] = []
        self.body: list[bytes] = []
        self.parsed = self.unparsed = self.body_size = 0

    def on_url(self, data: bytes) -> None:
        """A piece of the target."""
        self.target += data
        limit(len(self.target), HEAD_LIMIT, 414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self.parsed += len(name) + len(value)
        limit(self.parsed, HEAD_LIMIT, 431)
        self.headers.append((text(name), text(value)))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self.in_head = False
        length = self.named("content-length") or "0"
        limit(int(length) if length.isdigit() else 0, REQUEST_LIMIT, 413)
        self.waits = (self.named("expect") or "").lower() == "100-continue"

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self.waits = False
        self.body_size += len(data)
        limit(self.body_size, REQUEST_LIMIT, 413)
        self.body.append(data)

    def on_message_complete(self) -> None:
        """The request is whole, unless its body is still to be read, after an offer to upgrade."""
        self.waits = False
        if not self.parser.should_upgrade():
            self.whole.append(self.incoming())

    def named(self, name: str) -> str | None:
        """The values of all headers of a name as one list (RFC 9110, 5.3); None: there is none."""
        values = [value for key, value in self.headers if key.lower() == name]
        return ", ".join(values) if values else None

    def incoming(self) -> Incoming:
        """The parsed request. A target may be a whole URL, as proxies are asked (RFC 9112, 3.2.2)."""
        target = text(self.target)
        absolute = target.lower().startswith(("http://", "https://"))
        method = text(self.parser.get_method())
        request = Request(
            method=method,
            url=target if absolute else f"{self.base or 'http://' + (self.named('host') or '')}{target}",
            path=path_of(target) if absolute else target,
            headers=tuple(self.headers),
            body=b"".join(self.body),
        )
        http10 = self.parser.get_http_version() == "1.0"
        client = Client(http10, method == "HEAD", self.named("accept-encoding"))
        return Incoming(
            request, client, self.arrived_ns, self.parser.should_keep_alive(), self.origin(target, absolute)
        )

    def origin(self, target: str, absolute: bool) -> str:
        """Whom the client of a proxy asks."""
        if not self.proxied or not (absolute or self.base):
            return ""
        try:
            return self.base or origin_text(target)
        except ValueError:
            raise Refused(400) from None


def limit(size: int, most: int, status: int) -> None:
    """Refuse what is too large."""
    if size > most:
        raise Refused(status)


def text(data: bytes) -> str:
    """Bytes of a head as text, reversibly."""
    return data.decode("utf-8", "surrogateescape")
