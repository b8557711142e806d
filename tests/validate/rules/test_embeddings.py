from collections.abc import Callable
from typing import Any

import pytest

from harness.validate.finding import Finding, Part
from harness.validate.rules import embeddings

type Find = Callable[..., list[Finding]]
type Mutate = Callable[[list[Any]], Any]

BODY = "embeddings body"

CASES: list[tuple[str, Mutate, str]] = [
    ("indexes", lambda s: s[0]["data"].reverse(), "/data/0/index"),
    ("indexes", lambda s: s[0]["data"][1].pop("index"), "/data/1/index"),
    ("indexes", lambda s: s[0]["data"].pop(), "/data"),
    ("usage-negative", lambda s: s[0]["usage"].update(prompt_tokens=-2), "/usage/prompt_tokens"),
    ("usage-sum", lambda s: s[0]["usage"].update(prompt_tokens=3), "/usage/total_tokens"),
]


def test_clean(find: Find) -> None:
    assert find(BODY) == []


@pytest.mark.parametrize(("rule", "mutate", "pointer"), CASES)
def test_broken(find: Find, rule: str, mutate: Mutate, pointer: str) -> None:
    found = find(BODY, mutate)
    assert {finding.rule for finding in found} == {f"embeddings.{rule}"}
    assert (found[0].event, found[0].pointer, found[0].part) == (None, pointer, Part.RESPONSE)


def test_every_rule_is_broken() -> None:
    assert {f"embeddings.{case[0]}" for case in CASES} == {rule.name for rule in embeddings.RULES}


@pytest.mark.parametrize("asked", [{"input": [[1], [2]]}, {"input": ["a", "b"]}, "no object"])
def test_as_many_as_inputs(find: Find, asked: Any) -> None:
    assert find(BODY, asked=asked) == []


@pytest.mark.parametrize("given", ["a", [1, 2], ["a"], ["a", "b", "c"]])
def test_not_as_many_as_inputs(find: Find, given: Any) -> None:
    assert [finding.pointer for finding in find(BODY, asked={"input": given})] == ["/data"]


def test_a_total_alone(find: Find) -> None:
    assert find(BODY, lambda s: s[0]["usage"].pop("prompt_tokens")) == []
