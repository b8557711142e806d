"""Accounts: every way in which sent and recorded can differ has its words."""

from pathlib import Path

import pytest

from harness.load.accounts import accounts
from harness.load.folder import Folder
from harness.load.journal import JournalWriter
from harness.load.records import EndRecord, Outcome, Phase, Result, Tick

GONE = "worker 0 did not end in order: killed, or its machine is gone"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def journal(folder: Folder, sent: range, answered: range) -> None:
    writer = JournalWriter(folder.journal(0))
    for number in sent:
        writer.append("sent", {"number": number})
    for number in answered:
        writer.append("answer", {"number": number}, b"blob")
    writer.close()


def records(folder: Folder, numbers: list[int], end: int | None, tick: int | None = None) -> None:
    lines = [
        Result(
            worker=0, number=n, call=0, phase=Phase.MEASURED, outcome=Outcome.COMPLETE, sent_ns=1, end_ns=2
        )
        for n in numbers
    ]
    ticks = (
        [Tick(worker=0, at_ns=1, sent=tick, answered=0, under_way=0, cpu_s=0, rss_bytes=0)] if tick else []
    )
    ends = [] if end is None else [EndRecord(worker=0, sent=end, answered=end, why="done")]
    text = "".join(f"{record.model_dump_json()}\n" for record in (*lines, *ticks, *ends))
    folder.records(0).write_text(text)


def test_equal(folder: Folder) -> None:
    journal(folder, range(3), range(3))
    records(folder, [0, 2, 1], end=3)
    [account] = accounts(folder)
    assert account.is_equal
    assert account.differences() == []
    assert (account.sent, account.recorded, account.has_journal) == (3, 3, True)


def test_a_line_that_is_no_record_is_counted_as_missing(folder: Folder) -> None:
    journal(folder, range(3), range(3))
    records(folder, [0, 1, 2], end=3)
    lines = folder.records(0).read_text().splitlines(keepends=True)
    folder.records(0).write_text("".join([lines[0], "half a li\n", *lines[2:], lines[0][:20]]))
    [account] = accounts(folder)
    assert (account.sent, account.recorded, account.unrecorded) == (3, 2, (1,))
    assert account.end is not None


def test_a_worker_that_was_killed(folder: Folder) -> None:
    journal(folder, range(10), range(4))
    records(folder, [0, 1], end=None)
    [account] = accounts(folder)
    assert not account.is_equal
    assert account.differences() == [
        GONE,
        "worker 0 sent 6 requests whose answers are lost: 4, 5, 6, 7, 8, …",
        "worker 0 has 2 answers without a record: 2, 3",
    ]


def test_a_record_too_many(folder: Folder) -> None:
    journal(folder, range(1), range(1))
    records(folder, [0, 0], end=1)
    [account] = accounts(folder)
    assert not account.is_equal
    assert account.differences() == ["worker 0 has 1 record too many"]


def test_a_torn_record_is_none(folder: Folder) -> None:
    journal(folder, range(2), range(2))
    records(folder, [0, 1], end=None)
    folder.records(0).write_bytes(folder.records(0).read_bytes()[:-5])
    [account] = accounts(folder)
    assert account.unrecorded == (1,)


def test_a_worker_elsewhere_is_believed(folder: Folder) -> None:
    records(folder, [0, 1], end=3)
    [account] = accounts(folder)
    assert (account.sent, account.has_journal) == (3, False)
    assert account.differences() == ["worker 0 sent 3 requests, of which 1 have no record"]


def test_a_worker_elsewhere_that_is_gone(folder: Folder) -> None:
    records(folder, [0], end=None, tick=4)
    [account] = accounts(folder)
    assert account.differences() == [
        f"{GONE}; what it sent after its last word is unknown",
        "worker 0 sent 4 requests, of which 3 have no record",
    ]


def test_a_worker_elsewhere_may_have_recorded_more_than_it_last_said(folder: Folder) -> None:
    records(folder, [0, 1, 2], end=None, tick=1)
    [account] = accounts(folder)
    assert (account.sent, account.recorded) == (3, 3)
    assert account.differences() == [f"{GONE}; what it sent after its last word is unknown"]


def test_a_worker_that_left_nothing(folder: Folder) -> None:
    [account] = accounts(folder, [5])
    [gone] = account.differences()
    assert "worker 5 did not end in order" in gone
