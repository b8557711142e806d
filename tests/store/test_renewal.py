"""Recording anew: the old recording stays until the new one is whole."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.core.exchange import Exchange, State
from harness.store.open import open_recording
from harness.store.renewal import Renewal

type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]


def models(path: Path) -> list[str | None]:
    with open_recording(path) as recording:
        return [one.model for one in recording.listing()]


@pytest.fixture
def old(write: Write, make_exchange: MakeExchange) -> Path:
    return write(make_exchange(model="old"))


@pytest.mark.parametrize("there", [True, False])
def test_a_whole_recording_takes_its_place(
    old: Path, write: Write, make_exchange: MakeExchange, there: bool
) -> None:
    if not there:
        old.unlink()
    renewal = Renewal(old)
    write(make_exchange(model="new"), name=renewal.new.name)
    assert renewal.finish(lost=False) is None
    assert models(old) == ["new"]
    assert [path.name for path in old.parent.iterdir()] == [old.name]


@pytest.mark.parametrize(
    ("state", "lost", "reason"),
    [
        (State.COMPLETE, True, "something was not recorded (exit code 4)"),
        (State.INTERRUPTED, False, "exchange 1 of the new one ended as interrupted"),
        (State.CONNECT_FAILED, False, "exchange 1 of the new one ended as connect_failed"),
    ],
)
def test_what_is_not_whole_lies_beside_it(
    old: Path,
    write: Write,
    make_exchange: MakeExchange,
    *,
    state: State,
    lost: bool,
    reason: str,
) -> None:
    renewal = Renewal(old)
    write(make_exchange(model="new", state=state), name=renewal.new.name)
    kept = f"; what was recorded is in {renewal.new}"
    assert renewal.finish(lost=lost) == f"{old} stays as it was: {reason}{kept}"
    assert (models(old), models(renewal.new)) == (["old"], ["new"])
    assert not Renewal(old).new.exists()


def test_a_recorder_that_was_killed_leaves_the_old_one(
    old: Path, write: Write, make_exchange: MakeExchange
) -> None:
    renewal = Renewal(old)
    killed(write(make_exchange(model="new"), name=renewal.new.name))
    assert str(renewal.finish(lost=False)).startswith(f"{old} stays as it was: the recorder was killed; ")
    assert models(old) == ["old"]


def killed(path: Path) -> None:
    """Take back what the end of a capture wrote."""
    connection = sqlite3.connect(path)
    connection.execute("UPDATE captures SET ended_at = NULL")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("there", [True, False])
def test_nothing_recorded_replaces_nothing(old: Path, write: Write, there: bool) -> None:
    if not there:
        old.unlink()
    renewal = Renewal(old)
    write(name=renewal.new.name)
    assert renewal.finish(lost=False) == (f"{old} stays as it was: nothing was recorded" if there else None)
    assert [path.name for path in old.parent.iterdir()] == ([old.name] if there else [])


def test_a_recording_in_use_is_not_replaced(old: Path) -> None:
    old.with_name("a.db-wal").write_bytes(b"log")
    with pytest.raises(BadInput, match="in use"):
        Renewal(old)


def test_what_is_no_database_is_not_replaced(write: Write, make_exchange: MakeExchange) -> None:
    with pytest.raises(BadInput, match="no SQLite recording"):
        Renewal(write(make_exchange(), name="a.jsonl"))


def test_a_link_stays_a_link(old: Path, write: Write, make_exchange: MakeExchange) -> None:
    link = old.with_name("link.db")
    link.symlink_to(old.name)
    renewal = Renewal(link)
    write(make_exchange(model="new"), name=renewal.new.name)
    assert renewal.finish(lost=False) is None
    assert link.is_symlink()
    assert models(old) == ["new"]
