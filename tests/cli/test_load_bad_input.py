"""What `harness load` cannot work with is one line and exit code 2, before anything is sent or kept."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.cli.app import main
from harness.load.child import free_port
from tests.plugins.load import REQUEST

WHOLE = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]}


class Unstreaming(BaseHTTPRequestHandler):
    """A server that answers at once and whole, whatever was asked for."""

    def do_GET(self) -> None:
        self.answer({"data": [{"id": "m"}]})

    def do_POST(self) -> None:
        self.server.posts += 1  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(WHOLE)

    def answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Unstreaming) as made:
        made.posts = 0  # type: ignore[attr-defined]
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def trace() -> str:
    """A Mooncake trace with a broken third line."""
    rows = [{"timestamp": n, "input_length": 10, "output_length": 5, "hash_ids": [n]} for n in range(2)]
    return "".join(f"{json.dumps(row)}\n" for row in rows) + '{"timestamp": 2, "input_length": \n'


def lay_out(folder: Path) -> None:
    """The files of the table below."""
    (folder / "prompts.txt").write_text("Hello\n")
    (folder / "trace.jsonl").write_text(trace())
    (folder / "empty.jsonl").write_text("")
    (folder / "text.db").write_text("This is no database, but long enough to be taken for one.\n" * 20)
    (folder / "folder.db").mkdir()
    request = {"method": "POST", "url": "http://x/v1/embeddings", "body": '{"input": "x"}'}
    other = {"request": request, "response": {"status": 200, "chunks": []}}
    (folder / "other.jsonl").write_text(json.dumps(other) + "\n")
    request = {"method": "POST", "url": "http://x/v1/chat/completions", "body": json.dumps(REQUEST)}
    (folder / "untimed.jsonl").write_text(
        json.dumps({"request": request, "response": {"status": 200, "chunks": []}}) + "\n"
    )
    with closing(sqlite3.connect(folder / "foreign.db")) as connection:
        connection.execute("CREATE TABLE notes (id INTEGER)")


BAD = {
    "unreachable target": ("--target {closed} --prompt-file prompts.txt", "nothing listens at 127.0.0.1:"),
    "unknown host": (
        "--target http://no.such.host.invalid --yes --prompt-file prompts.txt",
        "cannot be resolved",
    ),
    "no URL": ("--target localhost:8000", "http://HOST:PORT"),
    "no target": ("--prompt-file prompts.txt", "--target"),
    "it does not stream": ("--target {url} --prompt-file prompts.txt", "the target does not stream"),
    "unreadable SLO": ("--target {url} --slo ttft:p99<soon", "ttft:p99<soon"),
    "SLO of an unknown figure": ("--target {url} --slo tftt:p99<500ms", "tftt"),
    "unreadable goodput": ("--target {url} --goodput ttft:fast", "ttft:fast"),
    "broken line in a trace": ("--target {url} --trace trace.jsonl", "trace.jsonl, line 3: is no JSON"),
    "no such trace": ("--target {url} --trace none.jsonl", "none.jsonl"),
    "empty recording": ("--target {url} --from empty.jsonl", "empty.jsonl is empty"),
    "recording of other requests": ("--target {url} --from other.jsonl", "holds no request that can be sent"),
    "recording without times": ("--target {url} --from untimed.jsonl --fixed-schedule", "does not say when"),
    "no such recording": ("--target {url} --from none.db", "none.db"),
    "no recording": ("--target {url} --from text.db", "text.db"),
    "no such prompt file": ("--target {url} --prompt-file none.txt", "none.txt"),
    "two sources": ("--target {url} --prompt-file prompts.txt --trace trace.jsonl", "--trace"),
    "unreadable sweep": ("--target {url} --sweep rate=1,fast", "fast"),
    "a rate of nothing": ("--target {url} --request-rate 0", "--request-rate"),
    "no worker": ("--target {url} --workers 0", "--workers"),
    "nobody expected": ("--target {url} --expect-workers 0", "--expect-workers"),
    "no place to bind": ("--target {url} --expect-workers 1 --bind here", "HOST:PORT"),
    "no place to join": ("--join here", "HOST:PORT"),
    "no such key": ("--target {url} --key-variable NO_SUCH_KEY --prompt-file prompts.txt", "NO_SUCH_KEY"),
    "unreadable price": ("--target {url} --prompt-file prompts.txt --price cheap", "cheap"),
    "unreadable fields": ("--target {url} --prompt-file prompts.txt --extra-body [1", "--extra-body"),
    "export into nowhere": ("--target {url} --export-jsonl no/such/out.jsonl", "no/such/out.jsonl"),
    "database that is a folder": ("--target {url} --db folder.db", "folder.db"),
    "database that is none": ("--target {url} --db text.db", "text.db"),
    "database of another program": ("--target {url} --db foreign.db", "foreign.db"),
    "database in a file": ("--target {url} --db prompts.txt/run.db", "prompts.txt/run.db"),
    "database that cannot be made": ("--target {url} --db /proc/run.db", "/proc/run.db"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(
    case: str,
    server: ThreadingHTTPServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line, words = BAD[case]
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    posts = server.posts  # type: ignore[attr-defined]
    places = {"url": f"http://127.0.0.1:{server.server_port}", "closed": f"http://127.0.0.1:{free_port()}"}
    assert main(["load", *line.format(**places).split()]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    [error] = told.err.splitlines()
    assert error.startswith("harness: error: ")
    assert words in error
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before
    assert server.posts - posts == ("does not stream" in words)  # type: ignore[attr-defined]


def test_a_folder_that_is_read_only_is_one_line(
    server: ThreadingHTTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shut").mkdir(mode=0o555)
    if os.access(tmp_path / "shut", os.W_OK):
        pytest.skip("who runs this may write everywhere")
    line = ["--target", f"http://127.0.0.1:{server.server_port}", "--db", str(tmp_path / "shut/run.db")]
    assert main(["load", *line]) == 2
    assert "cannot be written: Permission denied" in capsys.readouterr().err
