"""The closing table on real consoles, and the same as JSON."""

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from harness.load.figures import Tally
from harness.load.plan import Closed, Open, Plan
from harness.load.records import Outcome, Phase, Result
from harness.load.slo import goodput_of, slo_of
from harness.load.summary import Summary, closing, digits, load_of, summary_of, sweep_rows
from harness.load.validity import Accounts, ClientError, Evidence, Judgement, judged
from harness.load.workers import Workers
from tests.plugins.results import made_end, made_failure, made_result, made_worker

PLAN = Plan(target="http://127.0.0.1:1", loop=Closed(concurrency=8), workers=1)
NULL = ClientError(200, 4000, 3.1, 6.9, 55)


def summary(*results: Result, valid: bool = True, asked: tuple[str, ...] = (), **about: Any) -> Summary:
    tally = Tally(goodput_of(about.get("goodput", "").split()))
    for result in results:
        tally.take(result)
    figures = tally.figures()
    judgement = (
        Judgement(())
        if valid
        else judged(Evidence(PLAN, figures, [], Accounts(9, len(results), ("x[red]",))))
    )
    slos = [slo_of(text).row(figures) for text in asked]
    return summary_of(PLAN, figures, judgement, slos, started_at="2026-01-02T03:04:05Z", **about)


def printed(what: RenderableType, width: int = 100, **options: Any) -> str:
    file = StringIO()
    Console(file=file, width=width, markup=False, highlight=False, **options).print(what)
    return file.getvalue()


def test_the_verdict_comes_first_and_everything_is_there() -> None:
    results = [
        made_result(number, sent=number, end=1150 + number, scheduled=number - 2) for number in range(3)
    ]
    failed = [made_failure(3, error="429"), made_failure(4, Outcome.TIMEOUT)]
    warm = made_result(phase=Phase.WARMUP)
    asked = ("ttft:p99<500ms", "error_rate<1%", "tpot:p50<1us")
    told = summary(*results, *failed, warm, asked=asked, goodput="ttft:100", name="nightly", null_test=NULL)
    lines = printed(closing(told)).splitlines()
    assert lines[0] == "VALID  nightly · 8 at once · http://127.0.0.1:1"
    assert lines[1].startswith("5 requests in 1.15 s, after 1 to warm up: 3 succeeded, 2 failed (40.0 %): ")
    assert "http: 429 1, timeout 1" in lines[1]
    table = {line.split("  ")[0]: line.split()[-5:] for line in lines[2:]}
    assert table["TTFT"] == ["99.0", "100", "100", "100", "3"]
    assert list(table)[2:9] == ["TTFT", "TTST", "ICL", "ITL", "TPOT", "E2E from send", "E2E from schedule"]
    assert "schedule delay" in table
    rest = "\n".join(lines)
    assert "2.60 requests/s · 7.80 output tokens/s" in rest
    assert "goodput/s" in rest
    assert "met     ttft:p99<500ms: " in rest
    assert "NOT MET error_rate<1%: 40.0 %" in rest
    assert (
        "client: answers stamped 3 by the kernel, error up to 0 us; null test p50 3.10, p99 6.90 us" in rest
    )
    assert told.exit_code == 1


def test_what_was_sent_again_is_told() -> None:
    tally, workers = Tally(), Workers()
    tally.take(made_result())
    for record in (made_worker(), made_end(sent=1, retried=1200)):
        workers.take(record)
    judgement = judged(Evidence(PLAN, tally.figures(), workers.all(), Accounts(1, 1)))
    told = summary_of(PLAN, tally.figures(), judgement, started_at="2026-01-02T03:04:05Z")
    assert told.warnings == ()
    assert "; 1,200 sent again, since their kept connection was closed" in printed(closing(told), width=200)
    assert "sent again" not in printed(closing(summary(made_result())))


def test_an_invalid_run_says_why_before_its_figures() -> None:
    told = summary(made_result(), valid=False)
    lines = printed(closing(told), width=300).splitlines()
    assert lines[0].startswith("INVALID")
    assert lines[1].strip().startswith("8 requests were sent and not recorded")
    assert any(line.strip() == "x[red]" for line in lines)  # text is no markup
    assert told.exit_code == 3


def test_what_is_unknown_has_no_row() -> None:
    text = printed(closing(summary(made_failure())))
    assert "TTFT" not in text
    assert "E2E" not in text
    assert "output tokens/s" not in text
    assert "1 failed (100 %): http 1" in text


def test_itl_says_of_how_many_streams() -> None:
    text = printed(closing(summary(made_result(), made_result(tokens_out=9))))
    assert "2 gaps of 1 of 2 streams" in text
    assert "4 gaps" in text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_terminal_of_any_width_gets_all_of_it(width: int) -> None:
    text = printed(closing(summary(made_result(), null_test=NULL)), width, force_terminal=True)
    assert "\x1b[" in text
    assert "E2E from send" in text


def test_json_gives_the_same() -> None:
    told = summary(
        made_result(), asked=("ttft:p50<1s",), null_test=NULL, valid=False, recording="a.db", run_id=3
    )
    again = json.loads(told.model_dump_json())
    assert Summary.model_validate(again) == told
    assert again["verdict"] == "invalid"
    assert again["figures"]["ttft_ms"]["p50"] == 100
    assert again["null_test"]["p99_us"] == 6.9
    assert {check["name"]: check["grade"] for check in again["checks"]}["dropped"] == "invalid"
    assert (again["recording"], again["run_id"]) == ("a.db", 3)


def test_a_sweep_has_a_row_a_run_and_only_known_columns() -> None:
    runs = [
        summary(made_result(), load="1 at once"),
        summary(made_result(), made_failure(), load="8 at once", valid=False),
    ]
    first, second = sweep_rows(runs)
    assert (first["load"], first["verdict"], first["requests"], first["failed"]) == (
        "1 at once",
        "VALID",
        1,
        0,
    )
    assert (second["verdict"], second["requests"], second["failed"]) == ("INVALID", 2, 1)
    assert first["ttft_p50_ms"] == runs[0].figures.ttft_ms.p50  # type: ignore[union-attr]
    assert "scheduled_e2e_p99_ms" not in first  # a closed loop has no schedule


def test_broken_rules_are_told() -> None:
    unchecked, clean, broken = (
        summary(made_result(violations=rules)) for rules in (None, (), ("chat.one-done",))
    )
    assert "rule" not in printed(closing(unchecked))
    assert "no answer breaks a rule" in printed(closing(clean))
    assert "rule broken in 1 answers: chat.one-done" in printed(closing(broken))


def test_load_in_words() -> None:
    loops = (Closed(concurrency=3), Open(), Open(most_open=7))
    told = [load_of(PLAN.model_copy(update={"loop": loop})) for loop in loops]
    assert told == ["3 at once", "open loop", "open loop, 7 at once at most"]


def test_digits_that_matter() -> None:
    assert [digits(value) for value in (0, 0.5, 9.999, 10, 99.96, 123456.7)] == [
        "0",
        "0.500",
        "10.00",
        "10.0",
        "100.0",
        "123,457",
    ]
