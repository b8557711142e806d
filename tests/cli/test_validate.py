"""`harness validate`."""

import json
import os
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from harness.cli.app import main
from harness.core.exchange import Exchange, Request, Response
from harness.store.migrations import migrate
from harness.store.schema import APPLICATION_ID, FORMATS
from harness.store.snapshot import applied_formats

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]
type FolderState = Callable[[Path], Any]

TEXT = "please tell nobody"
CALLED = "POST /v1/chat/completions"
CHAT = "https://api.openai.com/v1/chat/completions"


def chunk(delta: dict[str, Any], finish: str | None = None, **members: Any) -> dict[str, Any]:
    """A chunk as OpenAI sends it."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    told = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    return told | {"choices": [choice]} | members


GOOD = [chunk({"role": "assistant", "content": ""}), chunk({"content": TEXT}), chunk({}, "stop")]


def stream(*chunks: dict[str, Any], url: str = CHAT, **changes: Any) -> Exchange:
    """A chat stream of these chunks."""
    asked = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": TEXT}]}
    datas = [*map(json.dumps, chunks or GOOD), "[DONE]"]
    sent = tuple((number, f"data: {data}\n\n".encode()) for number, data in enumerate(datas))
    response = Response(200, (("Content-Type", "text/event-stream"),), 0, sent, len(sent))
    request = Request("POST", url, (("Content-Type", "application/json"),), json.dumps(asked).encode())
    return replace(Exchange(request, response, started_at="2026-01-02T03:04:05Z"), **changes)


BAD = stream(GOOD[0], chunk({"content": 5}), chunk({"content": 6}), GOOD[2])
DRIFTING = stream(GOOD[0], chunk({"content": TEXT, "mood": TEXT}), chunk({}, "boredom", stars=1))
UNKNOWN = stream(url="https://api.test/unknown/call")


def run(*arguments: object) -> int:
    """Run the command."""
    return main(["validate", *map(str, arguments)])


def rows(path: Path, table: str) -> list[Any]:
    """All rows of a table."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_what_is_as_promised_passes(name: str, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(write(stream(), stream(), name=name)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2 exchanges with 8 events",
        "verdict: passed (profile compatible): 0 errors, 0 warnings, 0 drift, 0 ignored",
    ]


@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_errors_fail_and_are_told_with_an_example(
    name: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(write(stream(), BAD, BAD, name=name)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "errors:"
    assert lines[1].split() == [
        "rule", "where", "exchanges", "times", "example", "endpoint", "pointer", "what", "host",
    ]  # fmt: skip
    assert lines[2].split() == [
        *("schema.type", "event", "/choices/*/delta/content", "2", "4", "2", "event", "2"),
        *("POST", "/v1/chat/completions", "/choices/0/delta/content"),
        *("integer", "instead", "of", "null", "or", "string", "api.openai.com"),
    ]
    assert lines[-1].startswith("verdict: failed (profile compatible): 4 errors,")


def test_profiles(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(DRIFTING)
    codes, counts = [], []
    for profile in ("strict", "compatible", "drift"):
        codes.append(run(path, "--profile", profile, "--json"))
        counts.append(json.loads(capsys.readouterr().out)["counts"])
    assert codes == [1, 0, 0]
    assert counts == [
        {"errors": 3, "warnings": 0, "drift": 0, "ignored": 0},
        {"errors": 0, "warnings": 0, "drift": 1, "ignored": 2},
        {"errors": 0, "warnings": 0, "drift": 3, "ignored": 0},
    ]


def test_drift_by_host_endpoint_and_place_most_frequent_first(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    more = stream(GOOD[0], *[chunk({"content": "a", "mood": "b"})] * 5, GOOD[2])
    assert run(write(DRIFTING, more), "--profile", "drift") == 0
    title, _, *lines = capsys.readouterr().out.splitlines()
    assert title == "drift:"
    assert [" ".join(line.split()).removeprefix(f"api.openai.com {CALLED} ") for line in lines[:3]] == [
        "event /choices/*/delta/mood unknown field 6 2 1 event 2 /choices/0/delta/mood",
        "event /stars unknown field 1 1 1 event 3 /stars",
        "event /choices/*/finish_reason unknown value: boredom 1 1 1 event 3 /choices/0/finish_reason",
    ]


def test_an_unknown_endpoint_is_not_checked_and_no_error(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(write(UNKNOWN, stream())) == 0
    out = capsys.readouterr().out
    assert "2 exchanges with 8 events, 1 of them not checked: no schema knows their endpoint" in out


def test_json_has_all_that_is_known(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(BAD)
    assert run(path, "--json", "--overlay", "openai") == 1
    told = json.loads(capsys.readouterr().out)
    (group,) = told.pop("groups")
    assert told == {
        "recording": str(path),
        "profile": "compatible",
        "overlay": "openai",
        "verdict": "failed",
        "exchanges": 1,
        "not_checked": 0,
        "events": 5,
        "counts": {"errors": 2, "warnings": 0, "drift": 0, "ignored": 0},
    }
    assert group == {
        "severity": "error",
        "rule": "schema.type",
        "kind": "type",
        "part": "event",
        "pointer": "/choices/*/delta/content",
        "message": "integer instead of null or string",
        "host": "api.openai.com",
        "endpoint": "POST /v1/chat/completions",
        "exchanges": 1,
        "times": 2,
        "example": {"exchange": 1, "event": 2, "pointer": "/choices/0/delta/content"},
    }


def test_files_for_ci(write: Write, tmp_path: Path) -> None:
    path, sarif, junit = write(BAD, stream()), tmp_path / "a.sarif", tmp_path / "a.xml"
    assert run(path, "--sarif", sarif, "--junit", junit) == 1
    (result,) = json.loads(sarif.read_bytes())["runs"][0]["results"]
    assert (result["level"], result["occurrenceCount"]) == ("error", 2)
    assert ET.parse(junit).getroot().get("failures") == "1"
    assert run(write(stream(), name="b.db"), "--sarif", sarif, "--junit", junit) == 0
    assert json.loads(sarif.read_bytes())["runs"][0]["results"] == []
    assert ET.parse(junit).getroot().get("failures") == "0"


def test_without_save_no_byte_changes(write: Write, tmp_path: Path, folder_state: FolderState) -> None:
    path = write(BAD)
    before = folder_state(tmp_path)
    run(path)
    run(path, "--profile", "drift", "--json")
    assert folder_state(tmp_path) == before


def test_save_keeps_the_run_and_its_findings(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(stream(), BAD, DRIFTING, UNKNOWN)
    assert run(path, "--save") == 1
    assert f"kept as validation run 1 of {path}" in capsys.readouterr().err
    assert run(path, "--save", "--profile", "strict", "--overlay", "vllm") == 1
    (first, second) = rows(path, "validation_runs")
    assert first[3:] == ("compatible", None, 4, 1, 2, 0, 1)
    assert second[3:8] == ("strict", "vllm", 4, 1, 5)
    place = ("event", "/choices/0/delta/content", "integer instead of null or string")
    assert [row[1:] for row in rows(path, "violations") if row[0] == 1] == [
        (2, 1, "schema.type", "type", "error", *place),
        (2, 2, "schema.type", "type", "error", *place),
        (3, 2, "schema.unknown-value", "unknown value", "drift", "event", "/choices/0/finish_reason",
         "none of the known values: boredom"),
    ]  # fmt: skip
    with closing(sqlite3.connect(path)) as connection:
        joined = "SELECT data FROM violations JOIN events USING (exchange_id) WHERE seq = event_seq LIMIT 1"
        assert json.loads(connection.execute(joined).fetchone()[0]) == chunk({"content": 5})
    assert [found.name for found in path.parent.iterdir()] == ["a.db"]


def test_an_older_recording_is_validated_as_it_is_and_migrated_by_save(
    tmp_path: Path, write: Write, folder_state: FolderState, capsys: pytest.CaptureFixture[str]
) -> None:
    path = older(write(BAD))
    before = folder_state(tmp_path)
    assert run(path) == 1
    assert folder_state(tmp_path) == before
    assert run(path, "--save") == 1
    with closing(sqlite3.connect(path)) as connection:
        assert applied_formats(connection) == list(FORMATS)
    assert len(rows(path, "violations")) == 2


def older(path: Path) -> Path:
    """The recording in the format before the newest."""
    target = path.with_name("older.db")
    formats = dict(list(FORMATS.items())[:1])
    with closing(sqlite3.connect(target, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        migrate(connection, formats)
        connection.execute("ATTACH ? AS newer", [str(path)])
        for table in ("captures", "exchanges", "chunks", "events"):
            names = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
            kept = ", ".join(names)
            connection.execute(f"INSERT INTO {table} ({kept}) SELECT {kept} FROM newer.{table}")
    return target


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.db"], "none.db does not exist"),
        (["a.db", "--profile", "lax"], "'lax' is not one of 'strict', 'compatible', 'drift'"),
        (["a.db", "--overlay", "cohere"], "there is no overlay 'cohere'; there are openai, "),
        (["a.db", "--schemas", "none"], "cannot read the schema file none/index.json"),
        (["a.db", "--schemas", "."], "cannot read the schema file index.json"),
        (["a.db", "--schemas", "damaged"], "the schema file damaged/index.json is damaged"),
        (["a.jsonl", "--save"], "--save keeps findings in recordings (.db): 'harness import a.jsonl'"),
        (["none.db", "--save"], "none.db does not exist"),
        (["a.db", "--sarif", "none/a.sarif"], "none/a.sarif cannot be written: there is no folder none"),
        (["a.db", "--junit", "a.db"], "a.db is a database"),
        (["a.jsonl", "--sarif", "a.jsonl"], "a.jsonl is the recording itself"),
        (["a.db", "--sarif", "b", "--junit", "./b"], "b cannot be SARIF and JUnit at once"),
        (["a.db", "--baseline", "none.db"], "none.db does not exist"),
        (["a.db", "--baseline", "a.db", "--save", "--sarif", "b"], "leave out --save and --sarif"),
        (["a.db", "--baseline", "a.db", "--profile", "compatible"], "leave out --profile"),
    ],
)
def test_bad_input_is_one_line(  # noqa: PLR0917  a case is given by name
    arguments: list[str],
    words: str,
    write: Write,
    tmp_path: Path,
    folder_state: FolderState,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(stream())
    write(stream(), name="a.jsonl")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "index.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    before = folder_state(tmp_path)
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert folder_state(tmp_path) == before


def test_schemas_of_ones_own(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    path = write(stream())
    source = request.config.rootpath / "schemas"
    for file in source.rglob("*.json"):
        target = tmp_path / "own" / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    events = tmp_path / "own" / "openai" / "chat.event.json"
    schema = json.loads(events.read_bytes())
    schema["required"] = ["brand_new"]
    events.write_text(json.dumps(schema))
    assert run(path, "--schemas", tmp_path / "own") == 1
    assert "event /brand_new" in capsys.readouterr().out
    untouched = tmp_path / "own" / "ollama" / "tags.response.json"
    untouched.write_text("[]")
    assert run(path, "--schemas", tmp_path / "own") == 2
    captured = capsys.readouterr()
    assert "ollama/tags.response.json is damaged" in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_baseline(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    old, more = write(stream()), write(DRIFTING, stream(), name="more.db")
    assert run("--baseline", old, old) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 exchange before, 1 now",
        "verdict: same: 0 vanished, 0 changed type, 0 appeared",
    ]
    assert run("--baseline", old, more) == 0
    title, columns, *lines = capsys.readouterr().out.splitlines()
    assert (title, columns.split()) == (f"{CALLED}:", ["change", "part", "where", "before", "→", "now"])
    assert lines[0].split()[3:] == ["/choices/*/delta/mood", "0", "of", "3", "→", "1", "of", "6", "string"]
    assert lines[-1] == "verdict: compatible: 0 vanished, 0 changed type, 2 appeared"
    assert run("--baseline", more, old) == 1
    assert capsys.readouterr().out.endswith("verdict: changed: 2 vanished, 0 changed type, 0 appeared\n")


def test_settings_of_other_runs_do_not_hinder_a_baseline(
    write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(stream())
    monkeypatch.setenv("HARNESS_VALIDATE_PROFILE", "strict")
    monkeypatch.setenv("HARNESS_VALIDATE_OVERLAY", "vllm")
    assert run("--baseline", path, path) == 0
    assert run("--baseline", path, path, "--overlay", "vllm") == 2
    assert "leave out --overlay" in capsys.readouterr().err


def test_baseline_as_json(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = write(stream()), write(BAD, name="new.jsonl")
    assert run("--baseline", old, new, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "before": {"recording": str(old), "exchanges": 1},
        "now": {"recording": str(new), "exchanges": 1},
        "verdict": "changed",
        "differences": [
            {
                "change": "changed type",
                "breaks": True,
                "endpoint": "POST /v1/chat/completions",
                "part": "event chat.completion.chunk",
                "where": "/choices/*/delta/content",
                "before": {"seen": 2, "of": 3, "types": ["string"]},
                "now": {"seen": 3, "of": 4, "types": ["number", "string"]},
            }
        ],
    }


def test_the_progress_bar_stays_off_the_output(write: Write) -> None:
    command = [sys.executable, "-m", "harness", "validate", str(write(stream()))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2


def test_memory_does_not_grow_with_the_recording(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    peaks: list[int] = []
    for count in (20, 20, 200):  # the first fills what is made once
        path = write(*[BAD] * count, name=f"{len(peaks)}.jsonl")
        tracemalloc.start()
        run(path, "--json")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] * 1.2
