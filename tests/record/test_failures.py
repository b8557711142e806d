"""Every failure of an upstream and of a client, as a real one: without the recorder, with it, and replayed.

Each row is compared with its line in `docs/failures.md`. One recorder and one replay serve all of them.
"""

import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from harness.core.exchange import Exchange
from harness.core.visible import counted
from tests.plugins.certificates import certificate
from tests.plugins.http2 import Http2Upstream
from tests.plugins.load import replayed

if TYPE_CHECKING:
    from tests.plugins.wire import Recorder, Upstream

DOCS = Path(__file__).parents[2] / "docs" / "failures.md"
SSE = "Content-Type: text/event-stream"
FIRST = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
SECOND = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"lo"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
EVENTS = (FIRST, SECOND, DONE)
CHAT = b'{"model":"m","stream":true,"messages":[]}'
DRAINED = "HTTP/2: GOAWAY after which the answer goes on"
"""httpx gives up at any GOAWAY, but curl, Node and others read on."""
PAUSE_S = 0.05
SLOW_S = 0.3

# The recorder speaks HTTP/2 to an upstream only where its client could speak it too.
ASKS_FOR_HTTP2 = """
import sys
if "harness.record.proxy" in sys.orig_argv:
    from mitmproxy.addons.tlsconfig import TlsConfig
    correct = TlsConfig.tls_start_server
    def asking(self, tls_start):
        tls_start.conn.alpn_offers = [b"h2", b"http/1.1"]
        correct(self, tls_start)
    TlsConfig.tls_start_server = asking
"""


class Pause(threading.Event):
    """A step of an upstream that takes its time, so that what was sent before is there."""

    def __init__(self, seconds: float = PAUSE_S) -> None:
        super().__init__()
        self.seconds = seconds

    def wait(self, timeout: float | None = None) -> bool:
        super().wait(self.seconds)
        return True


def see(client: httpx.Client, url: str) -> str:
    """What a client that stays to the end sees: status, events, and the exception of httpx, if any."""
    seen = []
    data = b""
    try:
        with client.stream("POST", url, content=CHAT) as response:
            seen.append(str(response.status_code))
            for part in response.iter_raw():
                data += part
    except httpx.TransportError as error:
        end = f"`{type(error).__name__}`"
    else:
        end = "end" if response.is_success else ""
    said = [counted(data.count(b"\n\n"), "event")] if data.count(b"\n\n") else []
    return ", ".join(filter(None, [*seen, *said, end]))


def in_http2(client: httpx.Client, url: str) -> str:
    """What a client sees that speaks HTTP/2 without TLS as well."""
    if url.startswith("https:"):
        return see(client, url)
    with httpx.Client(http1=False, http2=True, trust_env=False, timeout=20) as sure_of_it:
        return see(sure_of_it, url)


def leaving(marker: bytes | None) -> Callable[[httpx.Client, str], str]:
    """What a client sees that leaves once it has read so much, or (None) in the middle of waiting."""

    def leave(_client: httpx.Client, url: str) -> str:
        parts = httpx.URL(url)
        with socket.create_connection((parts.host, parts.port), timeout=20) as connection:
            head = f"POST {parts.path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {len(CHAT)}\r\n\r\n"
            connection.sendall(head.encode() + CHAT)
            data = b""
            while marker and marker not in data:
                data += connection.recv(65536)
            if marker is None:
                threading.Event().wait(PAUSE_S)
        return f"200, {counted(data.count(b'\n\n'), 'event')}, leaves" if data else "leaves"

    return leave


@dataclass(frozen=True)
class Row:
    """A failure: at which upstream, and what happens there (steps of `tests.plugins.wire`) at which path."""

    name: str
    upstream: str = "plain"
    steps: tuple[Any, ...] = ()
    path: str = ""
    client: Callable[[httpx.Client, str], str] = field(default=see)

    @property
    def asked(self) -> str:
        return self.path or f"/{re.sub('[^a-z0-9]+', '-', self.name.lower())}/v1/chat/completions"


def head(*headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", SSE, *headers, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def rows(upstream: "type[Upstream]") -> list[Row]:
    close, reset, half, hold = upstream.CLOSE, upstream.RESET, upstream.HALF, upstream.HOLD
    chunked = head("Transfer-Encoding: chunked")
    to_close = head("Connection: close")
    long, short = head(f"Content-Length: {len(FIRST) + 10}"), head(f"Content-Length: {len(FIRST)}")
    return [
        Row("no such host", "nowhere"),
        Row("connection refused", "refused"),
        Row("TLS: certificate of an unknown authority", "stranger"),
        Row("TLS: certificate of another host", "other"),
        Row("TLS: closed in the handshake", "shut"),
        Row("closed before the answer", steps=(close,)),
        Row("reset before the answer", steps=(reset,)),
        Row("closed within the head", steps=(b"HTTP/1.1 200 OK\r\nContent-T", close)),
        Row("reset within the head", steps=(b"HTTP/1.1 200 OK\r\nContent-T", reset)),
        Row("closed before the first chunk", steps=(chunked, close)),
        Row("reset before the first chunk", steps=(chunked, reset)),
        Row("closed between chunks", steps=(chunked, chunk(FIRST), close)),
        Row("reset between chunks", steps=(chunked, chunk(FIRST), reset)),
        Row("half-closed between chunks", steps=(chunked, chunk(FIRST), half, hold)),
        Row("closed within a chunk", steps=(chunked, chunk(FIRST)[:-7], close)),
        Row("body shorter than its length", steps=(long, FIRST, close)),
        Row("body longer than its length", steps=(short, FIRST + SECOND, close)),
        Row("body without a length, closed early", steps=(to_close, FIRST, close)),
        Row("body without a length, reset", steps=(to_close, FIRST, reset)),
        Row("chunk size that is no number", steps=(chunked, chunk(FIRST), b"zz\r\n", close)),
        Row("no HTTP at all", steps=(b"SMTP ready\r\n\r\n", close)),
        Row("header line without a colon", steps=(b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n", close)),
        Row("length that is no number", steps=(head("Content-Length: many"), FIRST, close)),
        Row("very slow", steps=(Pause(SLOW_S), chunked, Pause(SLOW_S), *map(chunk, EVENTS), b"0\r\n\r\n")),
        Row("HTTP/2: nothing fails", "http2", path="/nothing/fails"),
        Row("HTTP/2: GOAWAY before the answer", "http2", path="/goaway/before"),
        Row("HTTP/2: GOAWAY amid the answer", "http2", path="/goaway/amid"),
        Row(DRAINED, "http2", path="/drain/amid"),
        Row("HTTP/2: RST_STREAM before the answer", "http2", path="/reset/before"),
        Row("HTTP/2: RST_STREAM amid the answer", "http2", path="/reset/amid"),
        Row("HTTP/2 on both sides: RST_STREAM before", "http2", path="/reset/before/2", client=in_http2),
        Row("HTTP/2 on both sides: RST_STREAM amid", "http2", path="/reset/amid/2", client=in_http2),
        Row("HTTP/2: closed amid the answer", "http2", path="/close/amid"),
        Row("client leaves before the answer", steps=(hold,), client=leaving(None)),
        Row(
            "client leaves between chunks",
            steps=(chunked, chunk(FIRST), hold),
            client=leaving(FIRST),
        ),
        Row(
            "client leaves right after the terminator",
            steps=(chunked, *map(chunk, EVENTS), hold),
            client=leaving(DONE),
        ),
    ]


@pytest.fixture(scope="module")
def urls(
    upstream: "Upstream", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, str], Path]]:
    """The upstreams by name, and the authorities that are trusted."""
    folder = tmp_path_factory.mktemp("pems")
    pems = {}
    for name, address in (("http2", "127.0.0.1"), ("other", "192.0.2.1"), ("stranger", "127.0.0.1")):
        (folder / name).mkdir()
        pems[name] = certificate(folder / name, address)
    trusted = folder / "trusted.pem"
    trusted.write_bytes(pems["http2"].read_bytes() + pems["other"].read_bytes())
    with ExitStack() as stack:
        servers = {name: Http2Upstream(pem, EVENTS) for name, pem in pems.items()}
        for server in servers.values():
            stack.callback(server.close)
        refusing = stack.enter_context(socket.socket())
        refusing.bind(("127.0.0.1", 0))  # and never listens
        shut = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=hang_up, args=(shut,), daemon=True).start()
        yield (
            {
                "plain": upstream.url,
                "nowhere": "http://no-such-host.invalid",
                "refused": f"http://127.0.0.1:{refusing.getsockname()[1]}",
                "shut": f"https://127.0.0.1:{shut.getsockname()[1]}",
                **{name: server.url for name, server in servers.items()},
            },
            trusted,
        )


def hang_up(listener: socket.socket) -> None:
    """Read the beginning of TLS, and close."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)


@dataclass(frozen=True)
class Seen:
    """What came of a row."""

    without: str
    through: str
    exchange: Exchange
    replay: str
    replay_s: float

    def line(self, name: str) -> str:
        """The row of the table in the docs."""
        state, error = f"`{self.exchange.state}`", told(self.exchange.error)
        return f"| {name} | {self.without} | {self.through} | {self.replay} | {state} | {error} |"


def told(error: str | None) -> str:
    """The text of an error, without what differs from machine to machine."""
    plain = re.sub(r"^\[Errno -\d+\] .*", "[Errno -2] Name or service not known", error or "")
    return re.sub(r" \('127.*\)", "", plain)


@pytest.fixture(scope="module")
def table(
    start_recorder: Callable[..., "Recorder"],
    upstream: "Upstream",
    urls: tuple[dict[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Seen]:
    """All rows, played three times."""
    named, trusted = urls
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(ASKS_FOR_HTTP2)
    arguments = [word for name, url in named.items() for word in ("--upstream", f"{name}={url}")]
    env = {"SSL_CERT_FILE": str(trusted), "PYTHONPATH": str(folder)}
    recorder = start_recorder(*arguments, env=env).listen(len(named))
    all_rows = rows(type(upstream))
    for row in all_rows:
        upstream.on(row.asked, *row.steps)
    context = ssl.create_default_context(cafile=trusted)
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(http2=True, verify=context, trust_env=False, limits=limits, timeout=20) as client:
        without = {row.name: row.client(client, named[row.upstream] + row.asked) for row in all_rows}
        through = {
            row.name: row.client(client, f"http://127.0.0.1:{recorder.ports[row.upstream]}{row.asked}")
            for row in all_rows
        }
        exchanges = {row.name: recorder.exchange(row.asked) for row in all_rows}
        assert recorder.stop() == 0, recorder.errors()
        with replayed(recorder.db) as url:
            replay = {row.name: timed(see, client, url + row.asked) for row in all_rows}
    return {
        row.name: Seen(without[row.name], through[row.name], exchanges[row.name], *replay[row.name])
        for row in all_rows
    }


def timed(action: Callable[[httpx.Client, str], str], client: httpx.Client, url: str) -> tuple[str, float]:
    start = time.perf_counter()
    said = action(client, url)
    return said, time.perf_counter() - start


def test_the_table_in_the_docs(table: dict[str, Seen]) -> None:
    """Where something changed on purpose: `UPDATE_DOCS=1 pytest tests/record/test_failures.py`."""
    written = "\n".join(seen.line(name) for name, seen in table.items())
    page = DOCS.read_text(encoding="utf-8")
    before, rule, rest = page.partition("| --- | --- | --- | --- | --- | --- |\n")
    committed, end, after = rest.partition("\n\n")
    if os.environ.get("UPDATE_DOCS") == "1":
        DOCS.write_text(before + rule + written + end + after, encoding="utf-8")
    assert written == committed


def test_no_failure_looks_like_a_whole_answer(table: dict[str, Seen]) -> None:
    """Where the client alone could tell that something broke, it can tell with the recorder and on replay."""
    for name, seen in table.items():
        whole = {end.endswith(", end") for end in (seen.without, seen.through, seen.replay)}
        assert len(whole) == 1 or seen.without.endswith("leaves") or name == DRAINED, name


def test_what_is_slow_is_slow_on_replay_too(table: dict[str, Seen]) -> None:
    slow = table["very slow"]
    response = slow.exchange.response
    assert response is not None
    assert response.headers_ns >= SLOW_S / 2 * 1e9
    assert response.chunks[0][0] - response.headers_ns >= SLOW_S / 2 * 1e9
    assert slow.replay_s >= (response.end_ns - slow.exchange.connect_ns) / 1e9
