"""The way to the target: TLS with a certificate of a private authority, and proxies of the environment."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.load import LoadCommand, Relay, paced_recording, replayed

FEW = ("--no-null-test", "--concurrency", "2", "--request-count", "4", "--warmup-request-count", "0")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paced_recording(tmp_path_factory.mktemp("recording") / "paced.jsonl", events=5)


@pytest.fixture(scope="module")
def port(recording: Path) -> Iterator[int]:
    with replayed(recording) as url:
        yield int(url.rpartition(":")[2])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory, require_tool: Any) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    make = [require_tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*make, *names, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def secure(port: int, certificate: tuple[Path, Path]) -> Iterator[str]:
    """The replay behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with Relay(port, context) as relay:
        yield f"https://127.0.0.1:{relay.own_port}"


def proxied(relay: Relay) -> dict[str, str]:
    """An environment with a proxy for everything."""
    url = f"http://127.0.0.1:{relay.own_port}"
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    return dict.fromkeys(names, url) | {"no_proxy": "", "NO_PROXY": ""}


def test_tls_is_stamped_by_the_reader_and_judged_as_such(
    secure: str, certificate: tuple[Path, Path], recording: Path, tmp_path: Path
) -> None:
    trusted = ["--ca-file", str(certificate[0])]
    load = LoadCommand(
        tmp_path, "--target", secure, "--from", str(recording), *trusted, *FEW, "--save-events"
    )
    assert load.wait() in (0, 3), load.err  # 3: this machine is too busy for a reader's stamps
    rows = load.requests()
    assert [(row["outcome"], row["stamps"], row["events"]) for row in rows] == [("complete", "reader", 7)] * 4
    assert "answers stamped 4 by the reader" in load.out
    lag = next(check for check in load.run()["checks"] if check["name"] == "loop_lag")
    assert lag["limit"] in (2, 10)
    assert rows[0]["offsets"][-1][0] > 130_000_000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "certificate is not trusted"),
        (["--ca-file", "/dev/null"], "holds no certificates"),
        (["--ca-file", "none.pem"], "none.pem cannot be read"),
    ],
)
def test_an_authority_that_does_not_fit_is_one_line(
    options: list[str], words: str, secure: str, recording: Path, tmp_path: Path
) -> None:
    load = LoadCommand(tmp_path, "--target", secure, "--from", str(recording), *options, *FEW)
    assert load.wait() == 2
    assert words in load.err
    assert load.err.count("\n") == 1
    assert not load.db.exists()


def test_http_goes_through_the_proxy_of_the_environment(port: int, recording: Path, tmp_path: Path) -> None:
    """The name resolves nowhere: only the proxy knows it."""
    with Relay(port) as relay:
        sent = ["--target", "http://api.invalid", "--from", str(recording), "--yes", "--no-keep-alive"]
        load = LoadCommand(tmp_path, *sent, *FEW, env=proxied(relay))
        load.ends_with(0)
    assert {row["outcome"] for row in load.requests()} == {"complete"}
    starts = [head.split(b" HTTP", 1)[0] for head in relay.heads]
    assert starts == [b"POST http://api.invalid/v1/chat/completions"] * 5  # the first tries it out


def test_https_goes_through_a_tunnel(
    secure: str, certificate: tuple[Path, Path], recording: Path, tmp_path: Path
) -> None:
    with Relay(int(secure.rpartition(":")[2])) as relay:
        sent = ["--target", secure, "--from", str(recording), "--ca-file", str(certificate[0])]
        load = LoadCommand(tmp_path, *sent, *FEW, env=proxied(relay))
        assert load.wait() in (0, 3), load.err
    assert {row["outcome"] for row in load.requests()} == {"complete"}
    place = secure.removeprefix("https://")
    assert {head.split(b"\r\n")[0] for head in relay.heads} == {f"CONNECT {place} HTTP/1.1".encode()}


def test_a_proxy_that_is_not_there_is_one_line(recording: Path, tmp_path: Path) -> None:
    with Relay(9) as relay:
        nowhere = proxied(relay)
    sent = ["--target", "http://api.invalid", "--from", str(recording), "--yes"]
    load = LoadCommand(tmp_path, *sent, *FEW, env=nowhere)
    assert load.wait() == 2
    assert "not reached through the proxy 127.0.0.1:" in load.err
    assert load.err.count("\n") == 1
