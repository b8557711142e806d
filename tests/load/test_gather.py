"""Records are read while a real writer writes them."""

import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel

from harness.load.clock import RunClock
from harness.load.figures import Tally
from harness.load.folder import Folder
from harness.load.gather import Gatherer
from harness.load.records import Record, Result, WorkerRecord
from harness.load.workers import Workers
from tests.plugins.results import MS, made_end, made_result, made_tick, made_worker

CLOCK = RunClock("here", 0, 0, 0)


class Kept:
    """A sink that keeps all."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def take(self, record: Record) -> None:
        self.records.append(record)


def lines(*records: BaseModel) -> str:
    return "".join(f"{record.model_dump_json()}\n" for record in records)


def test_lines_are_read_once_they_are_whole(tmp_path: Path) -> None:
    kept, folder = Kept(), Folder(tmp_path)
    gatherer = Gatherer(folder, CLOCK, [kept])
    assert gatherer.poll() == 0
    text = lines(made_worker(), made_result(0), made_result(1), made_end(sent=2))
    with folder.records(0).open("w", encoding="utf-8") as file:
        for start in range(0, len(text), 100):
            file.write(text[start : start + 100])
            file.flush()
            gatherer.poll()
            whole = text[: start + 100].count("\n")
            assert len(kept.records) == whole
    assert gatherer.ended() == 1
    gatherer.finish()
    assert [record.kind for record in kept.records] == ["worker", "result", "result", "end"]
    assert gatherer.damage == []


def test_stamps_come_on_the_clock_of_the_run(tmp_path: Path) -> None:
    kept, folder = Kept(), Folder(tmp_path)
    here = made_worker(0, monotonic_ns=70 * MS, wall_ns=70 * MS)
    there = made_worker(1, host="there", monotonic_ns=5_000 * MS, wall_ns=10 * MS)  # at 10 ms of the run
    folder.records(0).write_text(lines(here, made_result(0, sent=20)))
    folder.records(1).write_text(lines(there, made_result(1, worker=1, sent=5_030)))
    gatherer = Gatherer(folder, CLOCK, [kept])
    gatherer.finish()
    assert [record.sent_ns for record in kept.records if isinstance(record, Result)] == [20 * MS, 40 * MS]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    kept, folder = Kept(), Folder(tmp_path)
    folder.records(0).write_text(
        lines(made_worker()) + '{"kind": "result"}\nno JSON\n' + lines(made_result()) + "{"
    )
    folder.records(1).write_text(lines(made_result()))
    gatherer = Gatherer(folder, CLOCK, [kept])
    gatherer.finish()
    assert gatherer.damage == [
        "records-0.jsonl: line 2 is no record",
        "records-0.jsonl: line 3 is no record",
        "records-1.jsonl: line 1 comes before the worker's own record",
        "records-0.jsonl: line 5 breaks off",
    ]
    assert len(kept.records) == 2


WRITER = """
import sys
from pathlib import Path
for number in range(2000):
    print(sys.argv[2].replace('"number":0', '"number":%d' % number), flush=number % 7 == 0)
"""


def test_a_writer_of_its_own_is_followed_to_its_end(tmp_path: Path) -> None:
    folder, tally, workers = Folder(tmp_path), Tally(), Workers()
    gatherer = Gatherer(folder, CLOCK, [tally, workers])
    with folder.records(3).open("w", encoding="utf-8") as file:
        file.write(lines(made_worker(3)))
        file.flush()
        command = [sys.executable, "-c", WRITER, "", made_result(0, worker=3).model_dump_json()]
        with subprocess.Popen(command, stdout=file) as process:
            while process.poll() is None:
                gatherer.poll()
    gatherer.finish()
    assert gatherer.damage == []
    assert tally.figures().requests == workers.by_number[3].recorded == 2000


def test_workers_are_known_by_their_seconds(tmp_path: Path) -> None:
    workers = Workers()
    ticks = [made_tick(second, cpu) for second, cpu in ((1, 0.5), (2, 0.7), (3, 1.7), (4.5, 2.0))]
    end = made_end(sent=1, unsent=2)
    records: list[Record] = [made_worker(1), made_worker(0), *ticks, made_result(), end]
    for record in records:
        workers.take(record)
    first, second = workers.all()
    assert list(first.shares) == [200, 1000, 200]
    assert (first.cpu_p90, first.cpu_now) == (1.0, 0.2)
    assert (first.lag.count, first.lag.quantile(0.99)) == (4 * 99, 100)
    assert (first.recorded, first.end, first.rss_bytes) == (1, end, 1 << 20)
    assert (second.cpu_p90, second.end, second.recorded) == (None, None, 0)
    assert isinstance(second.record, WorkerRecord)
