"""How a run ends: signals, programs, and processes that die. Each starts a recorder of its own."""

import asyncio
import os
import resource
import signal
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.core.exchange import State
from harness.record.child import Child
from harness.record.ports import listening
from harness.record.supervisor import Settings, Supervisor, record
from harness.record.upstream import parse

if TYPE_CHECKING:
    from tests.plugins.wire import Recorder, Upstream

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the recorder's processes in /proc")

SSE = "Content-Type: text/event-stream"
FIRST = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
OPEN, WHOLE = "/open/v1/chat/completions", "/whole/v1/chat/completions"

type Start = Callable[..., "Recorder"]


@pytest.fixture
def recording(start_recorder: Start, upstream: "Upstream") -> "Recorder":
    """A recorder that has recorded a whole exchange."""
    recorder = start_recorder("--upstream", upstream.url).listen()
    record_whole(recorder, upstream)
    return recorder


def record_whole(recorder: "Recorder", upstream: "Upstream") -> None:
    upstream.on(OPEN, upstream.head(200, SSE), upstream.chunk(FIRST), upstream.HOLD)
    upstream.on(WHOLE, upstream.head(200, SSE), upstream.chunk(FIRST), upstream.chunk(DONE) + upstream.LAST)
    with recorder.client() as client:
        client.send("POST", WHOLE, b"{}")
        client.read_until(upstream.LAST)


def states(recorder: "Recorder") -> dict[str, State]:
    return {exchange.request.path: exchange.state for exchange in recorder.exchanges()}


def alone(db: Path) -> list[str]:
    """The recording's file and those beside it."""
    return sorted(path.name for path in db.parent.iterdir() if path.name.startswith(db.name))


def test_a_signal_stores_open_streams_as_interrupted_and_the_next_run_appends(
    start_recorder: Start, upstream: "Upstream", tmp_path: Path
) -> None:
    db = tmp_path / "sub" / "one.db"
    for number in (signal.SIGINT, signal.SIGTERM):
        recorder = start_recorder("--upstream", upstream.url, "--db", str(db)).listen()
        recorder.db = db
        record_whole(recorder, upstream)
        for pid in recorder.children().values():
            os.kill(pid, signal.SIGINT)  # Ctrl-C is for the supervisor alone
        with recorder.client() as client:
            client.send("POST", OPEN, b"{}")
            client.read_until(FIRST + b"\r\n")
            assert recorder.stop(number) == 0
            client.read_all()
        assert f"recorded 2 exchanges in {db}: 1 complete, 1 interrupted" in recorder.errors()
    found = [(exchange.capture, exchange.request.path, exchange.state) for exchange in recorder.exchanges()]
    assert found == [
        (number, *kind) for number in (1, 2) for kind in ((WHOLE, State.COMPLETE), (OPEN, State.INTERRUPTED))
    ]
    interrupted = recorder.exchange(OPEN, 2)
    assert interrupted.response is not None
    assert [data for _, data in interrupted.response.chunks] == [FIRST]
    assert alone(db) == ["one.db"]


def test_a_killed_supervisor_leaves_all_that_was_finished(
    recording: "Recorder", wait_until: Callable[..., None]
) -> None:
    children = recording.children()
    assert set(children) == {"proxy", "writer"}
    with recording.client() as client:
        client.send("POST", OPEN, b"{}")
        client.read_until(FIRST + b"\r\n")
        recording.process.kill()
        recording.wait()
        for pid in children.values():
            wait_until(lambda pid=pid: not is_running(pid), f"process {pid} still runs")
    assert states(recording) == {WHOLE: State.COMPLETE, OPEN: State.INTERRUPTED}
    assert alone(recording.db) == ["recording.db"]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_proxy_ends_the_recording_visibly(recording: "Recorder") -> None:
    recording.exchange(WHOLE)
    os.kill(recording.children()["proxy"], signal.SIGKILL)
    assert recording.wait() == 4
    errors = recording.errors()
    assert "the proxy is gone or failed: stopping" in errors
    assert "harness: error: the proxy ended with code -9" in errors
    assert states(recording) == {WHOLE: State.COMPLETE}


def test_a_killed_writer_ends_the_recording_and_the_program(
    start_recorder: Start, upstream: "Upstream"
) -> None:
    wait = "import signal; print('up', flush=True); signal.pause()"
    recorder = start_recorder("--upstream", upstream.url, "--", sys.executable, "-c", wait).listen()
    assert recorder.output.readline() == "up\n"
    record_whole(recorder, upstream)
    recorder.exchange(WHOLE)
    os.kill(recorder.children()["writer"], signal.SIGKILL)
    assert recorder.wait() == 4
    errors = recorder.errors()
    assert "the writer is gone or failed: stopping" in errors
    assert f"recorded 1 exchange in {recorder.db}: 1 complete" in errors
    assert "harness: error: the writer is gone; the writer ended with code -9" in errors
    assert "Traceback" not in errors
    assert states(recorder) == {WHOLE: State.COMPLETE}


LEAVE = """
import os, urllib.request
print(urllib.request.urlopen(os.environ["OPENAI_BASE_URL"] + "/models").read(5).decode(), flush=True)
os._exit(3)
"""


def test_a_program_s_exit_code_is_ours_and_its_last_stream_is_aborted(
    start_recorder: Start, upstream: "Upstream"
) -> None:
    upstream.on("/v1/models", upstream.head(200, SSE), upstream.chunk(FIRST), upstream.HOLD)
    arguments = ("--", sys.executable, "-c", LEAVE)
    recorder = start_recorder("--upstream", f"openai={upstream.url}", "--quiet", *arguments)
    assert recorder.wait() == 3
    assert recorder.rest.splitlines()[1:] == ["data:"]
    assert states(recorder) == {"/v1/models": State.CLIENT_ABORT}
    assert recorder.errors().startswith("harness record: recorded 1 exchange in ")


def test_only_insisting_gives_up_what_is_not_stored_yet(
    recording: "Recorder", wait_until: Callable[..., None]
) -> None:
    recording.exchange(WHOLE)
    os.kill(recording.children()["writer"], signal.SIGSTOP)
    recording.process.send_signal(signal.SIGINT)
    wait_until(lambda: "proxy" not in recording.children(), "the proxy did not stop")
    recording.process.send_signal(signal.SIGINT)
    wait_until(lambda: "once more to give that up" in recording.errors(), "no word about a second signal")
    assert recording.stop() == 4
    assert "the writer ended with code -9" in recording.errors()
    assert states(recording) == {WHOLE: State.COMPLETE}


def test_a_full_disk_is_told(start_recorder: Start, upstream: "Upstream") -> None:
    """A limit on the size of files stands for the disk."""
    big = b"x" * 3_000_000
    upstream.on("/big", upstream.head(200, f"Content-Length: {len(big)}"), big)
    recorder = start_recorder("--upstream", upstream.url).listen()
    resource.prlimit(recorder.children()["writer"], resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    with recorder.client() as client:
        client.send("GET", "/big", b"", "Connection: close")
        client.read_all()
    assert recorder.wait() == 4
    errors = recorder.errors()
    assert f"NOT RECORDED: GET /big: {recorder.db} cannot be written" in errors
    assert f"recorded 0 exchanges in {recorder.db}\n" in errors
    assert errors.endswith("; 1 exchange could not be recorded\n")
    assert states(recorder) == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_the_program_starts_keeps_it_from_starting(
    number: signal.Signals, tmp_path: Path
) -> None:
    started: list[object] = []

    async def program(urls: object) -> int:
        started.append(urls)
        return 0

    class Early(Supervisor):
        """A run whose signal comes while it gets ready."""

        async def get_ready(self, proxy: Child, writer: Child) -> None:
            os.kill(os.getpid(), number)
            await super().get_ready(proxy, writer)

    async def run() -> int:
        return (await Early(settings, listening("127.0.0.1", 0, 1)).run(program)).program_code

    settings = Settings((parse("http://127.0.0.1:9"),), tmp_path / "a.db", "127.0.0.1", 0)
    assert asyncio.run(run()) == 128 + number
    assert not started


def test_what_was_masked_is_told_however_many_names_it_has(upstream: "Upstream", tmp_path: Path) -> None:
    """The writer's line is then longer than what asyncio reads at once by default."""
    upstream.on("/v1", upstream.head(200, "Content-Length: 2"), b"{}")
    headers = {f"x-{'long' * 8}-{number}-token": "v" for number in range(1500)}

    async def program(urls: Mapping[str, str]) -> int:
        request = urllib.request.Request(f"{urls['default']}/v1", headers=headers)
        await asyncio.to_thread(lambda: urllib.request.urlopen(request).read())
        return 0

    settings = Settings((parse(upstream.url),), tmp_path / "a.db", "127.0.0.1", 0, lines="none")
    outcome = record(settings, program)
    assert outcome.failures == ()
    assert len(outcome.masked) == len(headers)
