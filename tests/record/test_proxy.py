"""The proxy process: listeners, upstreams, connections that fail, TLS."""

import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.errors import BadInput
from harness.core.exchange import Exchange, State
from harness.record.ports import free_ports, listening, port_of
from harness.store.open import open_recording
from tests.plugins.certificates import certificate

if TYPE_CHECKING:
    from tests.plugins.wire import Client, Recorder, Upstream

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def serve_tls(listener: socket.socket, pem: Path) -> None:
    """Answer one connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    connection, _address = listener.accept()
    try:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(OK)
            secure.recv(1)
    except OSError:  # the client did not like the certificate
        connection.close()


@pytest.fixture(scope="module")
def tls_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, Path]]]:
    """Two servers with certificates of their own: name -> URL and certificate."""
    servers = {}
    with ExitStack() as held:
        for name in ("trusted", "untrusted"):
            pem = certificate(tmp_path_factory.mktemp(name))
            listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            threading.Thread(target=serve_tls, args=(listener, pem), daemon=True).start()
            servers[name] = f"https://127.0.0.1:{listener.getsockname()[1]}", pem
        yield servers


@pytest.fixture(scope="module")
def recorder(
    start_recorder: Callable[..., "Recorder"],
    upstream: "Upstream",
    other_upstream: "Upstream",
    tls_servers: dict[str, tuple[str, Path]],
) -> "Recorder":
    """A recorder of upstreams of many kinds; the first is the recorder itself."""
    first = next(port for port in range(20_000, 30_000) if are_free(port, 6))
    upstreams = {
        "loop": f"http://127.0.0.1:{first}",
        "dead": f"http://127.0.0.1:{first + 6}",
        "openrouter": f"{upstream.url}/api",
        "local": f"{other_upstream.url}/v1/",
        **{name: url for name, (url, _) in tls_servers.items()},
    }
    arguments = [word for name, url in upstreams.items() for word in ("--upstream", f"{name}={url}")]
    env = {"SSL_CERT_FILE": str(tls_servers["trusted"][1])}
    return start_recorder(*arguments, "--port", str(first), env=env).listen(len(upstreams))


def are_free(first: int, count: int) -> bool:
    try:
        return len(free_ports("127.0.0.1", first, count + 1)) > count
    except BadInput:
        return False


def answer_of(recorder: "Recorder", name: str, path: str) -> tuple[bytes, Exchange]:
    """What an upstream answers, and what is recorded of it."""
    with recorder.client(name) as client:
        client.send("GET", path, b"", "Connection: close")
        answer = client.read_all()
    exchange = recorder.exchange(path)
    assert exchange.upstream == name
    return answer, exchange


def test_listeners_have_consecutive_ports(recorder: "Recorder") -> None:
    ports = list(recorder.ports.values())
    assert ports == list(range(ports[0], ports[0] + 6))


def test_connect_failed_is_recorded_as_the_answer_that_the_client_got(recorder: "Recorder") -> None:
    answer, exchange = answer_of(recorder, "dead", "/dead")
    assert exchange.state is State.CONNECT_FAILED
    assert exchange.error
    assert exchange.connect_ns == 0
    response = exchange.response
    assert response is not None
    lines = [f"{response.http_version} {response.status} Bad Gateway"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    assert "\r\n".join([*lines, "", ""]).encode() + response.body == answer


def test_prefixes(recorder: "Recorder", upstream: "Upstream", other_upstream: "Upstream") -> None:
    for name, server, path, asked in (
        ("openrouter", upstream, "/v1/x?y=1", "/api/v1/x?y=1"),
        ("local", other_upstream, "/v1/x", "/v1/x"),
    ):
        server.on(asked, OK)
        answer, exchange = answer_of(recorder, name, path)
        assert answer == OK
        assert exchange.request.url == server.url + asked
        assert exchange.request.path == path


def test_an_upstream_that_is_the_recorder_itself_is_no_endless_loop(recorder: "Recorder") -> None:
    answer, exchange = answer_of(recorder, "loop", "/loop")
    assert answer.startswith(b"HTTP/1.1 502")
    assert exchange.state is State.CONNECT_FAILED


def test_tls_upstream(recorder: "Recorder", tls_servers: dict[str, tuple[str, Path]]) -> None:
    answer, exchange = answer_of(recorder, "trusted", "/secure")
    assert answer == OK
    assert exchange.request.url == tls_servers["trusted"][0] + "/secure"
    assert exchange.state is State.COMPLETE
    assert exchange.connect_ns > 0


def test_tls_upstream_that_nobody_vouches_for(recorder: "Recorder") -> None:
    answer, exchange = answer_of(recorder, "untrusted", "/insecure")
    assert answer.startswith(b"HTTP/1.1 502")
    assert exchange.state is State.CONNECT_FAILED
    assert "certificate" in str(exchange.error).lower()


@contextmanager
def bare_proxy(listener: socket.socket, upstream_port: int, limit: int) -> Iterator[subprocess.Popen[str]]:
    """A proxy process, and a writer's end of the socket that takes nothing."""
    upstream = {"name": "x", "scheme": "http", "host": "127.0.0.1", "port": upstream_port, "prefix": ""}
    settings = {
        "host": "127.0.0.1",
        "sockets": [listener.fileno()],
        "upstreams": [upstream],
        "limit": limit,
        "policy": "stop",
    }
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-m", "harness.record.proxy", str(ours.fileno())]
        pipe, files = subprocess.PIPE, [ours.fileno(), listener.fileno()]
        with subprocess.Popen(
            command, pass_fds=files, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        ) as process:
            assert process.stdin is not None
            ours.close()
            listener.close()
            process.stdin.write(json.dumps(settings) + "\n")
            process.stdin.flush()
            try:
                yield process
            finally:
                process.kill()


def said(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    message: dict[str, object] = json.loads(process.stdout.readline())
    return message


def test_a_writer_that_takes_nothing_stops_the_proxy(
    upstream: "Upstream", connect: Callable[[int], "Client"]
) -> None:
    """The queue is full, beyond what the kernel takes: no more traffic passes, and clients are told."""
    big = b"x" * 20_000_000
    upstream.on("/big", upstream.head(200, f"Content-Length: {len(big)}"), big)
    (listener,) = listening("127.0.0.1", 0, 1)
    port = port_of(listener)
    with bare_proxy(listener, upstream.port, 100_000) as proxy:
        assert said(proxy) == {"ready": True}
        with connect(port) as client:
            client.send("GET", "/big", b"", "Connection: close")
            assert client.read_all().endswith(big)
        assert said(proxy) == {"failed": "more than 100000 B wait for the writer, which is too slow"}
        with connect(port) as client:
            client.send("GET", "/big")
            answer = client.read_all()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"refuses traffic that it cannot record: more than 100000 B wait for the writer" in answer
    assert [request.path for request in upstream.requests].count("/big") == 1


@pytest.mark.parametrize("redact", [True, False])
def test_a_key_in_the_upstream_s_path_is_masked(
    redact: bool, start_recorder: Callable[..., "Recorder"], upstream: "Upstream"
) -> None:
    key = "sk-" + "UpstreamPath" * 3
    arguments = () if redact else ("--no-redact",)
    recorder = start_recorder("--upstream", f"{upstream.url}/{key}", *arguments)
    announced = recorder.output.readline()
    assert recorder.stop() == 0
    with open_recording(recorder.db) as recording:
        stored = recording.captures()[0].upstreams["default"]
    for text in (announced, stored):
        assert upstream.url in text
        assert (key in text) is not redact
