"""The document of a run, of real recordings: its figures are those that the run itself stored."""

from pathlib import Path
from typing import Any

import pytest

from harness.load.records import Outcome, Phase, Result
from harness.report.lanes import MOST_POINTS
from harness.report.model import RunReport
from harness.report.read import holds_runs, read_run
from harness.report.waterfall import LONGEST_TEXT
from tests.plugins.results import made_failure, made_result
from tests.plugins.stored import stored_card, stored_hosts, stored_run


def shifted(number: int, at_ms: float, **changes: Any) -> Result:
    """A success that was due at `at_ms` and sent 2 ms later; the later ones are slower."""
    times = {
        "first_byte": 90,
        "first_token": 100 + number,
        "second_token": 120 + number,
        "last_token": 140 + number,
        "end": 150 + number,
    }
    sent = at_ms + 2
    moved = {name: sent + time for name, time in times.items()}
    return made_result(number, **({"scheduled": at_ms, "sent": sent} | moved | changes))


RESULTS = (
    shifted(0, 0, phase=Phase.WARMUP),
    *(shifted(number, 100 * number) for number in range(1, 8)),
    shifted(8, 800, tokens_out=7, icl=((12_000, 1), (28_000, 1))),  # several tokens in an event
    made_failure(9, error="429 slow down", scheduled=900, sent=902, end=950),
    made_failure(10, error="429 slow down", scheduled=1000, sent=1002, end=1050),
    made_failure(11, Outcome.TIMEOUT, scheduled=1100, sent=1102, first_byte=1150, end=2102),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


def report(path: Path, **changes: Any) -> RunReport:
    """The report of `RESULTS`."""
    run_id = stored_run(path, RESULTS, loop="open", rate=10.0, concurrency=None, **changes)
    return read_run(path, run_id)


def test_distributions_are_the_stored_figures(path: Path) -> None:
    found = report(path)
    assert found.figures is not None
    names = [distribution.name for distribution in found.latencies]
    assert names[:4] == ["ttft_ms", "icl_ms", "itl_ms", "tpot_ms"]
    assert set(names) == {
        "ttft_ms",
        "icl_ms",
        "itl_ms",
        "tpot_ms",
        "e2el_ms",
        "e2el_scheduled_ms",
        "schedule_delay_ms",
        "ttst_ms",
    }
    for distribution in found.latencies:
        assert distribution.spread.model_dump() == pytest.approx(found.figures[distribution.name], abs=0.0011)


def test_failures_are_counted_by_kind_and_have_no_latency(path: Path) -> None:
    found = report(path)
    assert [(kind.outcome, kind.error, kind.count) for kind in found.failures] == [
        ("http", "429 slow down", 2),
        ("timeout", None, 1),
    ]
    assert (found.failures[0].numbers, found.failures[0].first_s, found.failures[0].last_s) == (
        (9, 10),
        0.95,
        1.05,
    )
    assert found.failures[0].share == pytest.approx(2 / 11)
    assert {d.spread.count for d in found.latencies if d.name == "ttft_ms"} == {8}


def test_the_waterfall_holds_every_request_of_all_phases(path: Path) -> None:
    fall = report(path).waterfall
    assert fall.number == tuple(range(12))
    assert fall.warmup == (1, *[0] * 11)
    assert (fall.sent_us[1], fall.due_us[1], fall.first_token_us[1], fall.end_us[1]) == (
        102_000,
        -2000,
        101_000,
        151_000,
    )
    assert fall.connect_us == ()
    assert fall.outcomes[fall.outcome[11] or 0] == "timeout"
    assert fall.failed[fall.outcome[11] or 0] is True
    assert (fall.error[11], fall.errors[fall.error[9] or 0]) == (None, "429 slow down")


def test_the_window_and_the_axis_are_the_measured_part_and_the_whole_run(path: Path) -> None:
    found = report(path)
    assert found.window_s == (0.1, 2.102)
    assert [over.name for over in found.over_time] == ["ttft_ms", "icl_ms", "schedule_delay_ms"]
    assert all(sum(over.count) == n for over, n in zip(found.over_time, (8, 16, 11), strict=True))


def test_gaps_stand_at_their_own_time_where_events_were_kept(path: Path) -> None:
    offsets = ((90_000_000, False), (100_000_000, True), (120_000_000, True), (140_000_000, True))
    run_id = stored_run(
        path,
        [
            made_result(0, offsets=offsets),
            made_result(1, sent=1000, end=3000, first_token=1100, last_token=1140),
        ],
    )
    (gaps,) = [over for over in read_run(path, run_id).over_time if over.name == "icl_ms"]
    assert gaps.dots_s == (0.12, 0.14, 1.14)
    assert gaps.dots_ms == (20.0, 20.0, 20.0)


def test_a_run_that_goes_on_is_unjudged_and_shows_what_it_has(path: Path) -> None:
    found = report(path, done={"verdict": None})
    assert (found.verdict.verdict, found.figures, found.about.ended_at) == ("unjudged", None, None)
    assert found.latencies[0].spread.count == 8


def test_an_invalid_run_says_why_and_a_valid_one_what_to_know(path: Path) -> None:
    checks = (
        {
            "name": "a",
            "grade": "warning",
            "line": "careful",
            "value": 1.0,
            "unit": "ms",
            "limit": 0.5,
            "new": 1,
        },
    )
    found = report(path, done={"verdict": "invalid", "reasons": ("lost 3",), "checks": checks})
    assert found.verdict.verdict == "invalid"
    assert (found.verdict.reasons, found.verdict.warnings) == (("lost 3",), ("careful",))


def test_a_run_without_requests_is_a_report_too(path: Path) -> None:
    found = read_run(path, stored_run(path, []))
    assert (found.latencies, found.over_time, found.window_s, found.requests) == ((), (), None, 0)


def test_a_sweep_is_the_runs_of_the_same_name_in_this_file(path: Path) -> None:
    for concurrency in (2, 4, 1):
        stored_run(path, RESULTS[1:9], concurrency=concurrency, sweep="s")
    stored_run(path, RESULTS, sweep="other")
    found = read_run(path, 2)
    assert [(step.run_id, step.level, step.load) for step in found.sweep] == [
        (3, 1, "1 at once"),
        (1, 2, "2 at once"),
        (2, 4, "4 at once"),
    ]
    assert found.sweep[0].ttft_p50_ms == 104.0
    assert found.sweep[0].tokens_per_s is not None


def test_lanes_share_the_axis_and_energy_is_a_difference_over_the_window(path: Path) -> None:
    run_id = stored_run(
        path,
        [
            made_result(
                number,
                sent=1000 * number,
                first_token=1000 * number + 100,
                last_token=1000 * number + 900,
                end=1000 * number + 1000,
            )
            for number in range(4)
        ],
    )
    stored_hosts(path, run_id, [10, 20, 30, 40, 50])
    samples = (
        {
            "at_ms": 500 * k - 250,
            "energy_mj": 100_000 + 50_000 * k,
            "power_mw": 100_000.0,
            "utilisation_percent": 90.0,
        }
        for k in range(10)
    )
    stored_card(
        path,
        run_id,
        samples,
        {"at_ms": 2000, "what": "xid", "code": 43, "detail": "the driver reports Xid 43"},
    )
    found = read_run(path, run_id)
    titles = [lane.title for lane in found.lanes]
    assert titles == [
        "Under way",
        "Output tokens",
        "Requests",
        "GPU 0 NVIDIA H100: activity",
        "GPU 0 NVIDIA H100: power",
        "Host here: CPU",
        "Host here: network",
        "Host here: memory",
    ]
    lanes = dict(zip(titles, found.lanes, strict=True))
    assert set(lanes["Under way"].series[0].values) == {1.0}
    assert [series.values for series in lanes["Host here: CPU"].series] == [
        (10, 20, 30, 40, 50),
        (10, 20, 30, 40, 50),
    ]
    assert lanes["Host here: network"].series[0].values == (None, 2.0, 2.0, 2.0, 2.0)
    assert found.gpu is not None
    assert found.gpu.energy_j == 400.0
    assert found.gpu.tokens_per_joule == pytest.approx(12 / 400)
    assert [(mark.at_s, mark.text) for mark in found.gpu.events] == [
        (2.0, "GPU 0 NVIDIA H100 · xid · 43 · the driver reports Xid 43")
    ]


@pytest.mark.parametrize(
    "energies",
    [[(0, 5), (2000, 9)], [(-10, 9), (500, 3), (5000, 20)], [(-10, 9)], []],
    ids=["ends early", "went back", "one", "none"],
)
def test_energy_that_is_not_known_is_not_told(path: Path, energies: list[tuple[int, int]]) -> None:
    run_id = stored_run(path, [made_result(0, end=3000)])
    stored_card(path, run_id, ({"at_ms": at, "energy_mj": energy} for at, energy in energies))
    gpu = read_run(path, run_id).gpu
    assert gpu is not None
    assert (gpu.energy_j, gpu.tokens_per_joule) == (None, None)


def test_text_of_others_is_visible_and_bounded(path: Path) -> None:
    run_id = stored_run(
        path, [made_failure(0, error="\x1b[31m" + "x" * 5000), made_result(1, model="a\u202eb")]
    )
    found = read_run(path, run_id)
    assert found.failures[0].error is not None
    assert found.failures[0].error.startswith("␛[31mxx")
    assert len(found.failures[0].error) == LONGEST_TEXT + 1
    assert found.about.models == ("tiny", "a<U+202E>b")
    assert found.figures is not None
    assert [name[:16] for name in found.figures["errors"]] == ["http: ␛[31mxxxxx"]


def test_a_recording_without_runs_holds_none(path: Path, tmp_path: Path) -> None:
    assert holds_runs(Path("recordings/tiny-llama.db").resolve()) is False
    stored_run(path, [])
    assert holds_runs(path) is True
    (tmp_path / "empty.jsonl").touch()
    assert holds_runs(tmp_path / "empty.jsonl") is False


def test_lanes_of_long_logs_are_thinned_whatever_is_read_how_often(path: Path) -> None:
    """PCIe is read once a second, in samples of its own: every n-th sample may be one of those."""
    run_id = stored_run(path, [made_result(0, end=2_000_000)])
    samples = (
        {"at_ms": 100 * k, "power_mw": 1000.0} if k % 4 else {"at_ms": 100 * k, "pcie_tx_kb_s": 1000.0}
        for k in range(3 * MOST_POINTS)
    )
    stored_card(path, run_id, samples)
    lanes = {lane.title.partition(": ")[2]: lane for lane in read_run(path, run_id).lanes}
    for title in ("power", "PCIe"):
        (line,) = lanes[title].series
        assert MOST_POINTS / 2 < len(line.values) <= MOST_POINTS
        assert set(line.values) == {1.0}
