"""The proxy process: listeners, upstreams, connections that fail, TLS."""

import datetime
import ipaddress
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from harness.core.exchange import State

if TYPE_CHECKING:
    from tests.plugins.wire import Client, Recorder, Upstream

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def answer_to(client: "Client", path: str) -> bytes:
    client.send("GET", path, b"", "Connection: close")
    return client.read_all()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_connect_failed_is_recorded_as_the_answer_that_the_client_got(
    start_recorder: Callable[..., "Recorder"],
) -> None:
    dead = f"http://127.0.0.1:{closed_port()}"
    recorder = start_recorder("--upstream", dead).listen()
    with recorder.client() as client:
        answer = answer_to(client, "/v1/models")
    exchange = recorder.exchange("/v1/models")
    assert exchange.state is State.CONNECT_FAILED
    assert exchange.error
    assert exchange.connect_ns == 0
    response = exchange.response
    assert response is not None
    lines = [f"{response.http_version} {response.status} Bad Gateway"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    assert "\r\n".join([*lines, "", ""]).encode() + response.body == answer
    assert recorder.stop() == 0


def test_two_upstreams_with_prefixes(
    start_recorder: Callable[..., "Recorder"], upstream: "Upstream", other_upstream: "Upstream"
) -> None:
    upstream.on("/api/v1/x?y=1", OK)
    other_upstream.on("/v1/x", OK)
    recorder = start_recorder(
        "--upstream", f"openrouter={upstream.url}/api", "--upstream", f"local={other_upstream.url}/v1/"
    ).listen(2)
    for name, path in (("openrouter", "/v1/x?y=1"), ("local", "/v1/x")):
        recorder.ports = {name: recorder.ports[name], **recorder.ports}
        with recorder.client() as client:
            assert answer_to(client, path).endswith(b"{}")
    first, second = recorder.exchange("/v1/x?y=1"), recorder.exchange("/v1/x")
    assert (first.upstream, first.request.url) == ("openrouter", f"{upstream.url}/api/v1/x?y=1")
    assert (second.upstream, second.request.url) == ("local", f"{other_upstream.url}/v1/x")
    assert recorder.stop() == 0


def test_an_upstream_that_is_the_recorder_itself_is_no_endless_loop(
    start_recorder: Callable[..., "Recorder"],
) -> None:
    port = closed_port()
    recorder = start_recorder("--upstream", f"http://127.0.0.1:{port}", "--port", str(port)).listen()
    with recorder.client() as client:
        assert answer_to(client, "/loop").startswith(b"HTTP/1.1 502")
    assert recorder.exchange("/loop").state is State.CONNECT_FAILED


def certificate(folder: Path) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "harness test")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form, encoding = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    path = folder / "both.pem"
    path.write_bytes(
        key.private_bytes(encoding, form, serialization.NoEncryption()) + built.public_bytes(encoding)
    )
    return path


def serve_tls(listener: socket.socket, pem: Path, answers: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    for _ in range(answers):
        connection, _address = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(65536)
                secure.sendall(OK)
                secure.recv(1)
        except OSError:  # the client did not like the certificate
            connection.close()


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_upstream(start_recorder: Callable[..., "Recorder"], tmp_path: Path, trusted: bool) -> None:
    pem = certificate(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve_tls, args=(listener, pem, 1))
        server.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        env = {"SSL_CERT_FILE": str(pem)} if trusted else {}
        recorder = start_recorder("--upstream", url, env=env).listen()
        with recorder.client() as client:
            answer = answer_to(client, "/v1/models")
        exchange = recorder.exchange("/v1/models")
        server.join(10)
    assert exchange.request.url == f"{url}/v1/models"
    if trusted:
        assert answer.endswith(b"{}")
        assert exchange.state is State.COMPLETE
        assert exchange.connect_ns > 0
    else:
        assert answer.startswith(b"HTTP/1.1 502")
        assert exchange.state is State.CONNECT_FAILED
        assert "certificate" in str(exchange.error).lower()
    assert recorder.stop() == 0


def test_a_port_that_somebody_took_meanwhile_is_told() -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    ours, theirs = socket.socketpair()
    upstream = {"name": "x", "scheme": "http", "host": "127.0.0.1", "port": 1, "prefix": ""}
    settings = {"host": "127.0.0.1", "upstreams": {taken.getsockname()[1]: upstream}, "limit": 1}
    with taken, ours, theirs:
        done = subprocess.run(
            [sys.executable, "-m", "harness.record.proxy", str(ours.fileno())],
            input=json.dumps(settings) + "\n",
            pass_fds=[ours.fileno()],
            capture_output=True,
            text=True,
            check=False,
        )
    assert "address already in use" in json.loads(done.stdout)["failed"]
    assert done.returncode == 4
    assert done.stderr == ""
