"""`harness validate` tells no text: planted in every place of real traffic, it comes out nowhere."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli.app import main
from harness.core.exchange import Exchange
from harness.core.interchange import to_line
from harness.core.timeline import content_of
from harness.store.open import open_recording
from harness.validate.place import general

SENTENCE = "sing to me, o muse"
WORD = "antidisestablishmentarianism"
FREE = {
    "content",
    "text",
    "input",
    "arguments",
    "delta",
    "thinking",
    "refusal",
    "instructions",
    "partial_json",
}
"""Members whose text is of people and models; elsewhere a word may be a value that an API made up."""

type Path_ = tuple[str | int, ...]
type Plant = Callable[[Any], Any]


def strings(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, bool]]:
    """The path of every string in JSON, and of every member's name (True)."""
    if isinstance(value, str):
        yield path, False
    for step, item in items(value):
        if isinstance(step, str):
            yield (*path, step), True
        yield from strings(item, (*path, step))


def items(value: Any) -> list[tuple[str | int, Any]]:
    """Members or elements."""
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def planted(value: Any, path: Path_, text: str, *, name: bool) -> Any:
    """JSON with the text at a path, or as the name of the member there."""
    if not path:
        return text
    made: Any = dict(value) if isinstance(value, dict) else list(value)
    if name and len(path) == 1:
        return {text if key == path[0] else key: item for key, item in made.items()}
    made[path[0]] = planted(value[path[0]], path[1:], text, name=name)
    return made


def variants(value: Any, seen: set[str], kind: str) -> Iterator[Any]:
    """A message with text in one place, for every place that was not seen before."""
    for path, name in strings(value):
        last = next((step for step in reversed(path) if isinstance(step, str)), "")
        for text in (SENTENCE, WORD) if not name and last in FREE else (SENTENCE,):
            place = f"{kind} {general('/'.join(map(str, path)))} {name} {text}"
            if place not in seen:
                seen.add(place)
                yield planted(value, path, text, name=name)


def damaged(exchange: Exchange, seen: set[str]) -> Iterator[Exchange]:
    """An exchange with text in one place of its request, its body, or one of its events."""
    kind, response = exchange.request.path, exchange.response
    assert response is not None
    for asked in variants(parsed(exchange.request.body), seen, f"{kind} request"):
        yield replace(exchange, request=replace(exchange.request, body=json.dumps(asked).encode()))
    content = content_of(response)
    if not content.framing:
        for answered in variants(parsed(content.body), seen, kind):
            yield replace(
                exchange,
                response=replace(response, chunks=((response.end_ns, json.dumps(answered).encode()),)),
            )
    lines = [(event.name, event.data.decode()) for event in content.events]
    for number, (name, data) in enumerate(lines):
        value = parsed(data.encode())
        label = value.get("type") if isinstance(value, dict) else None
        for changed in variants(value, seen, f"{kind} {label}"):
            body = sse([*lines[:number], (name, json.dumps(changed)), *lines[number + 1 :]])
            yield replace(exchange, response=replace(response, chunks=((response.end_ns, body),)))


def sse(events: list[tuple[str | None, str]]) -> bytes:
    """Events as bytes."""
    return "".join(
        f"event: {name}\ndata: {data}\n\n" if name else f"data: {data}\n\n" for name, data in events
    ).encode()


def parsed(data: bytes) -> Any:
    """JSON, or None."""
    try:
        return json.loads(data)
    except ValueError:
        return None


def elsewhere(exchange: Exchange) -> Iterator[Exchange]:
    """An exchange with text around its JSON: paths, headers, names of events, bodies that are none."""
    request, response = exchange.request, exchange.response
    assert response is not None
    bare = SENTENCE.replace(" ", "%20")
    yield replace(exchange, request=replace(request, path=f"{request.path}/{bare}?q={bare}"))
    yield replace(
        exchange, request=replace(request, path=f"{request.path}?q={WORD}", url=f"{request.url}?{WORD}")
    )
    yield replace(exchange, request=replace(request, body=SENTENCE.encode()))
    for content_type in (f"text/{SENTENCE}", "application/json", "text/event-stream"):
        headers = (("Content-Type", content_type), ("X-Text", SENTENCE))
        yield replace(exchange, response=replace(response, headers=headers))
        for body in (
            SENTENCE,
            f"data: {SENTENCE}\n\n",
            f"event: {SENTENCE}\ndata: {{}}\n\n",
            f'{{"a": "{WORD}',
        ):
            yield replace(
                exchange,
                response=replace(response, headers=headers, chunks=((response.end_ns, body.encode()),)),
            )


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Traffic of the model server on every API, with text planted in each of its places."""
    path = tmp_path_factory.mktemp("text") / "planted.jsonl"
    seen: set[str] = set()
    with (
        open_recording(request.config.rootpath / "recordings" / "tiny-llama.db") as real,
        path.open("w") as file,
    ):
        for exchange in real.exchanges():
            for made in (*damaged(exchange, seen), *elsewhere(exchange)):
                file.write(to_line(made) + "\n")
    assert len(seen) > 300
    return path


def assert_silent(told: str | bytes) -> None:
    """What was told holds none of the text, in any case and escaped or not."""
    text = (told.decode() if isinstance(told, bytes) else told).lower()
    for planted_text in (SENTENCE, SENTENCE.replace(" ", "%20"), WORD):
        assert planted_text not in text


def test_tables_and_files_hold_no_text(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sarif, junit = recording.with_name("a.sarif"), recording.with_name("a.xml")
    formats = ["--sarif", str(sarif), "--junit", str(junit)]
    assert main(["validate", str(recording), "--profile", "drift", *formats]) == 1
    captured = capsys.readouterr()
    assert {"errors:", "warnings:", "drift:"} <= set(captured.out.splitlines())
    for told in (captured.out, captured.err, sarif.read_bytes(), junit.read_bytes()):
        assert_silent(told)


def test_json_and_the_saved_tables_hold_no_text(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = recording.with_name("planted.db")
    assert main(["import", str(recording), "--db", str(database)]) == 0
    assert main(["validate", str(database), "--profile", "strict", "--save", "--json"]) == 1
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT * FROM violations").fetchall()
        runs = connection.execute("SELECT * FROM validation_runs").fetchall()
    assert len(rows) > 1000
    assert_silent(json.dumps([rows, runs]))
    assert_silent(capsys.readouterr().out)


def test_a_comparison_holds_no_text(
    recording: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    real = str(request.config.rootpath / "recordings" / "tiny-llama.db")
    for arguments in (["--baseline", real, str(recording)], ["--baseline", str(recording), real, "--json"]):
        main(["validate", *arguments])
        told = capsys.readouterr()
        assert len(told.out) > 1000
        assert_silent(told.out + told.err)
