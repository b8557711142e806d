"""Each check at its limits, for both kinds of stamps, and the verdict that follows."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from harness.load.figures import Tally
from harness.load.plan import Closed, Open, Plan
from harness.load.records import Outcome, Record, Result, Stamps
from harness.load.slo import SloRow
from harness.load.validity import (
    CHECKS,
    Accounts,
    ClientError,
    Evidence,
    Grade,
    exit_code,
    judged,
    shown,
)
from harness.load.workers import Workers
from tests.plugins.results import made_end, made_result, made_tick, made_worker

CLOSED = Plan(target="http://127.0.0.1:1", loop=Closed(concurrency=1))
OPEN = CLOSED.model_copy(update={"loop": Open()})
BOUNDED = CLOSED.model_copy(update={"loop": Open(most_open=9)})


def evidence(
    *results: Result,
    plan: Plan = CLOSED,
    lag_us: int = 100,
    cpu: float = 0.3,
    end: Mapping[str, Any] = MappingProxyType({}),
    ended: bool = True,
    most_tokens: tuple[int, ...] = (),
    **changes: Any,
) -> Evidence:
    """A run of two results that is fine but for what is said."""
    results = results or (made_result(0), made_result(1))
    tally, workers = Tally(most_tokens=most_tokens), Workers()
    ticks = [made_tick(second, cpu * second, lag=((lag_us, 100),)) for second in range(5)]
    ends = [made_end(**end)] if ended else []
    records: list[Record] = [made_worker(), *ticks, *results, *ends]
    for record in records:
        tally.take(record)
        workers.take(record)
    values: dict[str, Any] = {"accounts": Accounts(len(results), len(results))}
    return Evidence(plan, tally.figures(), workers.all(), **(values | changes))


def reader(**changes: Any) -> Result:
    """A success whose arrivals the reader stamped."""
    return made_result(stamps=Stamps.READER, **changes)


def null_test(p99_us: float) -> ClientError:
    """A null test that measured this."""
    return ClientError(200, 4000, p99_us / 2, p99_us, p99_us)


def test_a_good_run_is_valid() -> None:
    judgement = judged(evidence(null_test=null_test(7), host_cpu_percent=50.0, clock_step_ns=0))
    assert judgement.is_valid
    assert (judgement.verdict, judgement.reasons, judgement.warnings) == ("valid", (), ())
    assert {f.check.name for f in judgement.findings if f.grade is Grade.UNKNOWN} == {"queueing"}


OK, WARNING, INVALID, UNKNOWN = Grade.OK, Grade.WARNING, Grade.INVALID, Grade.UNKNOWN
HALF_READ = (reader(), made_result())


@pytest.mark.parametrize(
    ("name", "given", "grade"),
    [
        ("dropped", evidence(accounts=Accounts(3, 2)), INVALID),
        ("dropped", evidence(accounts=Accounts(2, 3)), INVALID),
        ("dropped", evidence(accounts=Accounts(2, 2, ("worker 1: twice",))), INVALID),
        ("dropped", evidence(damage=["records-0.jsonl: line 5 breaks off"]), INVALID),
        ("workers", evidence(ended=False), INVALID),
        ("workers", evidence(plan=CLOSED.model_copy(update={"workers": 2})), INVALID),
        ("null_test", evidence(), UNKNOWN),
        ("null_test", evidence(null_test=null_test(501)), WARNING),
        ("null_test", evidence(null_test=null_test(2001)), INVALID),
        ("stamp_error", evidence(made_result(stamp_error_ns=100_000)), OK),
        ("stamp_error", evidence(made_result(stamp_error_ns=100_001)), WARNING),
        ("stamp_error", evidence(made_result(stamp_error_ns=1_000_001)), INVALID),
        ("loop_lag", evidence(lag_us=20_000), OK),  # the kernel's stamps do not mind
        ("loop_lag", evidence(lag_us=900_000), WARNING),
        ("loop_lag", evidence(*HALF_READ, lag_us=1_900), OK),
        ("loop_lag", evidence(*HALF_READ, lag_us=2_100), WARNING),
        ("loop_lag", evidence(*HALF_READ, lag_us=20_000), INVALID),
        ("late_reads", evidence(made_result(events=5, shared_reads=2), lag_us=15_000), OK),
        ("late_reads", evidence(made_result(events=10, shared_reads=1), lag_us=30_000), WARNING),
        ("late_reads", evidence(made_result(events=5, shared_reads=2), lag_us=30_000), INVALID),
        ("worker_cpu", evidence(cpu=0.85), OK),
        ("worker_cpu", evidence(cpu=0.95), WARNING),
        ("worker_cpu", evidence(cpu=0.99), INVALID),
        ("worker_cpu", evidence(reader(), cpu=0.75), WARNING),
        ("worker_cpu", evidence(reader(), cpu=0.95), INVALID),
        ("queueing", evidence(made_result(scheduled=-9), plan=OPEN), OK),
        ("queueing", evidence(made_result(scheduled=-900, connect=895), plan=OPEN), OK),  # connecting
        ("queueing", evidence(made_result(scheduled=-11), plan=OPEN), WARNING),
        ("queueing", evidence(made_result(scheduled=-51), plan=OPEN), INVALID),
        ("queueing", evidence(made_result(scheduled=-51), plan=BOUNDED), UNKNOWN),  # as the user asked
        ("clock_step", evidence(clock_step_ns=6_000_000), WARNING),
        ("clock_step", evidence(clock_step_ns=60_000_000), INVALID),
        ("clock_step", evidence(reader(), clock_step_ns=60_000_000), WARNING),
        ("host_cpu", evidence(host_cpu_percent=91.0), WARNING),
        ("unsent", evidence(end={"unsent": 1}), WARNING),
        ("stopped", evidence(end={"why": "limit"}), OK),
        ("stopped", evidence(end={"why": "stopped"}), WARNING),
        ("retried", evidence(end={"retried": 1}), OK),
        ("shared_reads", evidence(made_result(events=5, shared_reads=2)), WARNING),
        ("shared_reads", evidence(made_result(events=5, shared_reads=1)), OK),
        ("usage", evidence(made_result(), made_result(tokens_out=None)), WARNING),
        ("token_count", evidence(made_result(tokens_out=2)), WARNING),
        ("token_count", evidence(made_result(tokens_out=9)), OK),
        ("token_limit", evidence(made_result(tokens_out=9), most_tokens=(8,)), WARNING),
        ("token_limit", evidence(made_result(tokens_out=8), most_tokens=(8,)), OK),
    ],
)  # fmt: skip
def test_a_check_and_its_limits(name: str, given: Evidence, grade: Grade) -> None:
    judgement = judged(given)
    grades = {finding.check.name: finding.grade for finding in judgement.findings}
    assert grades[name] is grade
    assert judgement.is_valid is (INVALID not in grades.values())
    assert len(judgement.warnings) == list(grades.values()).count(WARNING)
    assert all("\n" not in line and "{}" not in line for line in (*judgement.reasons, *judgement.warnings))


def test_nothing_measured_is_invalid() -> None:
    tally = Tally()
    judgement = judged(Evidence(CLOSED, tally.figures(), [], Accounts(0, 0)))
    assert not judgement.is_valid
    assert judgement.reasons[0].startswith("no measured request ended")


def test_a_few_readers_change_nothing() -> None:
    results = [made_result(number) for number in range(200)]
    assert evidence(*results, reader()).stamps is Stamps.KERNEL
    assert evidence(*results, reader(), reader(), reader()).stamps is Stamps.READER


DROPPED = (
    "3 requests were sent and not recorded, or the reverse: what is missing may be the slowest:"
    " see what was lost, and run again"
)


def test_reasons_name_value_limit_and_what_to_do() -> None:
    judgement = judged(evidence(null_test=null_test(2500), accounts=Accounts(5, 2, ("worker 1 was killed",))))
    assert judgement.reasons == (
        DROPPED,
        "the client's own error is 2.5 ms (p99 of the null test), limit 2 ms: " + CHECKS[3].harm,
        "worker 1 was killed",
    )


MET, MISSED = (SloRow(asked="a", figure="ttft_ms", got=1, unit="ms", met=met) for met in (True, False))
FEW_MAY_FAIL = SloRow(asked="b", figure="error_rate", got=1, unit="%", met=True)
FAILED = made_result(0, outcome=Outcome.TRUNCATED)
BROKEN = made_result(0, violations=("chat.one-done",))


@pytest.mark.parametrize(
    ("given", "slos", "code"),
    [
        (evidence(), (), 0),
        (evidence(), (MET,), 0),
        (evidence(), (MET, MISSED), 1),
        (evidence(FAILED), (MET,), 1),
        (evidence(FAILED), (MET, FEW_MAY_FAIL), 0),
        (evidence(BROKEN), (), 1),
        (evidence(ended=False), (MET,), 3),
        (evidence(ended=False), (MISSED,), 3),
    ],
)
def test_what_cannot_be_trusted_goes_before_what_is_wrong(
    given: Evidence, slos: tuple[SloRow, ...], code: int
) -> None:
    assert exit_code(judged(given), given.figures, slos) == code


def test_the_docs_tell_every_check_with_its_limits() -> None:
    text = (Path(__file__).parents[2] / "docs" / "load-figures.md").read_text("utf-8")
    rows = {row.split("|")[1].strip(): row for row in text.splitlines() if row.startswith("| `")}
    for check in CHECKS:
        told = rows[f"`{check.name}`"]
        for limits in (check.kernel, check.reader):
            for limit in filter(None, limits):
                assert shown(limit, check.unit) in told
