"""Fixtures for real Locust runs: a recording that is played, a run's folder, and what came of it."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.child import Child, harness_command
from harness.load.child import LocustChild
from harness.load.folder import Folder
from harness.load.plan import Call, Closed, Plan
from harness.load.records import RECORD, EndRecord, Record, Result, Tick, WorkerRecord

MS = 1_000_000
PATH = "/v1/chat/completions"
EVENTS = 20


def chat_body(prompt: str, **more: Any) -> str:
    """The body of a chat request."""
    return json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": prompt}], "stream": True, **more}
    )


def chat_stream(gap_ns: int, first_ns: int = 20 * MS) -> list[tuple[int, str]]:
    """Events of a chat stream with their offsets: tokens, the usage, the terminator."""
    texts: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": f" t{number}"}}]} for number in range(EVENTS)
    ]
    usage = {"prompt_tokens": 7, "completion_tokens": EVENTS, "total_tokens": 27}
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}
    datas = [json.dumps({"model": "m", **value}) for value in (*texts, last)]
    return [(first_ns + gap_ns * n, f"data: {data}\n\n") for n, data in enumerate([*datas, "[DONE]"])]


def line_of(body: str, stream: list[tuple[int, str]]) -> str:
    """A line of interchange."""
    headers = [["content-type", "text/event-stream"]]
    request = {"method": "POST", "url": f"http://x{PATH}", "body": body}
    return json.dumps({"request": request, "response": {"status": 200, "headers": headers, "chunks": stream}})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`harness replay` with a fast stream (5 ms gaps, prompt `fast`) and slow ones (50 ms)."""
    recording = tmp_path_factory.mktemp("recording") / "two.jsonl"
    options: dict[str, Any] = {
        "max_tokens": 128,
        "stream_options": {"include_usage": True},
    }  # as plain Locust asks
    lines = [
        line_of(chat_body("fast"), chat_stream(5 * MS)),
        line_of(chat_body("slow"), chat_stream(50 * MS)),
        line_of(chat_body("plain", **options), chat_stream(50 * MS)),
    ]
    recording.write_text("".join(f"{line}\n" for line in lines))
    with Child(harness_command("replay", str(recording), "--port", "0"), quiet=True) as child:
        yield child.url


class Run:
    """A run's folder and its records."""

    def __init__(self, path: Path) -> None:
        self.folder = Folder(path)

    def lay_out(
        self, target: str, calls: list[Call], arrivals: list[int] | None = None, **plan: Any
    ) -> Folder:
        """Write plan, calls and arrivals."""
        given = {"target": target, "loop": Closed(concurrency=2), **plan}
        self.folder.write(Plan.model_validate(given), calls, arrivals or [])
        return self.folder

    def finish(self, workers: int = 1, *extra: str) -> int:
        """Run it to its end; the exit code."""
        with LocustChild(self.folder, workers, extra) as child:
            code = child.wait(60)
            assert code is not None, child.output_tail()
            return code

    def records(self, worker: int | None = None) -> list[Record]:
        """The records of a worker, or of all."""
        name = "records-*.jsonl" if worker is None else f"records-{worker}.jsonl"
        lines = [
            line for path in sorted(self.folder.path.glob(name)) for line in path.read_bytes().splitlines()
        ]
        return [RECORD.validate_json(line) for line in lines]

    def results(self) -> list[Result]:
        return [record for record in self.records() if isinstance(record, Result)]

    def ends(self) -> list[EndRecord]:
        return [record for record in self.records() if isinstance(record, EndRecord)]

    def ticks(self) -> list[Tick]:
        return [record for record in self.records() if isinstance(record, Tick)]

    def workers(self) -> list[WorkerRecord]:
        return [record for record in self.records() if isinstance(record, WorkerRecord)]

    def outcomes(self) -> Counter[str]:
        return Counter(str(result.outcome) for result in self.results())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run in a folder of its own."""
    return Run(tmp_path / "run")


@pytest.fixture(scope="session")
def call() -> Callable[..., Call]:
    """`call("fast")` is a call that the server knows."""

    def make(prompt: str, path: str = PATH, **changes: Any) -> Call:
        return Call(path=path, body=chat_body(prompt), **changes)

    return make
