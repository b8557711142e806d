from collections.abc import Callable
from typing import Any

import pytest

from harness.core.exchange import State
from harness.validate.finding import Finding, Kind
from harness.validate.rules import completions

type Find = Callable[..., list[Finding]]
type Mutate = Callable[[list[Any]], Any]

STREAM, BODY = "completions", "completions body"


def choice(stream: list[Any], number: int) -> Any:
    return stream[number - 1]["choices"][0]


CASES: list[tuple[str, str, Mutate, tuple[int | None, str]]] = [
    ("one-done", STREAM, lambda s: s.pop(), (None, "")),
    ("constant-id", STREAM, lambda s: s[1].update(id="cmpl-2"), (2, "/id")),
    ("constant-model", STREAM, lambda s: s[1].update(model="m-2"), (2, "/model")),
    ("constant-created", STREAM, lambda s: s[1].update(created=1), (2, "/created")),
    (
        "constant-fingerprint",
        STREAM,
        lambda s: s[1].update(system_fingerprint="x"),
        (2, "/system_fingerprint"),
    ),
    (
        "choice-indexes",
        STREAM,
        lambda s: [choice(s, n).update(index=1) for n in (1, 2, 3, 4)],
        (1, "/choices/0/index"),
    ),
    (
        "nothing-after-finish",
        STREAM,
        lambda s: [
            choice(s, 1).update(logprobs={}),
            choice(s, 2).update(logprobs={}),
            choice(s, 4).update(text="!"),
        ],
        (4, "/choices/0/text"),
    ),
    ("empty-choices", STREAM, lambda s: s[3].update(choices=[]), (4, "/choices")),
    ("usage-asked", STREAM, lambda s: s.pop(4), (None, "/usage")),
    ("usage-once", STREAM, lambda s: s[3].update(usage=s[4]["usage"]), (5, "/usage")),
    ("usage-last", STREAM, lambda s: s.insert(3, s.pop(4)), (5, "")),
    ("usage-sum", BODY, lambda s: s[0]["usage"].update(total_tokens=1), (None, "/usage/total_tokens")),
    (
        "usage-cached",
        STREAM,
        lambda s: s[4]["usage"].update(prompt_tokens_details={"cached_tokens": 99}),
        (5, "/usage/prompt_tokens_details/cached_tokens"),
    ),
    (
        "usage-reasoning",
        STREAM,
        lambda s: s[4]["usage"].update(completion_tokens_details={"reasoning_tokens": 99}),
        (5, "/usage/completion_tokens_details/reasoning_tokens"),
    ),
    ("usage-negative", BODY, lambda s: s[0]["usage"].update(total_tokens=-1), (None, "/usage/total_tokens")),
    ("finish", STREAM, lambda s: s.__delitem__(slice(2, 4)), (2, "/choices/0/finish_reason")),
    ("finish", BODY, lambda s: choice(s, 1).pop("finish_reason"), (None, "/choices/0/finish_reason")),
    ("logprobs", STREAM, lambda s: choice(s, 1).update(text="hel"), (1, "/choices/0/logprobs")),
    ("logprobs", BODY, lambda s: choice(s, 1).update(text="ab"), (None, "/choices/0/logprobs")),
]


@pytest.mark.parametrize("name", [STREAM, BODY])
def test_clean(find: Find, name: str) -> None:
    assert find(name) == []


@pytest.mark.parametrize(("rule", "name", "mutate", "where"), CASES)
def test_broken(find: Find, rule: str, name: str, mutate: Mutate, where: tuple[int | None, str]) -> None:
    found = find(name, mutate)
    assert {finding.rule for finding in found} == {f"completions.{rule}"}
    assert (found[0].event, found[0].pointer) == where


def test_every_rule_is_broken() -> None:
    assert {f"completions.{case[0]}" for case in CASES} == {rule.name for rule in completions.RULES}


def test_soft_rules() -> None:
    soft = {
        rule.name.removeprefix("completions.") for rule in completions.RULES if rule.kind is Kind.SOFT_RULE
    }
    usage = {"usage-asked", "usage-once", "usage-last", "usage-sum", "usage-cached", "usage-reasoning"}
    assert soft == usage | {"constant-id", "constant-created", "finish"}


@pytest.mark.parametrize(
    ("prompt", "n", "choices", "clean"),
    [
        ("a", None, 1, True),
        ("a", 2, 1, False),
        ("a", 2, 2, True),
        (["a", "b"], None, 2, True),
        (["a", "b"], 2, 3, False),
        (["a", "b"], 2, 4, True),
        ([1, 2], None, 1, True),
        ([[1], [2]], None, 2, True),
        ([], None, 1, True),
    ],
)
def test_choices_by_prompts(find: Find, prompt: Any, n: int | None, choices: int, clean: bool) -> None:
    def several(stream: list[Any]) -> None:
        stream[0]["choices"] = [choice(stream, 1) | {"index": index} for index in range(choices)]

    found = find(BODY, several, asked={"prompt": prompt, "n": n})
    assert [finding.rule for finding in found] == ([] if clean else ["completions.choice-indexes"])


def test_a_cut(find: Find, samples: dict[str, Any]) -> None:
    for kept in range(len(samples[STREAM].messages)):
        assert (
            find(STREAM, lambda s, kept=kept: s.__delitem__(slice(kept, None)), state=State.UPSTREAM_CUT)
            == []
        )


def test_tokens_of_a_prompt_that_is_echoed_and_bytes(find: Find) -> None:
    assert find(BODY, lambda s: choice(s, 1).update(text="?", logprobs={"tokens": ["bytes:\\xe2"]})) == []
