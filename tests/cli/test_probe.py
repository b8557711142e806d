"""The command: what it refuses, and what people and machines are shown."""

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.app import main
from harness.core.exchange import Exchange
from harness.probe.document import ProbeDocument

GATEWAY = ("--gateway", "http://127.0.0.1:9")
STARTS = ("--", "true")
GATEWAYS = Path(__file__).parents[1] / "probe" / "gateways.py"


@pytest.fixture
def path(write: Callable[..., Path], make_exchange: Callable[..., Exchange]) -> str:
    return str(write(make_exchange()))


REFUSED = {
    "no way to the provider": (GATEWAY, "the gateway must find the provider: fix --provider-port"),
    "TLS": (("--gateway", "https://gw.test", *STARTS), "--gateway should be http"),
    "no URL": (("--gateway", "gw.test", *STARTS), "--gateway is no absolute http or https URL"),
    "a password": (
        ("--gateway", "http://me:secret@127.0.0.1:9", *STARTS),
        "--gateway holds a user or a password",
    ),
    "a query": (("--gateway", "http://127.0.0.1:9?a=b", *STARTS), "--gateway should end before '?'"),
    "no levels": ((*GATEWAY, "--concurrency", "1,x", *STARTS), "--concurrency '1,x' is no list of numbers"),
    "no header": ((*GATEWAY, "--header", "secret", *STARTS), "--header should be 'NAME: VALUE'"),
    "no stream": ((*GATEWAY, "--dialect", "x", *STARTS), "{path}: no stream of the dialect x in it"),
    "no such program": ((*GATEWAY, "--", "/no/such/gateway"), "cannot run '/no/such/gateway': No such file"),
    "it ends": ((*GATEWAY, *STARTS), "the gateway ended with code 0; it last said: nothing"),
    "it never listens": (
        (*GATEWAY, "--wait", "0.3", "--", "sleep", "30"),
        "nothing listens on 127.0.0.1:9 after 0.3 s",
    ),
}


@pytest.mark.parametrize(("options", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_probed_is_one_line(
    options: tuple[str, ...], words: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", "--recording", path, *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"harness: error: {words.format(path=path)}")
    assert error.count("\n") == 1
    assert "secret" not in error


def test_a_gateway_that_never_asks_the_provider(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that answers by itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = ("--", sys.executable, "-m", "http.server", "--bind", "127.0.0.1", port)
    url = f"http://127.0.0.1:{port}"
    assert main(["probe", "--gateway", url, "--recording", path, "--wait", "3", *server]) == 2
    error = capsys.readouterr().err
    assert "the gateway answers status 501: does it ask the provider at http://127.0.0.1:" in error


def test_a_port_that_is_taken(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The gateway's: another server would be probed in its place. The provider's: it says so itself."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        common = ["probe", "--recording", path, "--gateway"]
        assert main([*common, f"http://127.0.0.1:{port}", *STARTS]) == 2
        assert f"something listens on 127.0.0.1:{port} already" in capsys.readouterr().err
        assert main([*common, "http://127.0.0.1:9", "--provider-port", str(port)]) == 2
        error = capsys.readouterr().err
    assert error.startswith("harness: error: harness replay ended with code 2 before it listened: ")
    assert f"{port}" in error
    assert "in use" in error


def test_people_and_machines_are_shown_the_same(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = ["probe", "--gateway", f"http://127.0.0.1:{port}", "--recording", path, "--concurrency", "1,4"]
    gateway = ["--", sys.executable, str(GATEWAYS), "buffers", "{provider}", port]
    code = main([*command, *gateway])
    text = capsys.readouterr().out
    assert code in (1, 3)
    assert "chunk delivery" in text
    assert "fail " in text
    assert "added at concurrency 4: TTFT p50 +" in text
    assert text.rstrip().rpartition("\n")[2].startswith("outcome: ")
    assert main([*command, "--json", *gateway]) in (1, 3)
    document = ProbeDocument.model_validate(json.loads(capsys.readouterr().out))
    assert [(one.path, one.concurrency) for one in document.levels] == [
        ("direct", 1),
        ("gateway", 1),
        ("direct", 4),
        ("gateway", 4),
    ]
    assert document.levels[3].events is not None
    assert sum(count for _, count in document.levels[3].events.histogram) == document.levels[3].events.count
