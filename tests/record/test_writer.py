"""What the writer keeps and prints: no secret, wherever one stood."""

import gzip
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.core.derive import derive
from harness.core.exchange import State, header
from harness.core.redaction import Rules
from harness.store.capture import Capture
from harness.store.open import open_recording

if TYPE_CHECKING:
    from tests.plugins.wire import Recorder, Upstream

KEY = "sk-proj-PlantedPlantedPlanted0123456789"
OTHERS = ("gsk_PlantedPlantedPlanted42", "AIzaPlantedPlantedPlantedPlantedPlanted1")
JWT = "eyJhbGciPlanted.eyJzdWIiPlanted.c2lnPlanted"
SECRETS = (KEY, *OTHERS, JWT, "planted-cookie", "planted-query", "gAAAAAplanted", "org-PlantedPlantedPlanted")
SSE = "Content-Type: text/event-stream"
PATH = f"/v1/chat/completions?key=planted-query&t={JWT}"


def said(text: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":%s}}]}\n\n' % json.dumps(text).encode()


def ask(recorder: "Recorder", path: str) -> None:
    """Make a request full of secrets."""
    body = json.dumps({"messages": [{"content": f"my key is\n{KEY}"}], "encrypted_content": "gAAAAAplanted"})
    headers = (f"Authorization: Bearer {KEY}", "Cookie: a=planted-cookie", f"X-Other: {OTHERS[0]}")
    with recorder.client() as client:
        client.send("POST", path, body.encode(), "Connection: close", *headers)
        client.read_all()


def everything(recorder: "Recorder") -> bytes:
    """All bytes of all files that the recorder has made so far: recording, log, what it printed."""
    return b"".join(path.read_bytes() for path in sorted(recorder.db.parent.iterdir()))


def test_no_secret_reaches_the_disk(
    start_recorder: Callable[..., "Recorder"], upstream: "Upstream", wait_until: Callable[..., None]
) -> None:
    whole = said(f"Your key is {KEY}.")
    tokens = [said(part) for part in (KEY[:5], KEY[5:9], KEY[9:20], KEY[20:])]
    packed = gzip.compress(json.dumps({"key": KEY, "jwt": JWT}).encode())
    setting = ("Set-Cookie: a=planted-cookie", "OpenAI-Organization: org-PlantedPlantedPlanted")
    scripts: dict[str, tuple[object, ...]] = {
        "/whole": (upstream.chunk(whole[:60]), upstream.chunk(whole[60:]), upstream.LAST),
        "/tokens": (*map(upstream.chunk, tokens), upstream.LAST),
        "/gzip": (upstream.chunk(packed), upstream.LAST),
        "/cut": (upstream.chunk(whole), upstream.CLOSE),
        "/broken": (upstream.CLOSE,),
    }
    recorder = start_recorder("--upstream", upstream.url).listen()
    for path, steps in scripts.items():
        asked = path + PATH
        head = upstream.head(200, SSE, *setting, *(["Content-Encoding: gzip"] if path == "/gzip" else []))
        start = f"HTTP/1.1 200 OK\r\n{setting[0]}\r\nX-Key: {KEY}".encode() if path == "/broken" else head
        upstream.on(asked, start, *steps)  # type: ignore[arg-type]
        ask(recorder, asked)
    wait_until(lambda: len(recorder.exchanges()) == len(scripts), "not all was stored")
    while_it_runs = everything(recorder)
    assert recorder.stop() == 0
    for data in (while_it_runs, everything(recorder), recorder.rest.encode()):
        assert [secret for secret in SECRETS if secret.encode() in data] == []
    check_kept(recorder, {"/whole": whole, "/cut": whole})
    assert capture_of(recorder).redaction == Rules.default()


def capture_of(recorder: "Recorder") -> Capture:
    with open_recording(recorder.db) as recording:
        (capture,) = recording.captures()
    return capture


def check_kept(recorder: "Recorder", plain: dict[str, bytes]) -> None:
    """What is no secret is still there, and nothing moved."""
    found = {exchange.request.path.partition("/v1/")[0]: exchange for exchange in recorder.exchanges()}
    states = {path: exchange.state for path, exchange in found.items()}
    assert states == {
        "/whole": State.COMPLETE,
        "/tokens": State.COMPLETE,
        "/gzip": State.COMPLETE,
        "/cut": State.UPSTREAM_CUT,
        "/broken": State.UPSTREAM_CUT,
    }
    for path, body in plain.items():
        response = found[path].response
        assert response is not None
        assert len(response.body) == len(body)
        assert response.body.startswith(body[:50])
    assert found["/whole"].response is not None
    assert len(found["/whole"].response.chunks) == 2
    assert header(found["/whole"].request.headers, "authorization") == "Bearer [redacted]"
    assert found["/gzip"].rewritten
    assert derive(found["/tokens"]).text == "sk-[redacted]" + "*" * (len(KEY) - len("sk-[redacted]"))


def test_no_redact_keeps_all_and_json_lines_are_json(
    start_recorder: Callable[..., "Recorder"], upstream: "Upstream"
) -> None:
    upstream.on(PATH, upstream.head(200, SSE), upstream.chunk(said(KEY)), upstream.LAST)
    recorder = start_recorder("--upstream", upstream.url, "--no-redact", "--json").listen()
    ask(recorder, PATH)
    capture = capture_of(recorder)
    assert (capture.upstreams, capture.redaction) == ({"default": upstream.url}, None)
    assert set(capture.versions) == {"traffic-harness", "mitmproxy", "python"}
    assert set(capture.clock) == {"wall_ns", "monotonic_ns", "error_ns"}
    assert recorder.stop() == 0
    (exchange,) = recorder.exchanges()
    assert exchange.request.path == PATH
    assert header(exchange.request.headers, "authorization") == f"Bearer {KEY}"
    first, last, cost = recorder.errors().splitlines()
    assert json.loads(first)["path"] == "/v1/chat/completions"
    assert json.loads(first)["state"] == "complete"
    assert last.startswith("harness record: recorded 1 exchange")
    assert json.loads(cost)["cost"]["exchanges"] == 1
