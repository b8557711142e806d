from collections.abc import Callable
from typing import Any

import pytest

from harness.core.exchange import State
from harness.validate.finding import Finding, Kind, Part
from harness.validate.rules import ollama

type Find = Callable[..., list[Finding]]
type Mutate = Callable[[list[Any]], Any]

CHAT, GENERATE, BODY = "ollama chat", "ollama generate", "ollama body"

CASES: list[tuple[str, str, Mutate, tuple[int | None, str]]] = [
    ("one-done", CHAT, lambda s: s.pop(), (None, "")),
    ("one-done", GENERATE, lambda s: s.append(s[-1]), (5, "")),
    ("one-done", CHAT, lambda s: s.append(s[-2]), (5, "")),
    ("one-done", BODY, lambda s: s[0].update(done=False), (None, "")),
    ("constant-model", GENERATE, lambda s: s[3].update(model="m-2"), (4, "/model")),
    ("done-reason", CHAT, lambda s: s[3].pop("done_reason"), (4, "/done_reason")),
    ("done-reason", BODY, lambda s: s[0].update(done_reason=None), (None, "/done_reason")),
    ("created-order", CHAT, lambda s: s.insert(1, s.pop(0)), (2, "/created_at")),
    ("usage-negative", CHAT, lambda s: s[3].update(eval_count=-3), (4, "/eval_count")),
    ("usage-negative", BODY, lambda s: s[0].update(total_duration=-3), (None, "/total_duration")),
]


@pytest.mark.parametrize("name", [CHAT, GENERATE, BODY])
def test_clean(find: Find, name: str) -> None:
    assert find(name) == []


@pytest.mark.parametrize(("rule", "name", "mutate", "where"), CASES)
def test_broken(find: Find, rule: str, name: str, mutate: Mutate, where: tuple[int | None, str]) -> None:
    found = find(name, mutate)
    assert {finding.rule for finding in found} == {f"ollama.{rule}"}
    assert (found[0].event, found[0].pointer) == where
    assert found[0].part is (Part.RESPONSE if name == BODY else Part.STREAM)


def test_every_rule_is_broken() -> None:
    assert {f"ollama.{case[0]}" for case in CASES} == {rule.name for rule in ollama.RULES}


def test_soft_rules() -> None:
    soft = {rule.name for rule in ollama.RULES if rule.kind is Kind.SOFT_RULE}
    assert soft == {"ollama.constant-model", "ollama.done-reason", "ollama.created-order"}


@pytest.mark.parametrize("kept", range(4))
def test_a_cut_and_an_error(find: Find, kept: int) -> None:
    assert find(CHAT, lambda s: s.__delitem__(slice(kept, None)), state=State.UPSTREAM_CUT) == []
    assert find(CHAT, lambda s: s.__setitem__(slice(kept, None), [{"error": "m"}])) == []


@pytest.mark.parametrize("moment", ["", 5, "yesterday", "2026-01-02T03:04:05", "2026-01-02T05:04:05.2+02:00"])
def test_moments(find: Find, moment: Any) -> None:
    """A zone may be any, a text without one says no moment."""
    assert find(CHAT, lambda s: s[1].update(created_at=moment)) == []
