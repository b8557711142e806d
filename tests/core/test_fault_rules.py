"""Which requests get a fault: paths, models, counting, chance; rules of files and of the admin API."""

from typing import Any

import pytest

from harness.core.fault_rules import Rule, chance, chosen, fields_of, rule_of, rules_of

PATHS = ("/v1/chat/completions",)


def rule(text: str) -> Rule:
    return rule_of(fields_of(f"kind=cut,{text}" if text else "kind=cut"))


def played(text: str, count: int, *, unfit: tuple[int, ...] = ()) -> list[int]:
    """The numbers of the requests, of so many, that get the fault; those in `unfit` could not have it."""
    one, found = rule(text), []
    for number in range(1, count + 1):
        if chosen([one], PATHS, lambda: "gpt-4o"):
            found.append(number)
            one.played += number not in unfit
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [1, 2, 3, 4, 5, 6, 7]),
        ("every=3", [3, 6]),
        ("first=2", [1, 2]),
        ("times=2", [1, 2]),
        ("every=2,times=2", [2, 4]),
        ("every=2,first=5", [2, 4]),
        ("path=/v1/chat/*", [1, 2, 3, 4, 5, 6, 7]),
        ("path=/v1/*/completions,times=1", [1]),
        ("path=/v1/messages", []),
        ("path=/v1/chat", []),
        ("model=gpt-*,every=7", [7]),
        ("model=claude*", []),
        ("probability=0", []),
        ("probability=1,times=1", [1]),
    ],
)
def test_counting(text: str, expected: list[int]) -> None:
    assert played(text, 7) == expected


def test_a_fault_that_did_not_fit_does_not_count_as_a_time() -> None:
    assert played("times=1", 4, unfit=(1, 2)) == [1, 2, 3]


def test_chance_is_fixed_by_the_seed_and_about_right() -> None:
    assert played("probability=0.3,seed=1", 200) == played("probability=0.3,seed=1", 200)
    assert played("probability=0.3,seed=1", 200) != played("probability=0.3,seed=2", 200)
    assert 2_700 < sum(chance(5, number) < 0.3 for number in range(10_000)) < 3_300


def test_the_first_that_fires_is_played_and_all_count() -> None:
    rules = [rule("every=2"), rule("path=/v1/messages"), rule("")]
    found = [chosen(rules, PATHS, str) for _ in range(4)]
    assert found == [rules[2], rules[0], rules[2], rules[0]]
    assert [one.fitted for one in rules] == [4, 0, 4]


def test_the_model_is_read_only_where_a_rule_asks() -> None:
    def unread() -> str:
        raise AssertionError

    assert chosen([rule("path=/v1/chat/*"), rule("path=/x,model=y")], PATHS, unread)


def test_any_name_of_the_path_fits() -> None:
    assert chosen([rule("path=/v1/chat/*")], ("/openai/v1/chat/completions", *PATHS), str)


def test_rules_as_tables_and_as_texts() -> None:
    found = rules_of(
        {"faults": [{"kind": "error", "status": 503, "retry-after": 2, "every": 3}, "cut; event=1; first=2"]}
    )
    assert [one.words() for one in found] == [
        "kind=error,status=503,retry_after=2s,every=3",
        "kind=cut,event=1,first=2",
    ]
    assert rules_of({"faults": []}) == []


@pytest.mark.parametrize("text", ['kind=error,status=500,message="a; b"', 'kind=cut,path="/a,b",every=2'])
def test_a_rule_is_told_as_it_may_be_written(text: str) -> None:
    assert rule_of(fields_of(text)).words() == text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "faults: is missing"),
        (None, "faults: is missing"),
        ({}, "faults: is missing"),
        ({"faults": {}}, "faults: is missing"),
        ({"fault": []}, "faults: is missing"),
        ({"faults": [], "more": 1}, "more: there is no such field"),
        ({"faults": [3]}, "rule 1: is no table"),
        ({"faults": ["cut", {"kind": "cut", "event": "x"}]}, "rule 2: event: "),
        ({"faults": [{"kind": ["cut"]}]}, "rule 1: kind: "),
        ({"faults": [{"kind": "cut", "every": 0}]}, "rule 1: every: "),
        ({"faults": [{"kind": "cut", "probability": 2}]}, "rule 1: probability: "),
        ({"faults": [{"kind": "cut", "path": 5}]}, "rule 1: path: "),
    ],
)
def test_what_is_wrong_with_rules_names_rule_and_field(value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rules_of(value)
