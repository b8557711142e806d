"""The ways in, with real clients: what they get, and that what is recorded is the same either way."""

import io
import json
import os
import re
import shlex
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from mitmproxy.test import tflow, tutils

from harness.core.exchange import Exchange, Response, State
from harness.record.http1 import UPLOAD
from harness.record.lag import LagSelector
from harness.record.message import Kind, read
from harness.record.tee import Tee
from harness.record.upstream import parse
from harness.record.ways import Reverse
from harness.store.open import open_recording

if TYPE_CHECKING:
    from tests.plugins.secure import SecureUpstream
    from tests.plugins.wire import Recorder, Upstream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is loopback on Linux alone")

CHAT = "/v1/chat/completions"
REQUEST = {"model": "tiny", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
TEXT = "Hello world!"
OWN = ("host", "date", "accept-encoding")
"""Headers that differ by the way or by the second; `fetch` offers `br` to https:// alone."""

type Start = Callable[..., "Recorder"]


@dataclass
class Ways:
    """A recorder of each kind in front of the same server, and what a client of each is told."""

    recorders: Mapping[str, "Recorder"]
    environments: Mapping[str, Mapping[str, str]]
    bases: Mapping[str, str]

    def run(self, way: str, *command: str | Path, **variables: str) -> str:
        """What a program prints that was told of a way in."""
        env = {**os.environ, **self.environments[way], **variables}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def latest(self, way: str, path: str, count: int = 1) -> Exchange:
        """The latest exchange for a path."""
        return self.recorders[way].exchange(path, count)


@pytest.fixture(scope="module")
def ways(
    start_recorder: Start, secure_upstream: "SecureUpstream", tmp_path_factory: pytest.TempPathFactory
) -> Ways:
    upstream = ("--upstream", secure_upstream.url, "--upstream-ca", str(secure_upstream.ca))
    reverse = start_recorder(*upstream).listen()
    folder = tmp_path_factory.mktemp("ca")
    proxy = start_recorder("--mode", "proxy", "--ca-dir", str(folder), *upstream).listen()
    told = dict(exported(proxy.output.readline()) for _ in range(12))
    return Ways(
        {"reverse": reverse, "proxy": proxy},
        {"reverse": {"NO_PROXY": "127.0.0.1"}, "proxy": told},
        {"reverse": f"http://127.0.0.1:{reverse.port}", "proxy": secure_upstream.url},
    )


def exported(line: str) -> tuple[str, str]:
    """Name and value of a line for a shell."""
    word, setting = shlex.split(line)
    assert word == "export"
    name, _, value = setting.partition("=")
    return name, value


def bare(exchange: Exchange) -> Exchange:
    """An exchange without all that is of its own time and way."""
    response = exchange.response
    assert response is not None
    headers = tuple(pair for pair in exchange.request.headers if pair[0].lower() not in OWN)
    told = tuple(pair for pair in response.headers if pair[0].lower() not in OWN)
    chunks = tuple((0, data) for _, data in response.chunks)
    return replace(
        exchange,
        request=replace(exchange.request, headers=headers),
        response=Response(response.status, told, 0, chunks, 0, response.http_version),
        started_at="",
        connect_ns=0,
        error_bound_ns=0,
        end_ns=0,
        id=0,
        capture=0,
    )


PYTHON = """
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="sk-none", max_retries=0)
messages = [{"role": "user", "content": "Hi"}]
stream = client.chat.completions.create(model="tiny", stream=True, messages=messages)
print("".join(chunk.choices[0].delta.content or "" for chunk in stream))
"""
FETCH = """
import json, os, re, sys, urllib.request
base = sys.argv[1] if len(sys.argv) > 1 else os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
answer = urllib.request.urlopen(base + "/v1/chat/completions?fetched", data=b"{}").read().decode()
events = [json.loads(data) for data in re.findall("data: ({.*})", answer)]
print("".join(event["choices"][0]["delta"].get("content", "") for event in events))
"""
NODE = """
import OpenAI from 'openai';
import { EnvHttpProxyAgent, setGlobalDispatcher } from 'undici';
setGlobalDispatcher(new EnvHttpProxyAgent());
const client = new OpenAI({ baseURL: process.argv[2] + '/v1', apiKey: 'sk-none', maxRetries: 0 });
const messages = [{ role: 'user', content: 'Hi' }];
const stream = await client.chat.completions.create({ model: 'tiny', stream: true, messages });
let text = '';
for await (const chunk of stream) text += chunk.choices[0].delta.content ?? '';
console.log(text);
"""


def test_the_star_of_options_and_prefixes_in_urls() -> None:
    """What is stored as the URL is what the upstream is asked."""
    way = Reverse({1: parse("or=https://openrouter.ai/api")}, lambda _message: None)
    for asked, url in (("*", "/api/*"), ("/v1/x?y", "/api/v1/x?y")):
        flow = tflow.tflow()
        flow.client_conn.sockname, flow.request.path = ("127.0.0.1", 1), asked
        assert way.turn(flow) == ("or", f"https://openrouter.ai{url}")
        assert flow.request.path == (url if asked != "*" else "*")


def test_a_body_over_the_limit_passes_and_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.record.tee.REQUEST_LIMIT", 8)
    sent: list[bytes] = []
    loop = cast("LagSelector", SimpleNamespace(returned=1, bound_since=lambda _start: 0))
    tee = Tee(Reverse({1: parse("https://a.test")}, sent.append), sent.append, loop)
    flow = tflow.tflow()
    flow.client_conn.sockname = ("127.0.0.1", 1)
    tee.requestheaders(flow)
    for part in (b"12345", b"67890", b"more", b""):
        assert flow.metadata[UPLOAD](part) == part
    flow.response = tutils.tresp()
    for hook in (tee.request, tee.responseheaders, tee.response):
        hook(flow)
    assert flow.response.stream is True
    source = io.BytesIO(b"".join(sent))
    messages = list(iter(lambda: read(source), None))
    assert [one.head["kind"] for one in messages] == [Kind.UPLOAD, Kind.FORGET, Kind.TROUBLE]
    assert (messages[0].body, messages[0].head["open"]) == (b"12345", [1])
    assert "it passes, but is not recorded" in messages[-1].head["text"]


def check_alike(ways: Ways, run: Callable[[str], str], http_version: str) -> None:
    """A program that is run either way gets the same, and so do the recordings."""
    before = {way: len(recorder.exchanges()) for way, recorder in ways.recorders.items()}
    found = {}
    for way, recorder in ways.recorders.items():
        assert run(way) == f"{TEXT}\n"
        count = sum(one.request.path == CHAT for one in recorder.exchanges()[: before[way]])
        found[way] = ways.latest(way, CHAT, count + 1)
    assert bare(found["proxy"]) == bare(found["reverse"])
    assert found["proxy"].state is State.COMPLETE
    assert found["proxy"].request.http_version == http_version
    assert json.loads(found["proxy"].request.body) == REQUEST


def test_the_same_program_gives_the_same_exchanges(ways: Ways) -> None:
    check_alike(ways, lambda way: ways.run(way, sys.executable, "-c", PYTHON, ways.bases[way]), "HTTP/1.1")


def test_openai_for_node(ways: Ways, npm: Callable[..., Path], require_tool: Callable[..., str]) -> None:
    folder = npm("openai@6.49.0", "undici@7")
    script = folder / "chat.mjs"
    script.write_text(NODE)
    node = require_tool("node")
    check_alike(ways, lambda way: ways.run(way, node, script, ways.bases[way]), "HTTP/1.1")


def test_curl_with_http2(ways: Ways, require_tool: Callable[..., str]) -> None:
    curl = require_tool("curl")
    if "HTTP2" not in subprocess.run([curl, "--version"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("curl was built without HTTP/2")
    versions = {"reverse": "--http2-prior-knowledge", "proxy": "--http2"}
    sent = ("-sS", "-H", "Content-Type: application/json", "-d", json.dumps(REQUEST))

    def run(way: str) -> str:
        answer = ways.run(way, curl, versions[way], *sent, ways.bases[way] + CHAT)
        events = [json.loads(data) for data in re.findall("data: ({.*})", answer)]
        return "".join(one["choices"][0]["delta"].get("content", "") for one in events) + "\n"

    check_alike(ways, run, "HTTP/2.0")
    for way in ways.recorders:
        asked = ways.run(way, curl, versions[way], "-sS", f"{ways.bases[way]}/v1/models")
        assert json.loads(asked)["http"] == "2"


def test_the_recording_answers_the_same_program_either_way(ways: Ways, tmp_path: Path) -> None:
    """As a server of which it is told the address, and as the proxy that it is told of."""
    recorder = ways.recorders["proxy"]
    program = (sys.executable, "-c", FETCH)
    assert ways.run("proxy", *program, ways.bases["proxy"]) == f"{TEXT}\n"
    ways.latest("proxy", f"{CHAT}?fetched")
    replay = (sys.executable, "-m", "harness", "replay", str(recorder.db), "--port", "0", "--speed", "0")
    proxy = ("--mode", "proxy", "--ca-dir", str(tmp_path))
    for options, arguments in ((proxy, [ways.bases["proxy"]]), ((), [])):
        command = [*replay, *options, "--", *program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, TEXT), done.stderr
        assert "1 request: 1 answered, 0 missed" in done.stderr


def test_what_redirects_and_has_no_body_is_alike(ways: Ways, require_tool: Callable[..., str]) -> None:
    curl = require_tool("curl")
    for way, recorder in ways.recorders.items():
        followed = ways.run(way, curl, "-sSL", f"{ways.bases[way]}/moved")
        assert json.loads(followed)["bytes"] == 0
        assert ways.run(way, curl, "-sSI", f"{ways.bases[way]}/v1/files").split()[1] == "200"
        head = ways.latest(way, "/v1/files")
        assert (head.request.method, head.state) == ("HEAD", State.COMPLETE)
        away = ways.run(way, curl, "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{ways.bases[way]}/away")
        assert away == "302"
        assert ways.latest(way, "/moved").response is not None
        assert "planted" not in recorder.errors()
    assert "/away: redirects to https://elsewhere.test, past the rec" in ways.recorders["reverse"].errors()


def test_a_large_upload_passes_in_little_memory(
    ways: Ways, require_tool: Callable[..., str], tmp_path: Path
) -> None:
    curl, size = require_tool("curl"), 48 * 1024 * 1024
    file = tmp_path / "upload.bin"
    file.write_bytes(os.urandom(1024) * (size // 1024))
    for way, version in (("reverse", "--http1.1"), ("proxy", "--http2")):
        before = peak_kib(recorder := ways.recorders[way])
        sent = ("-H", "Expect:", "-H", "Content-Type: application/octet-stream", "-T", file)
        answer = json.loads(ways.run(way, curl, "-sS", version, *sent, f"{ways.bases[way]}/v1/files?{way}"))
        assert answer["bytes"] == size
        exchange = ways.latest(way, f"/v1/files?{way}")
        assert exchange.state is State.COMPLETE
        assert exchange.request.body == file.read_bytes()
        assert peak_kib(recorder) - before < size // 2048


def peak_kib(recorder: "Recorder") -> int:
    """The most memory that the proxy ever had, in KiB."""
    status = Path(f"/proc/{recorder.children()['proxy']}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1])


def test_websockets_pass_byte_for_byte(ways: Ways, wait_until: Callable[..., None]) -> None:
    """The frames of RFC 6455, byte by byte: a masked text of two letters, and its echo."""
    wanted = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    recorder = ways.recorders["reverse"]
    with recorder.client() as client:
        client.send("GET", "/v1/realtime", b"", *wanted, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        assert b" 101 " in client.read_until(b"\r\n\r\n")
        for _ in range(2):
            client.socket.sendall(b"\x81\x82\0\0\0\0hi")
            assert client.read_until(b"hi") == b"\x81\x02hi"
    note = "GET /v1/realtime: switches to another protocol; not recorded"
    wait_until(lambda: note in recorder.errors(), "no note about the WebSocket")


def tunnel(port: int, host: str, to: int) -> socket.socket:
    """A connection through a proxy."""
    opened = socket.create_connection(("127.0.0.1", port), timeout=20)
    opened.sendall(f"CONNECT {host}:{to} HTTP/1.1\r\nHost: {host}:{to}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += opened.recv(1)
    assert b" 200 " in answer
    return opened


def test_other_hosts_pass_with_their_own_tls_and_plain_ones_as_well(
    start_recorder: Start, secure_upstream: "SecureUpstream", upstream: "Upstream", tmp_path: Path
) -> None:
    """And the end of a run says what was left out."""
    upstream.on("/plain", upstream.head(200, "Content-Length: 2"), b"ok")
    recorder = start_recorder("--mode", "proxy", "--ca-dir", str(tmp_path / "ca")).listen()
    opened = tunnel(recorder.port, "127.0.0.2", secure_upstream.port)
    with secure_upstream.context().wrap_socket(opened, server_hostname="127.0.0.2") as secure:
        secure.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        assert secure.recv(1000).startswith(b"HTTP/1.1 200")
    for _ in range(2):
        with recorder.client() as client:
            client.send("GET", f"{upstream.url}/plain", b"", "Connection: close")
            assert client.read_all().endswith(b"ok")
    with recorder.client() as client:
        client.socket.sendall(b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 502 ")
    with recorder.client() as client:
        client.send("GET", f"http://127.0.0.1:{recorder.port}/v1/models", b"", "Connection: close")
        assert client.read_all().startswith(b"HTTP/1.1 ")
    assert recorder.stop() == 0
    assert recorder.exchanges() == []
    assert recorder.errors().count(" passes as it is, not recorded") == 2
    assert "GET /v1/models: the recorder was asked as a server, and is a proxy here" in recorder.errors()
    assert "recorded 0 exchanges in " in recorder.errors()
    assert recorder.errors().endswith("; not recorded: 2 hosts\n")


def test_a_client_that_does_not_trust_us_is_told_of(
    ways: Ways, secure_upstream: "SecureUpstream", wait_until: Callable[..., None]
) -> None:
    recorder = ways.recorders["proxy"]
    opened = tunnel(recorder.port, "127.0.0.2", secure_upstream.port)
    with pytest.raises(ssl.SSLCertVerificationError), opened:
        secure_upstream.context().wrap_socket(opened, server_hostname="127.0.0.2")
    wait_until(lambda: "does it trust our CA" in recorder.errors(), "no note about a client without trust")


def test_an_upstream_that_nobody_vouches_for_is_no_upstream(
    start_recorder: Start, secure_upstream: "SecureUpstream", tmp_path: Path, require_tool: Callable[..., str]
) -> None:
    """The program behind `--` finds the proxy by itself; hosts of the user's list have names of their own."""
    curl = require_tool("curl")
    url = f"{secure_upstream.url}{CHAT}"
    command = ("--", curl, "-sS", "-o", "/dev/null", "-w", "%{http_code}", url)
    arguments = ("--mode", "proxy", "--ca-dir", str(tmp_path), "--allow-host", "127.0.0.*", *command)
    recorder = start_recorder(*arguments)
    assert recorder.wait() == 0
    assert recorder.rest.splitlines()[-1] == "502"
    (exchange,) = recorder.exchanges()
    assert exchange.state is State.CONNECT_FAILED
    assert "certificate" in str(exchange.error).lower()
    assert (exchange.upstream, exchange.request.url) == ("host-127-0-0-2", url)
    with open_recording(recorder.db) as recording:
        assert recording.captures()[0].upstreams == {"host-127-0-0-2": secure_upstream.url}
