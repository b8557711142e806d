"""The command line of `harness record`: what it refuses, and that nothing is written then."""

import re
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.cli import app
from harness.cli.record import default_db

UPSTREAM = ("--upstream", "http://127.0.0.1:9")

type Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run `harness record` in a folder; its only line, once it is sure that it refused and wrote nothing."""
    monkeypatch.chdir(tmp_path)

    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def run(*arguments: str) -> str:
        before = contents()
        code = app.main(["record", *arguments])
        output = capsys.readouterr()
        assert (code, output.out, len(output.err.splitlines())) == (2, "", 1), output
        assert contents() == before
        return output.err

    return run


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), "upstream"),
        (("--upstream", "api.openai.com"), "is no absolute http or https URL: give it as https://HOST"),
        (("--upstream", "http://h/?key=abc"), "the URL has a query"),
        (("--upstream", "ftp://h"), "is no absolute http or https URL"),
        ((*UPSTREAM, *UPSTREAM), "two upstreams are called 'default'"),
        ((*UPSTREAM, "--port", "abc"), "port"),
        ((*UPSTREAM, "--port", "65536"), "port"),
        ((*UPSTREAM, "--port", "-1"), "port"),
        ((*UPSTREAM, "--mode", "socks"), "'socks'"),
        ((*UPSTREAM, "--host", "192.0.2.1"), "cannot listen on 192.0.2.1"),
        ((*UPSTREAM, "--what"), "--what"),
        ((*UPSTREAM, "--max-queue", "0"), "--max-queue '0' is too little: give 1 B or more"),
        ((*UPSTREAM, "--on-storage-failure", "hope"), "'hope' is not one of 'stop', 'pass'"),
        ((*UPSTREAM, "--", "no-such-program-here"), "cannot run 'no-such-program-here'"),
        ((*UPSTREAM, "--"), "nothing stands behind '--'"),
    ],
)
def test_bad_arguments(refused: Refused, arguments: tuple[str, ...], error: str) -> None:
    assert error in refused(*arguments)


def test_a_port_in_use(refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert f"cannot listen on 127.0.0.1:{port}" in refused(*UPSTREAM, "--port", port)


def test_files_that_are_no_recordings(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("hello\n")
    (tmp_path / "lines.jsonl").write_text("{}\n")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
    (tmp_path / "folder.db").mkdir()
    for name in ("text.db", "lines.jsonl", "other.db", "folder.db"):
        assert name in refused(*UPSTREAM, "--port", "0", "--db", name)


def test_a_recording_of_a_newer_version(refused: Refused, write: Callable[..., Path]) -> None:
    path = write()
    later = "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('harness', 'm9999', '')"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(later)
        connection.commit()
    assert "newer" in refused(*UPSTREAM, "--port", "0", "--db", str(path))


def test_a_missing_extra(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mitmproxy", None)
    assert "harness record needs the extra 'record': pip install 'traffic-harness[record]'" in refused(
        *UPSTREAM
    )


def test_the_default_file_is_named_by_date_and_time() -> None:
    assert re.fullmatch(r"recordings/\d{4}-\d\d-\d\d-\d{6}\.db", default_db().as_posix())
