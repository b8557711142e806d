"""Real gateways: mitmproxy and nginx, each with and without streaming."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.core.exchange import Exchange
from harness.probe.behaviours import Behaviour

type Probe = Callable[..., Any]
B = Behaviour
HELD_BACK = {B.DELIVERY, B.SILENCE}
DEPARTURES = {B.LEFT, B.LEFT_SILENT, B.BROKE}
KEPT = {B.ORDER, B.FIELDS, B.HEADERS, B.USAGE, B.UNKNOWN, B.COMMENTS, B.LIMITED, B.FAILED, B.CLOSED}
"""What all of them do, however they are set up."""
CONFIGURATION = (Path(__file__).parent / "nginx.conf").read_text()
FILL = (
    "import os, sys; text = open(sys.argv[1]).read().replace('PROVIDER', sys.argv[2]); "
    "open(sys.argv[1], 'w').write(text); os.execv(sys.argv[3], sys.argv[3:])"
)
"""Tells a configuration file where the provider is, and becomes the gateway."""


@pytest.fixture
def recording(write: Callable[..., Path], make_exchange: Callable[..., Exchange]) -> Path:
    """One short stream: the rest is built in."""
    return write(make_exchange("some", "words", "to", "stream"))


@pytest.fixture
def mitmproxy(probe: Probe, port: int, tmp_path: Path) -> Probe:
    """Probe mitmproxy as a reverse proxy with such options."""
    program = shutil.which("mitmdump", path=str(Path(sys.executable).parent))
    assert program, "mitmproxy is a development dependency"

    def run(*options: str) -> Any:
        own = ("--mode", "reverse:{provider}", "--listen-host", "127.0.0.1", "--listen-port", str(port))
        return probe(program, "-q", "--set", f"confdir={tmp_path}", *own, *options)

    return run


@pytest.fixture
def nginx(probe: Probe, port: int, tmp_path: Path, require_tool: Callable[..., str]) -> Probe:
    """Probe nginx as a reverse proxy with such directives."""
    program = require_tool("nginx", "/usr/sbin/nginx")

    def run(directives: str) -> Any:
        filled = {"FOLDER": str(tmp_path), "PORT": str(port), "DIRECTIVES": directives}
        text = CONFIGURATION
        for name, value in filled.items():
            text = text.replace(name, value)
        path = tmp_path / "nginx.conf"
        path.write_text(text)
        nginx = (program, "-c", str(path), "-e", str(tmp_path / "error.log"))
        return probe(sys.executable, "-c", FILL, str(path), "{provider}", *nginx)

    return run


def test_mitmproxy_that_streams_passes_everything(mitmproxy: Probe) -> None:
    found = mitmproxy("--set", "stream_large_bodies=1")
    assert found.failed() == set()
    assert found.document.missed == 0


def test_mitmproxy_as_it_comes_holds_everything_back(mitmproxy: Probe) -> None:
    found = mitmproxy()
    assert found.failed() >= HELD_BACK | {B.CUT}
    assert not found.failed() & KEPT
    assert "events lost" in found.evidence(B.CUT)


def test_nginx_without_buffering_passes_everything(nginx: Probe) -> None:
    found = nginx("proxy_buffering off; proxy_http_version 1.1;")
    assert found.failed() == set()
    assert found.document.missed == 0


def test_nginx_as_it_comes_holds_events_back_and_loses_them_at_a_cut(nginx: Probe) -> None:
    found = nginx("")
    assert found.failed() == HELD_BACK | {B.CUT}
    assert "held back until the silence" in found.evidence(B.SILENCE)
    assert "had heard only 0 events" in found.evidence(B.LEFT_SILENT)


def test_nginx_that_buffers_what_is_chunked_does_not_wait_for_more(nginx: Probe) -> None:
    """With HTTP/1.1 to the provider, it passes on each read, whatever `proxy_buffering` says."""
    found = nginx("proxy_buffering on; proxy_http_version 1.1;")
    assert found.failed() == set()
