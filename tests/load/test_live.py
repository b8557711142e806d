"""The display of a run, on real consoles: a terminal of rich, and a pipe."""

import sys
from io import StringIO

import pytest
from rich.console import Console

from harness.load.clock import RunClock
from harness.load.live import LiveView, Now, Unseen, live_view, worker_line
from harness.load.plan import Closed, Plan
from harness.load.records import Phase, Record
from tests.plugins.results import MS, made_end, made_failure, made_result, made_tick, made_worker

S = 1000 * MS
PLAN = Plan(target="http://127.0.0.1:1", loop=Closed(concurrency=8), request_count=40)
RUN: tuple[Record, ...] = (
    made_worker(start_ns=1 * S),
    made_tick(2, 0.5, under_way=7),
    made_tick(3, 0.75, under_way=5, lag=((2_000, 99),)),
    *(
        made_result(number, sent=2_000, first_token=2_100 + number, end=3_000, icl=((20_000, 2),))
        for number in range(10)
    ),
    made_failure(10, end=3_500, error="429"),
    made_failure(11, end=3_500, error="429"),
)


def clock_at(seconds: float) -> RunClock:
    """The clock of a run that is so old."""
    return RunClock("here", 0, RunClock.now().monotonic_ns - round(seconds * S), 0)


def view_on(
    console: Console, plan: Plan = PLAN, *, age_s: float = 4.0, records: tuple[Record, ...] = RUN
) -> LiveView:
    view = LiveView(plan, clock_at(age_s), None, console)
    for record in records:
        view.take(record)
    return view


def test_a_line_tells_the_last_ten_seconds() -> None:
    view = view_on(Console(file=StringIO()))
    assert view.line(5 * S) == (
        "4 s | 12 of 40 requests | 2.50 requests/s | 7.50 tokens/s | TTFT p50 104 p99 109 ms"
        " | ICL p50 20.0 p99 20.0 ms | 5 under way | 2 failed (http: 429 2)"
        " | worker 0 cpu 25% lag p99 2.00 ms"
    )
    assert "| 0 requests/s" in view.line(30 * S)  # long ago
    assert "2 failed" in view.line(30 * S)


def test_what_is_noted_is_shown_until_something_else_is() -> None:
    view = view_on(Console(file=StringIO()))
    view.note("GPU 412 W\x1b")
    assert "| 2 failed (http: 429 2) | GPU 412 W␛ | worker 0" in view.line(5 * S)
    terminal = Console(file=StringIO(), force_terminal=True, width=100)
    terminal.print(view.display(5 * S))
    assert "GPU 412 W␛" in terminal.file.getvalue()  # type: ignore[attr-defined]
    view.note(None)
    assert "GPU" not in view.line(5 * S)


def test_seconds_that_are_over_are_forgotten() -> None:
    now = Now()
    now.take(made_worker())
    for number in range(100):
        now.take(
            made_result(
                number, sent=number * 1000, first_token=number * 1000 + number, end=number * 1000 + 500
            )
        )
    recent = now.recent(100 * S)
    assert recent.requests_per_s == 0.9  # 91 to 99
    assert recent.ttft_ms(0) == 91
    assert recent.tokens_per_s == 2.7
    now.take(made_result(100, end=5))  # late, of a second that is forgotten: counted with the newest
    assert now.recent(100 * S).requests_per_s == 1.0


def test_tokens_that_nobody_counted_are_no_rate() -> None:
    view = view_on(Console(file=StringIO()), records=(made_worker(), made_result(tokens_out=None)))
    assert "| - tokens/s |" in view.line(1 * S)


def test_without_a_terminal_lines_come_every_five_seconds() -> None:
    console = Console(file=StringIO(), width=40)
    view = view_on(console, age_s=7)
    view.start()
    for _ in range(5):
        view.refresh()
    view.stop()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("\n") == 1
    assert "12 of 40 requests" in text
    assert "\x1b" not in text


def test_a_terminal_shows_a_display_that_goes_away() -> None:
    console = Console(file=StringIO(), force_terminal=True, width=100, height=30)
    view = view_on(console)
    view.start()
    view.refresh()
    view.stop()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for told in ("12 of 40 requests", "TTFT", "ICL", "5 under way", "http: 429 2", "worker 0 cpu 25%"):
        assert told in text
    assert "\x1b[2K" in text  # the lines are erased


@pytest.mark.parametrize(
    ("plan", "at_s", "share"),
    [
        (PLAN, 5, 0.3),
        (PLAN.model_copy(update={"request_count": None}), 5, None),
        (PLAN.model_copy(update={"request_count": None, "duration_s": 20.0}), 5, 0.2),
        (PLAN.model_copy(update={"duration_s": 4.0, "warmup_s": 4.0}), 5, 0.5),
        (PLAN.model_copy(update={"duration_s": 2.0}), 99, 1.0),
    ],
)
def test_progress_by_count_or_time(plan: Plan, at_s: int, share: float | None) -> None:
    assert view_on(Console(file=StringIO()), plan).share(at_s * S) == share


def test_warming_up_is_told() -> None:
    view = view_on(Console(file=StringIO()), records=(made_worker(), made_result(phase=Phase.WARMUP)))
    assert view.progress() == "1 to warm up"
    view.take(made_result())
    assert view.progress() == "1 of 40 requests"


def test_a_worker_is_told_as_it_is() -> None:
    now = Now()
    told = []
    for record in (made_worker(3), made_tick(1, 0.1, worker=3), made_end(3)):
        now.take(record)
        told.append(worker_line(now.workers.by_number[3]))
    assert told == ["worker 3 starts", "worker 3 cpu - lag p99 0.100 ms", "worker 3 done"]


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with live_view(PLAN, clock_at(9), quiet=True) as view:
        assert isinstance(view, Unseen)
        view.take(made_worker())
        view.refresh()
    assert capsys.readouterr() == ("", "")


def test_stdout_stays_free(capsys: pytest.CaptureFixture[str]) -> None:
    with live_view(PLAN, clock_at(9), expected=50) as view:
        for record in RUN:
            view.take(record)
        view.refresh()
    out, err = capsys.readouterr()
    assert out == ""
    assert "12 of 50 requests" in err
    assert sys.stderr is not None
