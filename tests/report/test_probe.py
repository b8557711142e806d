"""The document of a probe: its figures with their error; what is no probe is refused in one line."""

import json
import re
from math import comb
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import BadInput
from harness.report.markdown import markdown
from harness.report.model import Added, ProbeReport
from harness.report.page import page
from harness.report.probe import bounds_ms, probe_report, ranks
from harness.report.read import holds_probe, read_probe
from tests.plugins.probes import MS, made_level, made_levels, made_probe

GIVEN = ("behaviour", "verdict", "evidence", "direct", "sources")


@pytest.fixture(scope="module")
def report() -> ProbeReport:
    return probe_report("probe.json", made_probe())


def at(report: ProbeReport, place: int, kind: str, quantile: str) -> Added:
    """What is added at a level."""
    (found,) = [one for one in report.levels[place].added if (one.kind, one.quantile) == (kind, quantile)]
    return found


def test_behaviours_stand_beside_those_of_the_direct_path(report: ProbeReport) -> None:
    assert report.verdicts == {"pass": 7, "fail": 7, "not tested": 6}
    assert [getattr(report.conformance[1], name) for name in GIVEN] == [
        "every event once, in order",
        "fail",
        "seen",
        "pass",
        ("built-in",),
    ]


def test_what_is_added_is_the_difference_of_quantiles_within_its_bounds(report: ProbeReport) -> None:
    assert [level.concurrency for level in report.levels] == [1, 8]
    for place, added_ms in enumerate((2, 5)):
        for quantile in ("p50", "p90"):
            found = at(report, place, "events", quantile)
            assert found.added_ms == pytest.approx(added_ms, abs=0.001)
            assert found.low_ms is not None
            assert found.high_ms is not None
            assert added_ms * 0.98 < found.low_ms <= found.added_ms + 0.001 <= found.high_ms + 0.001
            assert found.high_ms < added_ms * 1.02
        assert at(report, place, "ttft", "p50").added_ms == pytest.approx(2 * added_ms, abs=0.002)


def test_of_few_values_the_bounds_of_a_tail_are_not_known() -> None:
    few = made_level("gateway", 1, [MS * number for number in range(1, 31)])
    assert few.events is not None
    low_ms, high_ms = bounds_ms(few.events, 0.99)
    assert low_ms == pytest.approx(28, rel=0.01)
    assert high_ms is None
    assert list(bounds_ms(few.events, 0.5)) == pytest.approx([9, 22], rel=0.01)


@pytest.mark.parametrize("number", [20, 100, 1000])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_the_bounds_hold_a_quantile_19_times_of_20(number: int, share: float) -> None:
    """Summed over the binomial distribution of how many values lie below the true quantile."""
    low, high = ranks(number, share)
    chances = (
        comb(number, below) * share**below * (1 - share) ** (number - below) for below in range(number + 1)
    )
    assert sum(chance for below, chance in enumerate(chances) if low <= below < high) > 0.93


def test_distributions_keep_the_probes_own_figures(report: ProbeReport) -> None:
    gateway = report.levels[0].gateway
    assert gateway.events is not None
    assert gateway.events.spread.p50 == 2.015
    assert sum(gateway.events.counts) == gateway.events_read == 1000
    assert gateway.merged == 100
    assert gateway.events.curve_ms[-1] == pytest.approx(2.02, rel=0.01)


def test_a_probe_of_nothing_is_a_report_too() -> None:
    nothing = probe_report("a.json", made_probe(levels=[], behaviours=[], floor=[], changes=[], added=[]))
    assert "<h1>http://gateway/seen</h1>" in page(nothing)
    assert markdown(nothing).count("\n") == 1


def test_a_probe_without_streams_is_a_report_too() -> None:
    empty = made_level("gateway", 1, [])
    found = probe_report("a.json", made_probe(levels=[empty]))
    assert found.levels[0].direct is None
    assert found.levels[0].gateway.events is None
    assert found.levels[0].added == ()


def test_markdown_tells_outcome_behaviours_and_added_times(report: ProbeReport) -> None:
    lines = markdown(report).splitlines()
    assert lines[0] == "**❌ FAILED** `http://gateway/seen` with `seen.db`: seen"
    assert "| every event once, in order | **fail** | `seen` |" in lines
    assert any(line.startswith("| 8 | each event | p50 | 0.015 | 5.01 | +5.00 | +") for line in lines)


def test_text_of_others_stays_text() -> None:
    told = markdown(probe_report("a.json", made_probe("a <img> @x \x1b[31m")))
    outside = re.sub(r"`[^`]*`", "", told)
    assert "\\<img\\> \\@x" in outside  # the reason
    assert not re.search(r"(?<!\\)[<@]", outside)
    assert "\x1b" not in told


def test_a_file_is_read_however_it_is_written(tmp_path: Path) -> None:
    said = made_probe().model_dump(mode="json")
    forms = (
        json.dumps(said, indent=1),
        json.dumps(said),
        json.dumps(said, sort_keys=True, separators=(",", ":")),
    )
    for text in forms:
        (tmp_path / "probe.json").write_text(text, encoding="utf-8")
        assert holds_probe(tmp_path / "probe.json")
        assert read_probe(tmp_path / "probe.json") == probe_report("probe.json", made_probe())


def changed(**fields: Any) -> str:
    """A document with other fields."""
    return json.dumps(made_probe().model_dump(mode="json") | fields, indent=1)


NEGATIVE = {"count": 1, "p50_ms": 1, "p90_ms": 1, "p99_ms": 1, "max_ms": 1, "histogram": [[5, -1]]}
LEVEL = {"path": "direct", "concurrency": 1, "streams": 1, "failed": 0, "ttft": NEGATIVE, "events": None}
REFUSED = {
    "impossible counts": (changed(levels=[{**LEVEL, "merged": 0}]), "levels.0.ttft: holds a bucket without"),
    "cut off": (changed()[:5000], "is no whole JSON document: was the probe broken off?"),
    "of another version": (
        changed(version="9", new=[]),
        "new: Extra inputs are not permitted",
    ),
    "a later behaviour": (
        changed(behaviours=[{"behaviour": "dancing", "verdict": "pass", "evidence": "", "sources": []}]),
        "behaviours.0.behaviour: should be",
    ),
    "another document": (
        json.dumps({"version": "1"}, indent=1),
        "nothing that `harness probe",
    ),
    "no object": ("{\n}", "nothing that `harness probe"),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_probe_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "probe.json"
    path.write_text(text, encoding="utf-8")
    assert holds_probe(path)
    with pytest.raises(BadInput) as raised:
        read_probe(path)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_exchanges_are_no_probe(tmp_path: Path) -> None:
    line = {"request": {"method": "GET", "url": "http://a/"}, "response": {"status": 200, "chunks": []}}
    (tmp_path / "a.jsonl").write_text(json.dumps(line), encoding="utf-8")
    assert not holds_probe(tmp_path / "a.jsonl")
    assert not holds_probe(Path(__file__).parents[2] / "recordings" / "tiny-llama.db")


def test_levels_without_a_direct_path_have_nothing_added() -> None:
    _, gateway = made_levels(4, 1)
    assert probe_report("a.json", made_probe(levels=[gateway])).levels[0].added == ()
