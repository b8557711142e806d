"""The way to a target: URLs, proxies, TLS, and the bytes of a request."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from harness.core.errors import BadInput
from harness.load.plan import Call
from harness.load.route import Proxy, Route
from harness.load.wire import Answer, Client, Kept, LoopReader, Stamping

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "prefix"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1:8000", ""),
        ("http://api.test", "api.test", 80, "api.test", ""),
        ("https://api.test/v1", "api.test", 443, "api.test", "/v1"),
        ("https://api.test:444/a/", "api.test", 444, "api.test:444", "/a"),
        ("http://[::1]:81", "::1", 81, "[::1]:81", ""),
    ],
)
def test_a_target(url: str, host: str, port: int, authority: str, prefix: str) -> None:
    route = Route.to(url)
    assert (route.host, route.port, route.authority, route.prefix) == (host, port, authority, prefix)
    assert (route.tls is not None) == route.secure == url.startswith("https")


@pytest.mark.parametrize("url", ["", "api.test", "ftp://x", "http://", "http://x:y"])
def test_what_is_no_target(url: str) -> None:
    with pytest.raises(BadInput, match="the target is no"):
        Route.to(url)


def test_a_request_in_bytes() -> None:
    headers = (("content-type", "application/json"), ("Host", "evil"), ("X-Api-Key", "old"))
    call = Call(path="/v1/messages?a=b", body='{"a":"ä"}', headers=headers)
    start, end = Route.to("http://api.test:8000/up").request(call, {"x-api-key": "new"}, keep_alive=False)
    assert start.decode().split("\r\n") == [
        "POST /up/v1/messages?a=b HTTP/1.1",
        "Host: api.test:8000",
        "Accept-Encoding: identity",
        "content-type: application/json",
        "x-api-key: new",
        "Content-Length: 10",
        "Connection: close",
        "",
    ]
    assert end == b'\r\n{"a":"\xc3\xa4"}'


def test_a_request_without_a_body() -> None:
    start, end = Route.to("http://api.test").request(Call(path="/x", body="", method="GET", headers=()), {})
    assert start == b"GET /x HTTP/1.1\r\nHost: api.test\r\nAccept-Encoding: identity\r\n"
    assert end == b"\r\n"


def test_proxies_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:p%40ss@proxy.test:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1,internal.test")
    proxy = Route.to("http://api.test").proxy
    assert proxy == Proxy("proxy.test", 3128, "Basic dXNlcjpwQHNz")
    assert Route.to("http://127.0.0.1:8000").proxy is None
    assert Route.to("http://internal.test").proxy is None
    assert Route.to("https://api.test").proxy is None


def test_a_proxy_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://proxy.test:1080")
    with pytest.raises(BadInput, match="no http:// URL"):
        Route.to("http://api.test")


def test_a_file_that_holds_no_authorities(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name, wrong in (
        ("ca.pem", "holds no certificates in PEM"),
        ("missing.pem", "cannot be read: No such"),
    ):
        with pytest.raises(BadInput, match=f"{name} {wrong}"):
            Route.to("https://api.test", str(tmp_path / name))


@contextmanager
def proxying(refuse: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """A proxy: its port, and the heads that it saw. CONNECT is tunnelled; all else is answered."""
    listener = socket.create_server(("127.0.0.1", 0))
    heads: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), connection:
                    head = read_head(connection)
                    heads.append(head)
                    if refuse:
                        connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                    elif head.startswith(b"CONNECT "):
                        connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                        port = int(head.split(b" ")[1].rpartition(b":")[2])
                        tunnel(connection, port)
                    else:
                        connection.sendall(OK)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1], heads
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


def read_head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and (data := connection.recv(1)):
        head += data
    return head


def tunnel(connection: socket.socket, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as there:
        back = threading.Thread(target=pump, args=(there, connection))
        back.start()
        pump(connection, there)
        back.join(10)


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def serving_tls(folder: Path, openssl: str) -> Iterator[tuple[int, Path]]:
    """A TLS server for 127.0.0.1 with a certificate of its own; its port and the certificate."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    run([*make, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
                    while read_head(connection):
                        connection.sendall(OK)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1], cert
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def ask(route: Route, count: int = 1) -> list[Answer]:
    stamping, kept, answers = Stamping(), Kept(), []
    client = Client(route, LoopReader(), stamping, 5.0, None)
    for _ in range(count):
        answers.append(Answer())
        call = Call(path="/x", body="", method="GET", headers=())
        client.ask(answers[-1], b"".join(route.request(call, {})), kept, lambda: None)
    kept.close()
    stamping.close()
    return answers


def test_http_goes_through_a_proxy_with_whole_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    with proxying() as (port, heads):
        monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{port}")
        [answer] = ask(Route.to("http://api.test:81/up"))
    assert answer.status == 200
    assert heads[0].startswith(b"GET http://api.test:81/up/x HTTP/1.1\r\nHost: api.test:81\r\n")
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0" in heads[0]


def test_tls_is_read_with_the_readers_stamps(tmp_path: Path, require_tool: Any) -> None:
    with serving_tls(tmp_path, require_tool("openssl")) as (port, cert):
        first, second = ask(Route.to(f"https://127.0.0.1:{port}", str(cert)), 2)
    assert (first.status, second.status) == (200, 200)
    assert second.connect_ns == 0 < first.connect_ns
    assert first.frame(0)[0].stamps == "reader"


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, require_tool: Any) -> None:
    with serving_tls(tmp_path, require_tool("openssl")) as (port, _):
        [answer] = ask(Route.to(f"https://127.0.0.1:{port}"))
    assert (answer.ending, answer.status) == ("refused", None)
    assert answer.error is not None
    assert answer.error.startswith("certificate: self")


def test_https_goes_through_a_tunnel(
    tmp_path: Path, require_tool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving_tls(tmp_path, require_tool("openssl")) as (port, cert), proxying() as (proxy, heads):
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy}")
        [answer] = ask(Route.to(f"https://127.0.0.1:{port}", str(cert)))
    assert answer.status == 200
    assert heads[0].startswith(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n".encode())


def test_a_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with proxying(refuse=True) as (port, _):
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        [answer] = ask(Route.to("https://api.test"))
    assert (answer.ending, answer.error) == ("refused", "the proxy refused a tunnel: 403")
