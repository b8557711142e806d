"""Two runs side by side: differences with their sign and side, and why not to trust them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.report.compare import comparison, flat, ratio
from harness.report.model import Comparison
from harness.report.read import read_run
from tests.plugins.results import made_failure, made_result
from tests.plugins.stored import stored_run

type Compared = Callable[..., Comparison]


@pytest.fixture
def compared(tmp_path: Path) -> Compared:
    """Compares a run of TTFT 100 ms with one of 150 ms; `b` and `done` change the second."""

    def both(done: dict[str, Any] | None = None, **b: Any) -> Comparison:
        path = tmp_path / "runs.db"
        stored_run(path, [made_result(number) for number in range(4)])
        slow = made_result(0, first_token=150, second_token=170, last_token=190, end=200)
        stored_run(path, [slow, slow, slow, made_failure(3)], done, **b)
        return comparison(read_run(path, 1), read_run(path, 2))

    return both


def test_a_slower_run_is_worse(compared: Compared) -> None:
    rows = {row.title: row for row in compared().differences}
    ttft = rows["TTFT p50"]
    assert (ttft.a, ttft.b, ttft.change, ttft.better) == (100.0, 150.0, 0.5, False)
    assert (rows["ICL p50"].change, rows["ICL p50"].better) == (0.0, None)
    assert (rows["requests"].better, rows["error rate"].a, rows["error rate"].b) == (False, 0.0, 25.0)
    assert (rows["error rate"].change, rows["error rate"].better) == (None, False)
    assert rows["at once"].better is None


def test_of_an_invalid_run_nothing_is_better(compared: Compared) -> None:
    found = compared({"verdict": "invalid", "reasons": ("lost 1",)})
    assert found.caution == ("B is INVALID: its figures cannot be trusted, nor the differences",)
    assert {row.better for row in found.differences} == {None}


def test_settings_that_differ_are_told(compared: Compared) -> None:
    found = compared(concurrency=4, host="there", plan={"loop": {"kind": "closed", "concurrency": 4}})
    assert [(row.name, row.a, row.b) for row in found.settings] == [
        ("load", '"8 at once"', '"4 at once"'),
        ("plan.loop.concurrency", "8", "4"),
    ]
    assert found.caution == (
        "the runs were made from different hosts, here and there",
        "the load differs: 8 at once and 4 at once",
    )


def test_of_nothing_there_is_no_ratio() -> None:
    assert (ratio(0, 0), ratio(0, 1), ratio(2, 1)) == (0.0, None, -0.5)
    assert flat({"a": {"b": [1]}}) == {"a.b": "[1]"}
