"""A log in a recording: on the run's clock, the same figures from there, and gone with its run."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.core.errors import BadInput, NotRecorded
from harness.core.exchange import Exchange
from harness.load.clock import RunClock
from harness.load.gpu.figures import Window, figures
from harness.load.gpu.keep import keep, kept
from harness.load.gpu.records import Card, Sample
from harness.load.records import WorkerRecord
from harness.store.gpu_log import Owner
from harness.store.load_runs import LoadRun, LoadWriter
from tests.plugins.cards import GPU_A, GPU_B, Log, logged

type Environment = Callable[..., dict[str, str]]
type MakeExchange = Callable[..., Exchange]
type Write = Callable[..., Path]

RUN = LoadRun("2026-01-02T03:04:05Z", "http://127.0.0.1:1", "closed", 1, "here", {}, {})
S = 1_000_000_000
LATE_NS = 100_000_000


@pytest.fixture(scope="module")
def log_file(cards: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of two cards, one of which is lost."""
    path = tmp_path_factory.mktemp("kept") / "gpu.jsonl"
    logged(cards(NVML_LOST="1@0.5", NVML_LACKS="1:energy"), path, 1)
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A recording with one run."""
    path = tmp_path / "a.db"
    with LoadWriter(path) as writer:
        writer.start(RUN)
    return path


def clock_of(path: Path) -> RunClock:
    """The clock of a run that began just before its log."""
    first = Log(path).records[0]
    assert isinstance(first, WorkerRecord)
    start_ns = first.monotonic_ns - LATE_NS
    return RunClock(first.host, first.wall_ns - LATE_NS, start_ns, 0)


def test_what_is_kept_gives_the_same_figures(log_file: Path, recording: Path) -> None:
    clock, log = clock_of(log_file), Log(log_file)
    assert keep(log_file, recording, Owner(run_id=1), clock) == len(log.samples)
    told = list(kept(recording, Owner(run_id=1)))
    zero_ns = clock.monotonic_ns
    window = Window(LATE_NS + S // 5, LATE_NS + S)
    here = figures(log.records, Window(window.start_ns + zero_ns, window.end_ns + zero_ns), 1000)
    there = figures(told, window, 1000)
    assert there.cards[0].energy is not None
    assert here.cards[0].energy is not None
    assert there.cards[0].energy.joules == pytest.approx(here.cards[0].energy.joules)
    assert there.cards[0].energy.joules == pytest.approx(80, abs=there.cards[0].energy.error_joules)
    assert there.cards[0].gauges == here.cards[0].gauges
    assert there.cards[1].unsupported == here.cards[1].unsupported
    assert there.cards[1].lost_ns is not None
    assert [r for r in told if isinstance(r, Card)] == log.cards
    assert {r.processes for r in told if isinstance(r, Sample)} == {s.processes for s in log.samples}


def test_people_can_ask_for_power_and_for_trouble(log_file: Path, recording: Path) -> None:
    keep(log_file, recording, Owner(run_id=1), clock_of(log_file))
    with closing(sqlite3.connect(recording)) as db:
        power = db.execute(
            "SELECT gpu, avg(power_mw), min(at_ns) FROM gpu_samples JOIN gpus ON gpus.id = gpu_id"
            " WHERE run_id = 1 GROUP BY gpu ORDER BY number"
        ).fetchall()
        words = db.execute("SELECT DISTINCT throttling FROM gpu_samples ORDER BY 1").fetchall()
        lost = db.execute(
            "SELECT gpu, detail FROM gpu_events JOIN gpus ON gpus.id = gpu_id WHERE what = 'lost'"
        ).fetchall()
    assert [row[:2] for row in power] == [(GPU_A, 100_000), (GPU_B, 200_000)]
    assert all(LATE_NS < row[2] < 10 * S for row in power)
    assert words == [(None,), ("gpu_idle",), ("sw_power_cap",)]
    assert lost == [(GPU_B, "GPU is lost")]


def test_a_log_of_another_machine_is_carried_with_the_error_of_both_clocks(
    log_file: Path, recording: Path
) -> None:
    first = Log(log_file).records[0]
    assert isinstance(first, WorkerRecord)
    elsewhere = RunClock("elsewhere", first.wall_ns - 5 * S, 77, 1_000_000)
    keep(log_file, recording, Owner(run_id=1), elsewhere)
    told = [record for record in kept(recording, Owner(run_id=1)) if isinstance(record, Sample)]
    taken = Log(log_file).samples
    for sample, here in zip(
        sorted(told, key=lambda s: s.at_ns), sorted(taken, key=lambda s: s.at_ns), strict=True
    ):
        assert sample.at_ns - here.at_ns == 5 * S - first.monotonic_ns
        assert here.error_ns is not None
        assert sample.error_ns == here.error_ns + 1_000_000 + first.anchor_error_ns


def test_a_capture_has_a_log_too(log_file: Path, write: Write, make_exchange: MakeExchange) -> None:
    path = write(make_exchange())
    keep(log_file, path, Owner(capture_id=1), clock_of(log_file))
    assert len(list(kept(path, Owner(capture_id=1)))) > 10
    assert list(kept(path, Owner(run_id=1))) == []


def test_a_log_goes_with_its_run(log_file: Path, recording: Path) -> None:
    keep(log_file, recording, Owner(run_id=1), clock_of(log_file))
    with closing(sqlite3.connect(recording, isolation_level=None)) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("DELETE FROM load_runs")
        counts = [
            db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("gpus", "gpu_samples", "gpu_events")
        ]
    assert counts == [0, 0, 0]


def test_a_run_that_is_not_there(log_file: Path, recording: Path) -> None:
    with pytest.raises(NotRecorded, match="FOREIGN KEY"):
        keep(log_file, recording, Owner(run_id=9), clock_of(log_file))


def test_a_log_that_breaks_off_is_kept_so_far(log_file: Path, recording: Path, tmp_path: Path) -> None:
    whole = log_file.read_bytes()
    cut = tmp_path / "gpu.jsonl"
    cut.write_bytes(whole[: len(whole) // 2])
    assert 0 < keep(cut, recording, Owner(run_id=1), clock_of(log_file)) < len(Log(log_file).samples)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin with the record of its clock"),
        ('{"kind":"ended","at_ns":1,"ticks":1,"missed":0}\n', "does not begin with the record of its clock"),
        ("nonsense\n", "gpu.jsonl:1 is no record of a GPU log: Invalid JSON"),
    ],
)
def test_what_is_no_log(recording: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "gpu.jsonl").write_text(text)
    with pytest.raises(BadInput, match=said):
        keep(tmp_path / "gpu.jsonl", recording, Owner(run_id=1), RunClock.now())
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        keep(tmp_path / "none.jsonl", recording, Owner(run_id=1), RunClock.now())
