"""The reducer: from a journal to records, while it is written, and after its worker is gone."""

import io
import json
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest

from harness.load.folder import Folder
from harness.load.journal import JournalReader, JournalWriter, blob_of
from harness.load.plan import Call, Closed, Plan
from harness.load.records import RECORD, EndRecord, Outcome, Phase, Result, Stamps, Tick, WorkerRecord
from harness.load.reducer import Output, Reducer, brief

MS = 1_000_000
SENT = 1_000 * MS
EVENTS = [
    b'data: {"model":"m","choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"b"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"c"}}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\n',
    b"data: [DONE]\n\n",
]
PIECES = [(100, EVENTS[0]), (200, EVENTS[1]), (210, EVENTS[2] + EVENTS[3]), (300, EVENTS[4] + EVENTS[5])]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    plan = Plan(target="http://x/up", loop=Closed(concurrency=1), save_events=True)
    folder.write(plan, [Call(path="/v1/chat/completions", body='{"model":"asked"}')])
    return folder


class Journal:
    """Writes what a worker writes."""

    def __init__(self, folder: Folder) -> None:
        self.writer = JournalWriter(folder.journal(0))
        names = ("start_ns", "monotonic_ns", "wall_ns", "anchor_error_ns")
        self.writer.append("worker", {"worker": 0, "host": "h", "pid": 1, **dict.fromkeys(names, 1)})

    def sent(self, number: int) -> None:
        head = {"number": number, "call": 0, "phase": "measured", "scheduled_ns": SENT - MS, "at_ns": SENT}
        self.writer.append("sent", head)

    def answer(self, number: int, pieces: list[tuple[int, bytes]], **changes: Any) -> None:
        stamps = array("q", (SENT + at * MS for at, _ in pieces))
        sizes = array("I", (len(data) for _, data in pieces))
        head = {
            "number": number,
            "sent_ns": SENT,
            "connect_ns": 7,
            "first_byte_ns": SENT + 90 * MS,
            "end_ns": SENT + 310 * MS,
            "ending": "done",
            "error": None,
            "status": 200,
            "headers": [["content-type", "text/event-stream"]],
            "stamps": "kernel",
            "stamp_error_ns": 50,
            "request_bytes": 10,
            "response_bytes": 20,
            "pieces": len(pieces),
        }
        self.writer.append("answer", head | changes, blob_of(stamps, sizes, (data for _, data in pieces)))

    def end(self) -> None:
        self.writer.append("end", {"worker": 0, "sent": 1, "answered": 1, "unsent": 0, "why": "done"})


@pytest.fixture
def journal(folder: Folder) -> Journal:
    return Journal(folder)


def reduced(folder: Folder) -> list[Any]:
    """The records that the command makes, of a worker that is gone."""
    done = subprocess.run(
        [sys.executable, "-m", "harness.load.reducer", str(folder.path), "0"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == b""
    return [RECORD.validate_json(line) for line in folder.records(0).read_bytes().splitlines()]


def test_a_whole_answer(folder: Folder, journal: Journal) -> None:
    journal.sent(3)
    journal.answer(3, PIECES)
    journal.end()
    first, result, end = reduced(folder)
    assert isinstance(first, WorkerRecord)
    assert isinstance(end, EndRecord)
    assert result == Result(
        worker=0,
        number=3,
        call=0,
        phase=Phase.MEASURED,
        outcome=Outcome.COMPLETE,
        status=200,
        scheduled_ns=SENT - MS,
        sent_ns=SENT,
        connect_ns=7,
        first_byte_ns=SENT + 90 * MS,
        first_token_ns=SENT + 200 * MS,
        second_token_ns=SENT + 210 * MS,
        last_token_ns=SENT + 210 * MS,
        end_ns=SENT + 310 * MS,
        dialect="openai.chat",
        model="m",
        stream=True,
        tokens_in=3,
        tokens_out=5,
        events=6,
        content_events=3,
        icl=((0, 1), (10_007, 1)),
        shared_reads=2,
        stamps=Stamps.KERNEL,
        stamp_error_ns=50,
        request_bytes=10,
        response_bytes=20,
        offsets=(
            (100 * MS, False),
            (200 * MS, True),
            (210 * MS, True),
            (210 * MS, True),
            (300 * MS, False),
            (300 * MS, False),
        ),
    )


def test_an_answer_that_never_came(folder: Folder, journal: Journal) -> None:
    journal.sent(0)
    nothing: dict[str, Any] = {
        "status": None,
        "headers": [],
        "first_byte_ns": None,
        "error": "connection refused",
    }
    journal.answer(0, [], ending="refused", stamps="reader", **nothing)
    journal.end()
    _, result, _ = reduced(folder)
    assert (result.outcome, result.error, result.model) == (Outcome.HTTP, "connection refused", "asked")
    assert (result.first_token_ns, result.offsets) == (None, ())


def test_a_worker_that_died_leaves_what_is_whole(folder: Folder, journal: Journal) -> None:
    for number in range(2):
        journal.sent(number)
    journal.answer(0, PIECES)
    with folder.journal(0).open("ab") as file:
        file.write(b"\xff\0\0\0\0\0\0\0{torn")
    records = reduced(folder)
    assert [record.kind for record in records] == ["worker", "result"]


def test_it_follows_a_journal_that_grows(folder: Folder, journal: Journal) -> None:
    command = [sys.executable, "-m", "harness.load.reducer", str(folder.path), "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for number in range(3):
            journal.sent(number)
            journal.answer(number, PIECES, ending="reset" if number == 1 else "done")
            said = json.loads(process.stdout.readline())
            assert (said["kind"], said["number"], said["tokens_out"]) == ("result", number, 5)
        journal.end()
        assert process.wait(20) == 0
    assert len(folder.records(0).read_bytes().splitlines()) == 5


def test_echo_tells_every_record(folder: Folder, journal: Journal) -> None:
    journal.sent(0)
    journal.answer(0, PIECES)
    journal.end()
    done = subprocess.run(
        [sys.executable, "-m", "harness.load.reducer", str(folder.path), "0", "--echo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == folder.records(0).read_bytes()


def test_checks_name_what_an_answer_broke(folder: Folder, journal: Journal) -> None:
    reducer = Reducer(0, folder.plan(), folder.calls(), check=lambda exchange, derived: [derived.dialect])
    journal.sent(0)
    journal.answer(0, PIECES)
    frames = iter(open_frames(folder))
    assert isinstance(reducer.record(next(frames)), WorkerRecord)
    assert reducer.record(next(frames)) is None
    result = reducer.record(next(frames))
    assert isinstance(result, Result)
    assert result.violations == ("openai.chat",)


def open_frames(folder: Folder) -> list[Any]:
    reader = JournalReader(folder.journal(0))
    frames = list(reader.frames())
    reader.close()
    return frames


def test_a_worker_that_does_not_listen_hinders_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    file = io.StringIO()
    output = Output(file, Gone(), echo=True)
    tick = Tick(worker=0, at_ns=1, sent=0, answered=0, under_way=0, cpu_s=0, rss_bytes=0)
    output.write(tick)
    output.write(tick)
    output.flush()
    assert len(file.getvalue().splitlines()) == 2


def test_a_brief_says_what_a_worker_needs() -> None:
    result = Result(
        worker=0, number=1, call=2, phase=Phase.WARMUP, outcome=Outcome.HTTP, error="429", sent_ns=1, end_ns=2
    )
    assert brief(result)["outcome"] == "http"
    assert json.dumps(brief(result))


def test_a_folder_without_calls_is_told(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(Plan(target="http://x", loop=Closed(concurrency=1)), [])
    done = subprocess.run(
        [sys.executable, "-m", "harness.load.reducer", str(tmp_path), "0"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert b"holds no calls" in done.stderr
