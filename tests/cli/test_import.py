"""`harness import`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import __version__
from harness.cli.app import main
from harness.core.exchange import Exchange
from harness.store.open import open_recording

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]
type FolderState = Callable[[Path], Any]


@pytest.mark.parametrize(
    "times",
    [
        ("2026-01-01T00:00:02Z", "2026-01-01T00:00:01Z", "", "2026-01-01T00:00:03Z"),
        ("2026-01-01T02:30:00+02:00", "2026-01-01T01:00:00Z", "2026-01-01T00:00:00-03:00"),
        (),
    ],
)
def test_in_and_out_again_changes_nothing(
    times: tuple[str, ...], make_exchange: MakeExchange, write: Write, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    exchanges = [make_exchange(time, started_at=time, extra={"x": 1.5}, upstream="é") for time in times]
    source = write(*exchanges, name="a.jsonl")
    database, again = tmp_path / "new" / "b.db", tmp_path / "c.jsonl"
    assert main(["import", str(source), "--db", str(database)]) == 0
    assert capsys.readouterr().err == f"{database}: {len(times)} exchanges\n"
    assert main(["export", str(database), "-o", str(again)]) == 0
    assert again.read_bytes() == source.read_bytes()
    with open_recording(database) as recording:
        assert [listed.started_at for listed in recording.listing()] == list(times)


def test_headers_that_no_message_can_have_are_named(
    make_exchange: MakeExchange, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(make_exchange(), make_exchange(), name="a.jsonl")
    source.write_text(source.read_text("utf-8").replace('"r1"', '"r1\\r\\nX: y"'), "utf-8")
    assert main(["import", str(source), "--db", str(tmp_path / "b.db")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"harness: error: {source}: line 1: response.headers.1: holds a line break")
    assert error.count("\n") == 1


def test_it_appends_a_capture_of_its_own(make_exchange: MakeExchange, write: Write) -> None:
    database, source = write(make_exchange("a")), write(make_exchange("b", start=1), name="b.jsonl")
    assert main(["import", str(source), "--db", str(database)]) == 0
    with open_recording(database) as recording:
        first, second = recording.captures()
        assert first.redaction is not None
        assert second.redaction is None
        assert second.versions == {"harness": __version__}
        assert list(recording.exchanges()) == [
            replace(make_exchange("a"), id=1, capture=1),
            replace(make_exchange("b", start=1), id=2, capture=2),
        ]


def test_a_damaged_line_is_named_and_nothing_is_written(
    make_exchange: MakeExchange, write: Write, folder_state: FolderState, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write(make_exchange())
    source = write(make_exchange(), make_exchange(), name="b.jsonl")
    source.write_text(source.read_text("utf-8") + '{"request": {}}\n', "utf-8")
    before = folder_state(tmp_path)
    for name in ("a.db", "new/c.db"):
        assert main(["import", str(source), "--db", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert error == f"harness: error: {source}: line 3: request.method: is missing\n"
    assert folder_state(tmp_path) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("content", [b"my thesis", b'{"request": {}}\n'])
def test_it_overwrites_nothing(
    content: bytes, make_exchange: MakeExchange, write: Write, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "thesis").write_bytes(content)
    source = write(make_exchange(), name="a.jsonl")
    assert main(["import", str(source), "--db", str(tmp_path / "thesis")]) == 2
    assert "is no recording" in capsys.readouterr().err
    assert (tmp_path / "thesis").read_bytes() == content


def test_a_database_is_no_interchange_file(
    make_exchange: MakeExchange, write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(write(make_exchange())), "--db", str(tmp_path / "b.db")]) == 2
    assert "is a recording already: 'harness merge' joins" in capsys.readouterr().err
    assert not (tmp_path / "b.db").exists()
