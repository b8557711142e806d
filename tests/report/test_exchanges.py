"""The document of a recording, of the real one that the repository holds."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from harness.core.derive import derive
from harness.core.metrics import Summary
from harness.report.exchanges import recording_report
from harness.report.model import RecordingReport
from harness.report.page import page
from harness.report.read import read_exchanges
from harness.store.open import open_recording

RECORDING = Path(__file__).parents[2] / "recordings" / "tiny-llama.db"


@pytest.fixture(scope="module")
def report() -> RecordingReport:
    return read_exchanges(RECORDING)


def test_all_exchanges_count_in_their_model_and_dialect(report: RecordingReport) -> None:
    with open_recording(RECORDING) as opened:
        derived = [derive(exchange) for exchange in opened.exchanges()]
    counts = Counter((found.model or "(no model)", found.dialect) for found in derived)
    assert {(model.model, model.dialect): model.exchanges for model in report.models} == counts
    assert report.exchanges == sum(report.states.values()) == len(derived)


def test_figures_are_those_of_the_core(report: RecordingReport) -> None:
    with open_recording(RECORDING) as opened:
        chats = [found for found in map(derive, opened.exchanges()) if found.dialect == "openai.chat"]
    (chat,) = [model for model in report.models if model.dialect == "openai.chat"]
    expected = Summary.of([gap for found in chats for gap in found.icl_ns])
    assert expected is not None
    assert chat.icl is not None
    assert chat.icl.spread.count == expected.count
    assert chat.icl.spread.p50 == pytest.approx(expected.p50 / 1e6, abs=0.001)
    assert chat.icl.spread.max == pytest.approx(expected.max / 1e6, abs=0.001)


def test_timelines_hold_the_times_of_all_tokens(report: RecordingReport) -> None:
    lines = report.timelines
    with open_recording(RECORDING) as opened:
        for place, number in enumerate(lines.id):
            assert number is not None
            exchange = opened.exchange(number)
            times = [round(at / 1000) for at in derive(exchange).content_ns]
            assert list(lines.marks_us[place]) == times
            assert lines.state[place] == exchange.state.value
    assert len(lines.id) + lines.left_out == report.exchanges - report.untimed
    assert list(lines.model) == sorted(place for place in lines.model if place is not None)


def test_exchanges_without_times_have_no_timeline(tmp_path: Path) -> None:
    request = {"method": "POST", "url": "http://a/v1/x"}
    response = {"status": 200, "chunks": [[0, "x"]]}
    line = json.dumps({"request": request, "response": response, "timing_known": False})
    (tmp_path / "a.jsonl").write_text(line + "\n", encoding="utf-8")
    found = read_exchanges(tmp_path / "a.jsonl")
    assert (found.exchanges, found.untimed, found.timelines.id, found.timelines.left_out) == (1, 1, (), 0)


def test_the_page_counts_models_and_tells_where_there_is_nothing(report: RecordingReport) -> None:
    """Exchanges without a model, such as a list of models, are of none."""
    nothing = page(recording_report("none.db", [], [], {}))
    assert "There is no exchange in this recording." in nothing
    assert "data-chart=" not in nothing.partition("<script")[0]
    assert re.search(r"<dt>Models</dt><dd>1 ", page(report))
