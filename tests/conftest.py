"""Fixtures for all parts: an exchange as it comes off the wire, and recordings made of such."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from harness.core.derive import derive
from harness.core.exchange import Exchange, Request, Response
from harness.core.interchange import to_line
from harness.core.redaction import Rules
from harness.store.capture import Capture
from harness.store.writer import RecordingWriter

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]
type FolderState = Callable[[Path], dict[str, tuple[int, int, str]]]

settings.register_profile("steady", settings.default, deadline=None)
settings.load_profile("steady")
"""A machine that is busy is no defect."""

MS = 1_000_000
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def chat_events(words: Iterable[str], model: str) -> list[bytes]:
    """An OpenAI chat stream: a delta a word, the usage, the terminator."""
    lines: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in words]
    lines.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})
    datas = [json.dumps({"model": model} | line) for line in lines]
    return [f"data: {data}\n\n".encode() for data in [*datas, "[DONE]"]]


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are as wide as they are, whatever terminal the tests, or the workers of pytest-xdist, run in."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def make_exchange() -> MakeExchange:
    """Make a chat stream: a word every 10 ms after 100 ms; `changes` are fields of the exchange."""

    def make(*words: str, model: str = "tiny", start: int = 0, **changes: Any) -> Exchange:
        events = chat_events(words or ("Hel", "lo", "!"), model)
        chunks = tuple((100 * MS + number * 10 * MS, event) for number, event in enumerate(events))
        headers = (("Content-Type", "text/event-stream"), ("X-Request-Id", "r1"))
        response = Response(200, headers, 90 * MS, chunks, chunks[-1][0] + MS)
        body = json.dumps({"model": model, "stream": True, "messages": []}).encode()
        request = Request("POST", "http://api.test/v1/chat/completions", (("Accept", "*/*"),), body)
        made = Exchange(request, response, started_at=f"2026-01-02T03:04:{start:02}.5Z", upstream="openai")
        return replace(made, **({"end_ns": response.end_ns} | changes))

    return make


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write exchanges to a new file: a recorder's recording, or interchange where the name ends so."""

    def write_file(*exchanges: Exchange, name: str = "a.db") -> Path:
        path = tmp_path / name
        if path.suffix == ".jsonl":
            path.write_text("".join(f"{to_line(exchange)}\n" for exchange in exchanges), "utf-8")
            return path
        with RecordingWriter(path) as writer:
            clock = {"wall_ns": 1, "monotonic_ns": 1, "error_ns": 0}
            writer.start_capture(Capture("2026-01-02T03:04:05Z", clock=clock, redaction=Rules.default()))
            for exchange in exchanges:
                writer.add(exchange, derive(exchange))
        return path

    return write_file


@pytest.fixture
def folder_state() -> FolderState:
    """Names, sizes, times of change and content of all files of a folder."""

    def state(folder: Path) -> dict[str, tuple[int, int, str]]:
        return {
            path.name: (
                path.stat().st_size,
                path.stat().st_mtime_ns,
                hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for path in sorted(folder.iterdir())
            if path.is_file()
        }

    return state
