"""`harness show --curl` and `--raw`: the printed command is run by a shell, and asks for the same."""

import gzip
import json
import os
import pty
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.app import main
from harness.cli.curl import curl_of, with_variables
from harness.core.exchange import Exchange, Headers, Request, Response, State
from harness.core.visible import visible

if TYPE_CHECKING:
    from tests.plugins.wire import Upstream

type Write = Callable[..., Path]

KEY = "sk-proj-PlantedPlantedPlanted0123456789"
PATH = "/v1/chat/completions"
JSON = ("Content-Type", "application/json")
TRICKY = json.dumps(
    {"content": 'it\'s "$HOME" `id` !! \\ 100% [redact] {a,b} ünï', "n": 1}, ensure_ascii=False
)
MULTIPART = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n\x00\xff\r\n--b--\r\n'


def request_to(url: str, body: bytes = b"{}", *headers: tuple[str, str], method: str = "POST") -> Request:
    own = (("Host", "recorder.test"), ("X-Stainless-Lang", "python"), ("Content-Length", str(len(body))))
    return Request(method, url, (*own, *headers), body)


def command_of(request: Request, *, stream: bool = False) -> list[str]:
    return list(curl_of(request, stream=stream, recording=Path("a b.db"), exchange_id=7).lines)


@pytest.mark.parametrize(
    ("header", "option", "variable"),
    [
        (("Authorization", f"Bearer {KEY}"), '"Authorization: Bearer $OPENAI_API_KEY"', "OPENAI_API_KEY"),
        (("authorization", "Bearer [redacted]"), '"authorization: Bearer $OPENAI_API_KEY"', "OPENAI_API_KEY"),
        (("x-api-key", KEY), '"x-api-key: $ANTHROPIC_API_KEY"', "ANTHROPIC_API_KEY"),
        (("api-key", "0123456789abcdef"), '"api-key: $AZURE_OPENAI_API_KEY"', "AZURE_OPENAI_API_KEY"),
        (("OpenAI-Organization", "org-1"), '"OpenAI-Organization: $OPENAI_ORG_ID"', "OPENAI_ORG_ID"),
        (("Cookie", "a=b"), '"Cookie: $COOKIE"', "COOKIE"),
        (("X-Other", f"see {KEY}!"), "'X-Other: see '\"$X_OTHER\"'!'", "X_OTHER"),
        (("X-Other", f"{KEY}, more"), '"X-Other: $X_OTHER, more"', "X_OTHER"),
    ],
)
def test_secrets_are_variables(header: tuple[str, str], option: str, variable: str) -> None:
    found = curl_of(
        request_to("http://127.0.0.1:1/", b"", header), stream=False, recording=Path("a"), exchange_id=1
    )
    assert f"-H {option}" in found.lines
    assert found.variables == (variable,)
    assert KEY not in found.text


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("https://api.groq.com/openai/v1/models", "GROQ_API_KEY"),
        ("https://a.openai.azure.com/", "AZURE_OPENAI_API_KEY"),
        ("https://api.anthropic.com/v1/messages", "ANTHROPIC_API_KEY"),
        ("https://gateway.test/v1", "OPENAI_API_KEY"),
    ],
)
def test_the_variable_is_the_provider_s(url: str, variable: str) -> None:
    [option] = command_of(request_to(url, b"", ("Authorization", f"Bearer {KEY}")))[-1:]
    assert option == f'-H "Authorization: Bearer ${variable}"'


def test_a_secret_in_the_url_or_body() -> None:
    url = "https://generativelanguage.googleapis.com/v1/m?key=AIzaPlantedPlantedPlantedPlantedPlanted1&a=b"
    body = json.dumps({"key": KEY}).encode()
    found = curl_of(request_to(url, body), stream=False, recording=Path("a"), exchange_id=1)
    assert found.lines[0].endswith('/v1/m?key=$GEMINI_API_KEY&a=b"')
    assert found.variables == ("GEMINI_API_KEY",)
    assert KEY not in found.text
    assert any("secrets in the body are masked" in note for note in found.notes)


@pytest.mark.parametrize(
    ("method", "url", "body", "headers", "options"),
    [
        ("GET", "http://h/", b"", (), ["http://h/"]),
        ("HEAD", "http://h/a", b"", (), ["http://h/a", "--head"]),
        ("DELETE", "http://h/a", b"", (), ["http://h/a", "-X DELETE"]),
        ("POST", "http://h/a", b"", (), ["http://h/a", "-X POST"]),
        ("GET", "http://h/a?b=[1]&c={2}", b"", (), ["'http://h/a?b=[1]&c={2}'", "--globoff"]),
        ("GET", "http://h/../a", b"", (), ["http://h/../a", "--path-as-is"]),
        ("POST", "http://h/a", b"x=1", (), ["http://h/a", "-H Content-Type:", "--data-raw x=1"]),
        ("PUT", "http://h/", b"@f", (("content-type", "a/b"),),
         ["http://h/", "-X PUT", "-H 'content-type: a/b'", "--data-raw @f"]),
        ("GET", "http://h/", b"", (("Accept-Encoding", "gzip"),), ["http://h/", "--compressed"]),
        ("GET", "http://h/\x1b", b"", (("X-Bad", "\x1b[2J"), ("X-None", "")),
         ["http://h/%1B", "-H 'X-None;'"]),
    ],
)  # fmt: skip
def test_options(method: str, url: str, body: bytes, headers: Headers, options: list[str]) -> None:
    first, *others = options
    assert command_of(request_to(url, body, *headers, method=method)) == [f"curl {first}", *others]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\xff\xfe", ()),
        (b"a\0b", ()),
        (MULTIPART, ()),
        (b"x" * 100_001, ()),
        (gzip.compress(b"{}"), (("Content-Encoding", "gzip"),)),
        (b"\x1b[2J", ()),
    ],
)
def test_a_body_that_no_command_line_holds_is_piped(body: bytes, headers: Headers) -> None:
    lines = command_of(request_to("http://h/", body, *headers), stream=True)
    assert lines[0] == "harness show 'a b.db' 7 --raw --request | curl http://h/"
    assert lines[-1] == "--data-binary @-"
    assert "--no-buffer" in lines


@pytest.mark.parametrize(
    ("text", "word"),
    [("plain", "plain"), ("[redacted]", '"$V"'), ("a[redacted]b", '"${V}b"'), ("`[redacted]", "'`'\"$V\"")],
)
def test_words(text: str, word: str) -> None:
    assert with_variables(text, "V") == word


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (TRICKY.encode(), (JSON, ("X-Odd", "it's a `b` $c \\"), ("Accept-Encoding", "gzip, br"))),
        (MULTIPART, (("Content-Type", "multipart/form-data; boundary=b"),)),
        (b"two\nlines\n", ()),
    ],
)
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_command_asks_for_the_same(
    body: bytes, headers: Headers, upstream: "Upstream", write: Write, run_shown: Callable[[Path], str]
) -> None:
    path = f"{PATH}?a=it's&b=[1]"
    upstream.on(path, upstream.head(200, "Content-Length: 2"), b"ok")
    asked = request_to(upstream.url + path, body, *headers, ("Authorization", f"Bearer {KEY}"))
    exchange = Exchange(asked, Response(200, (), 1, ((1, b"ok"),), 1))
    assert run_shown(write(exchange, name="it's.db")) == "ok"
    received = upstream.requests[-1]
    assert (received.path, received.body) == (path, body)
    lines = received.head.split(b"\r\n")
    sent = {line.partition(b":")[0].lower(): line.partition(b": ")[2] for line in lines}
    assert sent[b"authorization"] == b"Bearer the key's own"
    assert sent.get(b"content-type") == (headers[0][1].encode() if headers else None)
    assert sent.get(b"x-odd") == (b"it's a `b` $c \\" if headers[1:] else None)


@pytest.fixture
def run_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], str]:
    """Show the only exchange of a recording as a command, and run that; what the server answered."""

    def run(recording: Path) -> str:
        assert main(["show", str(recording), "--curl"]) == 0
        said = capsys.readouterr()
        assert KEY not in said.out + said.err
        assert "set OPENAI_API_KEY for it" in said.err
        return run_in_shell(said.out, tmp_path)

    return run


def run_in_shell(command: str, folder: Path) -> str:
    """Run a command as somebody who pastes it; its output."""
    (folder / "harness").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m harness "$@"\n')
    (folder / "harness").chmod(0o755)
    paths = f"{folder}:{os.environ['PATH']}"
    environment = {**os.environ, "OPENAI_API_KEY": "the key's own", "PATH": paths, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


ANY = st.text(max_size=40) | st.text(alphabet="ab'\"$`\\\\ \n\t[]{}!\x1b\udcff", max_size=40)


@given(
    url=ANY, name=ANY, value=ANY, body=ANY, method=st.sampled_from(["GET", "POST", "HEAD", "A B", "\x1b[2J"])
)
def test_whatever_was_recorded_is_one_command_that_no_terminal_obeys(
    url: str, name: str, value: str, body: str, method: str
) -> None:
    data = body.encode("utf-8", "replace")
    request = Request(method, f"http://{url}", ((name, value), ("Authorization", f"Bearer {KEY}")), data)
    text = curl_of(request, stream=False, recording=Path("a.db"), exchange_id=1).text
    assert visible(text, keep="\n\t") == text
    assert KEY not in text
    words = shlex.split(text)
    if "--data-raw" in words:
        assert words[words.index("--data-raw") + 1].encode() == data
    else:
        assert not data or words[-2:] == ["--data-binary", "@-"]


def test_raw_is_byte_for_byte(write: Write, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    packed = gzip.compress(b"{}")
    response = Response(200, (("content-encoding", "gzip"),), 1, ((1, packed[:5]), (2, packed[5:])), 3)
    path = str(write(Exchange(request_to("http://h/", b"\xff\0"), response)))
    assert main(["show", path, "--raw"]) == 0
    assert capfdbinary.readouterr().out == packed
    assert main(["show", path, "--raw", "--request"]) == 0
    assert capfdbinary.readouterr().out == b"\xff\0"


def test_raw_is_kept_from_a_terminal_that_would_obey_it(write: Write) -> None:
    response = Response(200, (), 1, ((1, b"\x1b[2J"),), 1)
    path = str(write(Exchange(request_to("http://h/", b"text\r\n"), response)))
    assert run_on_terminal(path) == (2, b"")
    assert run_on_terminal(path, "--request") == (0, b"text\r\r\n")


def run_on_terminal(path: str, *more: str) -> tuple[int, bytes]:
    """Exit code, and what a terminal of its own got."""
    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-m", "harness", "show", path, "--raw", *more]
        done = subprocess.run(command, stdout=theirs, stderr=subprocess.DEVNULL, check=False)
        os.set_blocking(ours, False)
        try:
            return done.returncode, os.read(ours, 1000)
        except BlockingIOError:
            return done.returncode, b""
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--raw", "--curl"], "ask for one of them"),
        (["--raw", "--json"], "ask for one of them"),
        (["--request"], "--request goes with --raw"),
        (["--raw"], "got no response (connect_failed): try --request"),
    ],
)
def test_what_does_not_go_together(
    arguments: list[str], words: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = Exchange(Request("GET", "http://b.test/"), None, State.CONNECT_FAILED)
    assert main(["show", str(write(failed)), *arguments]) == 2
    assert words in capsys.readouterr().err
