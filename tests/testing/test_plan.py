"""The arguments of the marker: what they come to, and that the page names them."""

import re
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import BadInput
from harness.core.matching.rules import MatchRules
from harness.core.matching.words import Repeat
from harness.core.record_mode import RecordMode
from harness.pytest_plugin import MODES
from harness.testing.plan import Plan, plan_of

PAGE = (Path(__file__).parents[2] / "docs" / "pytest.md").read_text("utf-8")


def test_the_page_has_every_argument_and_option(request: pytest.FixtureRequest) -> None:
    table = PAGE.partition("| argument | is |")[2].partition("\n\n")[0]
    names = {
        name
        for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert names == set(Plan.model_fields)
    for option in re.findall(r"--(harness-[a-z-]+)", PAGE):
        request.config.getoption(option.replace("-", "_"))
    assert set(MODES) == set(RecordMode)


@pytest.mark.parametrize(
    ("said", "repeat"),
    [
        ({}, Repeat.LAST),
        ({"allow_playback_repeats": True}, Repeat.LAST),
        ({"allow_playback_repeats": False}, Repeat.SEQUENCE),
        ({"repeat": "cycle", "allow_playback_repeats": False}, Repeat.CYCLE),
    ],
)
def test_repeats(said: dict[str, Any], repeat: Repeat) -> None:
    assert plan_of(said).order().repeat is repeat


def test_rules_add_to_those_beside_the_recording() -> None:
    beside = MatchRules(ignore=("/user",), fuzzy=0.9)
    rules = plan_of({"ignore": ["/id"], "fuzzy": 0.5}).rules(beside)
    assert (rules.ignore, rules.fuzzy) == (("/user", "/id"), 0.5)
    assert plan_of({}).rules(beside) == beside


def test_what_is_filtered_is_masked_by_the_recorder() -> None:
    plan = plan_of({"filter_headers": ["x-tenant"], "filter_post_data_parameters": ["user", "id"]})
    assert plan.masks() == ["--redact-header", "x-tenant", "--redact-field", "user", "--redact-field", "id"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"colour": 1}, "has no argument 'colour'; there are record_mode"),
        ({"record_mode": "sometimes"}, "marker's record_mode: should be 'none', 'once'"),
        ({"speed": float("inf")}, "marker's speed: "),
        ({"upstreams": {}}, "marker's upstreams: "),
        ({"ignore": "/id"}, "marker's ignore: should be a list"),
        ({"on_miss": "record"}, "marker's on_miss: "),
    ],
)
def test_nonsense_is_told(said: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=re.escape(words)):
        plan_of(said)
