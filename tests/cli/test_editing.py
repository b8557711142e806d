"""`harness rm`, `trim`, `merge`, `split`, `diff`, and `export --format text`."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli.app import main
from harness.core.derive import derive
from harness.core.exchange import Exchange
from harness.store.open import open_recording

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]
type FolderState = Callable[[Path], Any]
type Capture = pytest.CaptureFixture[str]


@pytest.fixture
def path(make_exchange: MakeExchange, write: Write) -> Path:
    """A recording of five exchanges of two models."""
    return write(*(make_exchange(f"w{n}", model="one" if n < 3 else "a/b", start=n) for n in range(5)))


def ids(path: Path) -> list[int]:
    with open_recording(path) as recording:
        return [row.id for row in recording.listing()]


@pytest.mark.parametrize(
    ("command", "left"), [(["rm"], [1, 5]), (["trim"], [2, 3, 4]), (["rm", "-n"], [1, 2, 3, 4, 5])]
)
def test_numbers_and_ranges(command: list[str], left: list[int], path: Path, capsys: Capture) -> None:
    name, *flags = command
    assert main([name, str(path), "3", "2-4", *flags]) == 0
    assert ids(path) == left
    captured = capsys.readouterr()
    if flags:
        assert [line.split()[0] for line in captured.out.splitlines()[1:]] == ["2", "3", "4"]
    else:
        assert captured.err == f"{path}: {5 - len(left)} removed, {len(left)} exchanges left\n"


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["rm", "--model", "one"], [4, 5]),
        (["rm", "2-4", "--model", "a/*"], [1, 2, 3, 5]),
        (["trim", "--where", "id % 2", "--since", "2026-01-02T03:04:02Z"], [3, 5]),
    ],
)
def test_filters(arguments: list[str], left: list[int], path: Path) -> None:
    name, *rest = arguments
    assert main([name, str(path), *rest]) == 0
    assert ids(path) == left


@pytest.mark.parametrize(("command", "going"), [("rm", [2]), ("trim", [1, 3, 4, 5])])
def test_what_would_go_can_be_had_as_json(
    command: str, going: list[int], path: Path, capsys: Capture
) -> None:
    before = path.read_bytes()
    assert main([command, str(path), "2", "--dry-run", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == going
    assert path.read_bytes() == before


def test_export_takes_filters(path: Path, tmp_path: Path, capsys: Capture) -> None:
    lines = tmp_path / "a.jsonl"
    assert main(["export", str(path), "-o", str(lines), "--model", "a/b", "--where", "id = 4"]) == 0
    assert capsys.readouterr().err == f"{lines}: 1 exchange\n"
    assert len(ids(lines)) == 1
    assert main(["export", str(path), "-o", str(tmp_path / "b.jsonl"), "--where", "x"]) == 2
    assert not (tmp_path / "b.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rm", "{path}", "6"], "holds no exchange 6: 'harness ls"),
        (["rm", "{path}", "3-1"], "holds no exchange 3-1"),
        (["rm", "{path}", "x"], "'x' names no exchange: give an id such as 3"),
        (["rm", "{path}"], "name exchanges: by id, or by filters such as --model"),
        (["trim", "{path}"], "name exchanges: by id, or by filters such as --model"),
        (["rm", "{path}", "1", "--model", "a/b"], "holds no exchange that is meant"),
        (["trim", "{path}", "--where", "colour = 1"], "no such column: colour"),
        (["rm", "{path}", "1", "--json"], "--json lists what would go: add --dry-run"),
        (["rm", "{path}", "1", "-o", "{folder}/none/b.db"], "there is no folder"),
        (["trim", "{folder}/none.db", "1"], "does not exist: is the path right?"),
        (["merge", "{path}", "-o", "{path}"], "exists: name a new file"),
        (["merge", "{path}", "-o", "{folder}/m.jsonl"], "is a database, and m.jsonl would be lines"),
        (["split", "{path}", "--into", "{path}"], "is no folder: name one"),
        (["diff", "{path}", "{folder}"], "is no plain file"),
    ],
)
def test_bad_input(
    arguments: list[str], words: str, path: Path, folder_state: FolderState, capsys: Capture
) -> None:
    before = folder_state(path.parent)
    assert main([word.format(path=path, folder=path.parent) for word in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("harness: error: ")
    assert words in line
    assert folder_state(path.parent) == before


def test_split_and_merge_give_the_recording_again(path: Path, tmp_path: Path, capsys: Capture) -> None:
    parts, again = tmp_path / "parts", tmp_path / "again.db"
    assert main(["split", str(path), "--into", str(parts)]) == 0
    assert [file.name for file in sorted(parts.iterdir())] == ["a-b.db", "one.db"]
    assert main(["split", str(path), "--into", str(parts)]) == 2
    assert "exists: remove it" in capsys.readouterr().err
    assert main(["merge", str(parts / "one.db"), str(parts / "a-b.db"), "-o", str(again)]) == 0
    assert main(["diff", str(path), str(again)]) == 0
    assert capsys.readouterr().out == "no difference in requests and answers\n"


def test_parts_whose_names_are_alike_are_all_written(
    make_exchange: MakeExchange, write: Write, tmp_path: Path
) -> None:
    path, parts = (
        write(*(make_exchange(model=name) for name in ("a b", "a/b", "a-b-2", "A-B"))),
        tmp_path / "parts",
    )
    assert main(["split", str(path), "--into", str(parts)]) == 0
    assert {file.stem for file in parts.iterdir()} == {"a-b", "a-b-2", "a-b-2-2", "A-B-3"}


@pytest.mark.parametrize("by", ["upstream", "dialect", "path", "day", "state"])
def test_split_by(by: str, path: Path, tmp_path: Path) -> None:
    assert main(["split", str(path), "--into", str(tmp_path / "parts"), "--by", by]) == 0
    (part,) = (tmp_path / "parts").iterdir()
    assert ids(part) == ids(path)


def test_diff(make_exchange: MakeExchange, write: Write, capsys: Capture) -> None:
    one = write(make_exchange("a"), make_exchange("b", model="gone"), name="one.db")
    two = write(make_exchange("A"), name="two.db")
    assert main(["diff", str(one), str(two)]) == 1
    captured = capsys.readouterr()
    assert captured.err == "harness: error: 2 exchanges of 2 differ\n"
    assert '  answer text: "a" -> "A"' in captured.out.splitlines()
    assert "only in a" in captured.out
    assert main(["diff", str(one), str(two), "--json"]) == 1
    changed, gone = json.loads(capsys.readouterr().out)
    assert changed["answer"] == [{"where": "text", "a": '"a"', "b": '"A"'}]
    assert changed["ttft_a_ms"] == changed["ttft_b_ms"] == 100.0
    assert (gone["a"], gone["b"], gone["request"]) == (2, None, [])


def test_git_shows_recordings_as_text(make_exchange: MakeExchange, write: Write, tmp_path: Path) -> None:
    """The recipe of docs/editing.md, with the real git."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout

    git("init", "-q")
    git("config", "diff.harness.textconv", f"'{sys.executable}' -m harness export --format text")
    (tmp_path / ".gitattributes").write_text("*.db diff=harness\n")
    path = write(make_exchange("Hello"))
    git("add", ".")
    path.unlink()
    write(make_exchange("Hullo", start=7))
    changed = [
        line
        for line in git("diff", "a.db").splitlines()
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    assert changed == ["-Hello", "+Hullo"]


KEY = "sk-proj-abcdefghijklmnopqrstuvwx"
SECRET = "hunter2hunter2hunter2"


def leaking(exchange: Exchange) -> Exchange:
    """An exchange with a key in a header and in its words, and the value of a variable in its body."""
    request = exchange.request
    headers = (*request.headers, ("Authorization", f"Bearer {KEY}"))
    body = request.body.replace(b"[]", f'["{SECRET}"]'.encode())
    return replace(exchange, request=replace(request, headers=headers, body=body))


def test_import_masks_before_it_stores_where_asked(
    make_exchange: MakeExchange, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("MY_API_KEY", SECRET)
    source = write(leaking(make_exchange("a")), make_exchange(*KEY), name="a.jsonl")
    db = source.with_suffix(".db")
    assert main(["import", str(source), "--db", str(db), "--redact"]) == 0
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"{db}: 2 exchanges"
    assert second.startswith("harness import: masked ")
    assert main(["scan", str(db)]) == 0
    with open_recording(db) as recording:
        (capture,) = recording.captures()
    assert capture.redaction is not None
    assert capture.masked["header authorization"] == 1


@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_redact(
    name: str, make_exchange: MakeExchange, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("MY_API_KEY", SECRET)
    told = make_exchange(*KEY, "!")  # a letter an event
    path = write(
        leaking(make_exchange("a")),
        make_exchange("innocent", start=1),
        replace(told, upstream="é"),
        name=name,
    )
    with open_recording(path) as recording:
        before = list(recording.exchanges())
    assert main(["redact", str(path), "--redact-field", "model"]) == 0
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"{path}: 3 exchanges changed"
    assert second.startswith("harness redact: masked ")
    assert not any(word in path.read_bytes() for word in (KEY.encode(), SECRET.encode(), b"tiny"))
    with open_recording(path) as recording:
        after = list(recording.exchanges())
        captures = recording.captures()
    assert KEY not in "".join(derive(after[2]).content_text)
    for one, other in zip(before, after, strict=True):
        assert one.response
        assert other.response
        assert [at for at, _ in one.response.chunks] == [at for at, _ in other.response.chunks]
    assert [any("model" in rule for rule in capture.masked) for capture in captures] == (
        [True] if name == "a.db" else []
    )
    assert [capture.redaction.names for capture in captures if capture.redaction] == [("model",)] * len(
        captures
    )
    assert main(["scan", str(path)]) == 0
    assert main(["redact", str(path), "--redact-field", "model"]) == 0
    assert f"{path}: 0 exchanges changed" in capsys.readouterr().err


def test_redact_says_what_is_wrong_with_a_rule(path: Path, capsys: Capture) -> None:
    assert main(["redact", str(path), "--redact-pattern", "("]) == 2
    assert capsys.readouterr().err.startswith("harness: error: --redact-pattern")
