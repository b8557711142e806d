"""What the writer keeps and prints: no secret, wherever one stood."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.derive import derive
from harness.core.exchange import State, header
from harness.core.redaction import Rules
from harness.record.anchor import Anchor
from harness.record.ends import How
from harness.record.message import Kind, Message
from harness.record.writer import Settings, Writer
from harness.store.capture import Capture
from harness.store.open import open_recording
from harness.store.writer import RecordingWriter

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


def settings_for(db: Path) -> Settings:
    return Settings(db, (), Anchor(0, 0, 0), {}, "", Rules.default(), "none")


def part(upload: int, body: bytes, **head: object) -> Message:
    return Message({"kind": Kind.UPLOAD, "upload": upload, **head}, body)


def uploaded(path: str, upload: int, size: int) -> Message:
    """An exchange whose request body came ahead in parts."""
    request = {"method": "POST", "url": f"http://a.test{path}", "path": path, "http_version": "HTTP/1.1"}
    times = dict.fromkeys(("t0", "headers", "end", "connected", "error_bound"), 1)
    ends = {"how": How.ERROR, "message": "server closed connection", "response": None}
    asked = {**request, "headers": [], "upstream": "default"}
    return Message(
        {"kind": Kind.EXCHANGE, "request": asked, "upload": upload, "uploaded": size, **times, **ends}
    )


def test_an_upload_whose_part_found_no_room_is_lost_and_not_stored_with_a_hole(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    db = tmp_path / "a.db"
    with RecordingWriter(db) as recording:
        recording.start_capture(settings_for(db).capture())
        writer = Writer(settings_for(db), recording, lambda _reason: None)
        for message in (
            part(1, b"ab", open=[1]),
            part(2, b"de", open=[1, 2]),
            part(1, b"c"),
            uploaded("/whole", 1, 3),
            uploaded("/a-hole", 2, 4),
            uploaded("/nothing", 3, 4),
        ):
            writer.take(message)
        assert writer.losses.lost == 2
    with open_recording(db) as opened:
        found = [(exchange.request.path, exchange.request.body) for exchange in opened.exchanges()]
    assert found == [("/whole", b"abc")]
    said = "NOT RECORDED: POST /a-hole: a part of its request body found no room in the queue"
    assert said in capfd.readouterr().err


def test_parts_whose_exchange_found_no_room_are_not_kept_for_ever(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    with RecordingWriter(db) as recording:
        writer = Writer(settings_for(db), recording, lambda _reason: None)
        for message in (part(1, b"a", open=[1]), part(2, b"b", open=[1, 2]), part(3, b"c", open=[2, 3])):
            writer.take(message)
    assert {number: body.getvalue() for number, body in writer.uploads.items()} == {2: b"b", 3: b"c"}
