"""A replay server as a proxy: hosts that are its own, over TLS or not, tunnels to others, and times."""

import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.child import Child, harness_command

if TYPE_CHECKING:
    from tests.plugins.wire import Upstream

MS = 1_000_000
SSE = [["content-type", "text/event-stream"]]
PIECE = "x" * 100_000


class Proxy:
    """The server; `context` is for clients that trust its CA."""

    def __init__(self, child: Child, ca: Path) -> None:
        self.child = child
        self.port = int(child.url.rpartition(":")[2])
        self.context = ssl.create_default_context(cafile=ca)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def tunnel(self, place: str) -> tuple[socket.socket, bytes]:
        """A connection with a CONNECT on it, and the head of the answer."""
        opened = self.connect()
        opened.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
        return opened, read_head(opened)

    def secure(self, host: str) -> ssl.SSLSocket:
        """TLS with a host; what ends without a farewell is an error."""
        opened, answer = self.tunnel(f"{host}:443")
        assert b" 200 " in answer
        return self.context.wrap_socket(opened, server_hostname=host, suppress_ragged_eofs=False)

    def ask(self, host: str, path: str, *headers: str) -> bytes:
        """The whole answer of a host, over TLS, up to the end of the connection."""
        with self.secure(host) as connection:
            connection.sendall(get(path, host, *headers))
            return read_all(connection)


def get(path: str, host: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()


def read_head(opened: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n") and (more := opened.recv(1)):
        data += more
    return data


def read_all(opened: socket.socket) -> bytes:
    return b"".join(iter(lambda: opened.recv(1 << 20), b""))


def line(url: str, *chunks: list[object], end: str = "complete", path: str | None = None) -> str:
    """An exchange of an interchange file: a GET."""
    asked = {"path": path} if path else {}
    request = {"method": "GET", "url": url} | asked
    return json.dumps(
        {"request": request, "response": {"status": 200, "headers": SSE, "chunks": chunks}, "end": end}
    )


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("forward")
    lines = [
        line("https://one.test/v1/x", [0, "from one"]),
        line("https://two.test/v1/x", [0, "from two"]),
        line("https://two.test/paced", *[[at * 100 * MS, f"{at}"] for at in range(1, 6)]),
        line("https://two.test/late", [1000 * MS, "late"]),
        line("https://two.test/cut", [0, "some"], end="upstream_cut"),
        line("https://two.test/unterminated", [0, "some"], end="unterminated"),
        line("https://two.test/big", *[[0, PIECE]] * 100),
        line("https://openrouter.ai/api/v1/y", [0, "prefixed"], path="/v1/y"),
        line("http://plain.test:8000/z?q=1", [0, "plain"]),
    ]
    recording = folder / "rec.jsonl"
    recording.write_text("\n".join(lines) + "\n")
    ca = folder / "ca"
    options = ("--mode", "proxy", "--ca-dir", str(ca), "--allow-host", "*.mine.test", "--json", "--port", "0")
    with Child(harness_command("replay", str(recording), *options)) as child:
        yield Proxy(child, ca / "ca-cert.pem")


def test_every_host_gives_its_own_answer(proxy: Proxy) -> None:
    assert proxy.ask("one.test", "/v1/x").endswith(b"from one\r\n0\r\n\r\n")
    assert proxy.ask("two.test", "/v1/x").endswith(b"from two\r\n0\r\n\r\n")


def test_what_was_recorded_behind_a_prefix_is_asked_with_it(proxy: Proxy) -> None:
    assert b"prefixed" in proxy.ask("openrouter.ai", "/api/v1/y")
    assert proxy.ask("openrouter.ai", "/v1/y").startswith(b"HTTP/1.1 404")


def test_plain_http_with_whole_urls_and_in_a_tunnel(proxy: Proxy) -> None:
    with proxy.connect() as plain:
        plain.sendall(get("http://plain.test:8000/z?q=1", "plain.test:8000"))
        assert b"plain" in read_all(plain)
    opened, _ = proxy.tunnel("plain.test:8000")
    with opened:
        opened.sendall(get("/z?q=1", "plain.test:8000"))
        assert b"plain" in read_all(opened)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        (
            "api.openai.com",
            "recorded at https://one.test and https://two.test, not at https://api.openai.com",
        ),
        ("new.mine.test", "not at https://new.mine.test"),
    ],
)
def test_providers_and_the_user_s_hosts_never_get_through(proxy: Proxy, host: str, said: str) -> None:
    answer = proxy.ask(host, "/v1/x")
    assert answer.startswith(b"HTTP/1.1 404")
    assert said in json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]


def test_other_hosts_are_reached_in_a_tunnel(proxy: Proxy, upstream: "Upstream") -> None:
    body = b"y" * 3_000_000
    upstream.on(
        "/other",
        upstream.head(200, f"Content-Length: {len(body)}", "Connection: close"),
        body,
        upstream.CLOSE,
    )
    opened, answer = proxy.tunnel(f"127.0.0.1:{upstream.port}")
    assert b" 200 " in answer
    with opened:
        opened.sendall(get("/other", "x"))
        threading.Event().wait(0.1)
        assert read_all(opened).endswith(body)


@pytest.mark.parametrize(
    ("place", "status"),
    [
        ("127.0.0.1:1", 502),
        ("no-such-host.invalid:443", 502),
        ("one.test:port", 400),
        ("", 400),
        ("a@b:443", 502),
    ],
)
def test_what_cannot_be_reached_is_told(proxy: Proxy, place: str, status: int) -> None:
    opened, answer = proxy.tunnel(place)
    with opened:
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert b"harness_refused" in read_all(opened)


def test_times_are_kept_behind_tls(proxy: Proxy) -> None:
    with proxy.secure("two.test") as connection:
        start = time.monotonic()
        connection.sendall(get("/paced", "two.test"))
        read_head(connection)
        seen = []
        while data := connection.recv(65536):
            seen += [(time.monotonic() - start, byte) for byte in data.split(b"\r\n")[1::2] if byte.isdigit()]
    assert [byte for _, byte in seen] == [b"1", b"2", b"3", b"4", b"5"]
    assert [number for number, (at, _) in enumerate(seen, 1) if at < number * 0.1 - 0.001] == []
    assert seen[-1][0] < 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps what comes in")
def test_a_request_that_waits_for_the_server_is_answered_at_its_times(proxy: Proxy) -> None:
    """t0 is when the request's last byte came in, not when it was read and decrypted."""
    with proxy.secure("two.test") as connection:
        connection.sendall(b"GET /__admin/health HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(65536)
        os.kill(proxy.child.process.pid, signal.SIGSTOP)
        try:
            start = time.monotonic()
            connection.sendall(get("/late", "two.test"))
            threading.Event().wait(0.9)
        finally:
            os.kill(proxy.child.process.pid, signal.SIGCONT)
        assert b"late" in read_all(connection)
        assert 0.99 < time.monotonic() - start < 1.7


def test_an_end_is_told_from_a_cut(proxy: Proxy) -> None:
    """A quiet end of a body without length comes with TLS's own farewell."""
    assert proxy.ask("two.test", "/unterminated").endswith(b"\r\n\r\nsome")
    assert proxy.ask("two.test", "/cut").endswith(b"4\r\nsome\r\n")


def test_much_comes_whole_to_a_slow_reader(proxy: Proxy) -> None:
    with proxy.secure("two.test") as slow:
        slow.sendall(get("/big", "two.test"))
        threading.Event().wait(0.2)
        assert read_all(slow).count(PIECE.encode()) == 100


def test_a_client_without_trust_and_one_that_speaks_no_tls_disturb_nobody(proxy: Proxy) -> None:
    opened, _ = proxy.tunnel("one.test:443")
    with pytest.raises(ssl.SSLCertVerificationError), opened:
        ssl.create_default_context().wrap_socket(opened, server_hostname="one.test")
    opened, _ = proxy.tunnel("one.test:443")
    with opened:
        opened.sendall(b"\x16\x03\x01\x00\x05hello")
        opened.settimeout(5)
        assert b"HTTP" not in read_all(opened)
    assert proxy.ask("one.test", "/v1/x").endswith(b"from one\r\n0\r\n\r\n")


def test_a_connection_is_kept_and_a_request_comes_in_pieces(proxy: Proxy) -> None:
    request = get("/v1/x", "one.test").replace(b"Connection: close\r\n", b"")
    with proxy.secure("one.test") as connection:
        for _ in range(2):
            for number in range(len(request)):
                connection.sendall(request[number : number + 1])
            data = b""
            while not data.endswith(b"0\r\n\r\n"):
                data += connection.recv(65536)
            assert data.endswith(b"from one\r\n0\r\n\r\n")


def test_a_connect_is_not_for_a_server(tmp_path: Path) -> None:
    recording = tmp_path / "rec.jsonl"
    recording.write_text(line("https://one.test/v1/x", [0, "from one"]) + "\n")
    with Child(harness_command("replay", str(recording), "--port", "0")) as child:
        port = int(child.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(b"CONNECT one.test:443 HTTP/1.1\r\nHost: one.test:443\r\n\r\n")
            assert read_head(connection).startswith(b"HTTP/1.1 405 ")
            assert b"--mode proxy" in read_all(connection)
