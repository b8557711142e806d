from typing import Any

import pytest

from harness.validate.rules.rule import Fault
from harness.validate.rules.sequence import changes, gaps, is_json_text, once_and_last, repeats


@pytest.mark.parametrize(
    ("values", "events"),
    [
        ([], []),
        (["a"], []),
        (["a", "a", "a"], []),
        (["", "a", None, "a", 0], []),
        ([None, None], []),
        (["a", "b", "b"], [2]),
        (["a", "b", "a"], [2, 3]),
        (["a", None, "b"], [3]),
        ([["a"], ["a"], {}], []),
        ([{"a": 1}, {"a": 2}], [2]),
    ],
)
def test_changes(values: list[Any], events: list[int]) -> None:
    found = changes([(number, {"id": value}) for number, value in enumerate(values, 1)], "id", "/response")
    assert list(found) == [Fault(event, "/response/id", "it changes here") for event in events]


@pytest.mark.parametrize(
    ("values", "places"),
    [([], []), (["a", "b", "a", "a"], [2, 3]), (["", "", None, None, 1, 1, [], []], [])],
)
def test_repeats(values: list[Any], places: list[int]) -> None:
    found = repeats((number, "/id", value) for number, value in enumerate(values))
    assert [fault.event for fault in found] == places


@pytest.mark.parametrize(
    ("values", "wanted", "places"),
    [
        ([0, 1, 2], 0, []),
        ([5, 6], 5, []),
        ([1, 2], 0, [0]),
        ([0, 1, 3, 4], 0, [2]),
        ([0, 1, 1, 2], 0, [2]),
        ([0, None, 2], 0, [1]),
        ([0, "1", 2, True, 4], 0, [1, 3]),
        ([0, 2, 1, 3], 0, [1, 2, 3]),
    ],
)
def test_gaps(values: list[Any], wanted: int, places: list[int]) -> None:
    found = gaps(((number, "", value) for number, value in enumerate(values)), wanted)
    assert [fault.event for fault in found] == places


@pytest.mark.parametrize(
    ("found", "last", "ended", "events"),
    [
        ([4], 4, True, []),
        ([], 4, True, [0]),
        ([], 4, False, []),
        ([3, 4], 4, True, [4]),
        ([3, 4], 4, False, [4]),
        ([2], 4, True, [4]),
        ([2, 3], 4, True, [3, 4]),
    ],
)
def test_once_and_last(found: list[int], last: int, ended: bool, events: list[int]) -> None:
    assert [fault.event for fault in once_and_last(found, last, ended=ended)] == events


@pytest.mark.parametrize(
    ("text", "is_json"), [("{}", True), ('"\ud83d"', True), ("", False), ("{", False), ("[" * 10**5, False)]
)
def test_is_json_text(text: str, is_json: bool) -> None:
    assert is_json_text(text) is is_json
