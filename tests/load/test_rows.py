"""Results go through a real recording and come back as they were."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.load.clock import RunClock
from harness.load.plan import Closed, Open, Plan
from harness.load.records import Outcome, Record, Result
from harness.load.rows import MOST_WAITING, Keeper, result_of, run_of, worker_row
from harness.load.workers import Workers
from harness.store.load_runs import Completion, LoadWriter, load_requests, load_run, load_workers
from tests.plugins.results import made_end, made_failure, made_result, made_tick, made_worker

CLOCK = RunClock("here", 1_700_000_000_000_000_000, 5, 30)
PLAN = Plan(target="http://127.0.0.1:1", loop=Closed(concurrency=8), workers=2)
FULL: dict[str, Any] = {
    "scheduled": -3,
    "connect": 2,
    "finish_reason": "stop",
    "tokens_cached": 1,
    "tokens_reasoning": 0,
    "shared_reads": 1,
    "stamp_error_ns": 9,
    "request_bytes": 77,
    "offsets": ((10, False), (20, True)),
    "violations": ("chat.one-done",),
    "icl": ((0, 3), (20_000, 2)),
}


@pytest.fixture
def writer(tmp_path: Path) -> LoadWriter:
    return LoadWriter(tmp_path / "a.db")


def test_every_field_of_a_result_comes_back(writer: LoadWriter) -> None:
    results = [made_result(0), made_result(1, sent=1, **FULL), made_failure(2, Outcome.TIMEOUT, sent=2)]
    with writer:
        writer.start(run_of(PLAN, CLOCK, {"harness": "1"}))
        keeper = Keeper(writer)
        records: list[Record] = [made_worker(), *results, made_end()]
        for record in records:
            keeper.take(record)
        keeper.flush()
        keeper.flush()  # nothing is waiting, nothing is written twice
    assert [result_of(row) for row in load_requests(writer.path, 1)] == results
    assert set(Result.model_fields) - {"kind", "offsets"} < set(next(load_requests(writer.path, 1)))


@pytest.mark.parametrize(("loop", "concurrency"), [(Closed(concurrency=8), 8), (Open(most_open=3), None)])
def test_a_run_says_its_load(writer: LoadWriter, loop: Closed | Open, concurrency: int | None) -> None:
    plan = PLAN.model_copy(update={"loop": loop})
    with writer:
        writer.start(run_of(plan, CLOCK, {"harness": "1"}, name="n", sweep="s", rate=2.5))
    run = load_run(writer.path)
    assert (run["loop"], run["concurrency"], run["rate"], run["workers"]) == (loop.kind, concurrency, 2.5, 2)
    assert (run["name"], run["sweep"], run["host"], run["versions"]) == ("n", "s", "here", {"harness": "1"})
    assert run["started_at"] == "2023-11-14T22:13:20.000000Z"
    assert Plan.model_validate(run["plan"]) == plan
    assert RunClock(**run["clock"]) == CLOCK


def test_workers_stand_with_their_clocks(writer: LoadWriter) -> None:
    workers = Workers()
    away = made_worker(1, host="there", anchor_error_ns=70)
    here = made_worker(0, wall_ns=CLOCK.wall_ns, monotonic_ns=CLOCK.monotonic_ns)
    for record in (
        here,
        away,
        made_tick(1, 0.2),
        made_tick(2, 0.5),
        made_result(),
        made_end(sent=1, unsent=4),
    ):
        workers.take(record)
    with writer:
        writer.start(run_of(PLAN, CLOCK, {}))
        writer.complete(
            Completion("valid", 1, 1, {}), (worker_row(worker, CLOCK) for worker in workers.all())
        )
    first, second = load_workers(writer.path, 1)
    assert (first["carry_error_ns"], second["carry_error_ns"]) == (0, 100)
    assert (first["cpu_s"], first["cpu_p90"], first["lag_p99_us"]) == (0.5, 0.3, 100)
    assert (first["sent"], first["unsent"], first["why"], first["recorded"]) == (1, 4, "done", 1)
    unknown = (
        "cpu_s",
        "cpu_p90",
        "lag_p50_us",
        "lag_max_us",
        "rss_bytes",
        "sent",
        "answered",
        "unsent",
        "why",
    )
    assert {second[name] for name in unknown} == {None}
    assert replace(CLOCK, host="there").carry_error_ns(here) == 130


def test_what_waits_is_bounded(writer: LoadWriter) -> None:
    with writer:
        writer.start(run_of(PLAN, CLOCK, {}))
        keeper = Keeper(writer)
        for number in range(MOST_WAITING + 1):
            keeper.take(made_result(number))
        assert count(writer.path) == MOST_WAITING
        keeper.flush()
        assert count(writer.path) == MOST_WAITING + 1


def count(path: Path) -> int:
    """Requests that are stored."""
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute("SELECT count(*) FROM load_requests").fetchone()[0]
        return found
