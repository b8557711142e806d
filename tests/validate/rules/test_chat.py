from collections.abc import Callable
from typing import Any

import pytest

from harness.core.exchange import State
from harness.validate.finding import Finding, Kind, Part
from harness.validate.rules import chat

type Find = Callable[..., list[Finding]]
type Mutate = Callable[[list[Any]], Any]

DONE = "[DONE]"
TEXT, CALLS, LEGACY = "chat", "chat calls", "chat function_call"
TWO, LOGGED, AZURE = "chat two choices", "chat logprobs", "chat azure"
BODY, CALLS_BODY = "chat body", "chat calls body"


def choice(stream: list[Any], number: int, position: int = 0) -> Any:
    """The choice in an event, by its number from 1; of a plain answer in the first."""
    return stream[max(number, 1) - 1]["choices"][position]


def delta(stream: list[Any], number: int) -> Any:
    return choice(stream, number)["delta"]


def message(stream: list[Any]) -> Any:
    return choice(stream, 0)["message"]


def call(stream: list[Any], number: int) -> Any:
    return delta(stream, number)["tool_calls"][0]


def swap(stream: list[Any], one: int, other: int) -> None:
    stream[one - 1], stream[other - 1] = stream[other - 1], stream[one - 1]


def cut(stream: list[Any], kept: int, *others: Any) -> list[Any]:
    """Keep the first events, and put others after them."""
    stream[kept:] = others
    return stream


CASES: list[tuple[str, str, Mutate, tuple[int | None, str]]] = [
    ("one-done", TEXT, lambda s: s.pop(), (None, "")),
    ("one-done", TEXT, lambda s: s.append(DONE), (9, "")),
    (
        "one-done",
        CALLS,
        lambda s: s.append(s[-2] | {"choices": [], "usage": None, "moderation": {"a": 1}}),
        (9, ""),
    ),
    ("constant-id", TEXT, lambda s: s[5].update(id="chatcmpl-2"), (6, "/id")),
    ("constant-model", AZURE, lambda s: s[-2].update(model="m-2"), (8, "/model")),
    ("constant-created", TEXT, lambda s: s[2].update(created=1), (3, "/created")),
    (
        "constant-fingerprint",
        TEXT,
        lambda s: s[3].update(system_fingerprint="fp_2"),
        (4, "/system_fingerprint"),
    ),
    (
        "choice-indexes",
        TWO,
        lambda s: [choice(s, n).update(index=2) for n in (2, 4)],
        (2, "/choices/0/index"),
    ),
    ("choice-indexes", TWO, lambda s: [s.pop(1), s.pop(2)], (None, "/choices")),
    (
        "choice-indexes",
        TEXT,
        lambda s: [c.update(index=1) for e in s[:6] for c in e["choices"]],
        (1, "/choices/0/index"),
    ),
    ("choice-indexes", BODY, lambda s: choice(s, 0).update(index=1), (None, "/choices/0/index")),
    ("nothing-after-finish", TEXT, lambda s: swap(s, 5, 6), (6, "/choices/0/delta/content")),
    ("nothing-after-finish", CALLS, lambda s: swap(s, 6, 7), (7, "/choices/0/delta/tool_calls")),
    ("empty-choices", TEXT, lambda s: s[2].update(choices=[]), (3, "/choices")),
    ("usage-asked", TEXT, lambda s: s.pop(-2), (None, "/usage")),
    ("usage-once", TEXT, lambda s: s[5].update(usage=s[6]["usage"]), (7, "/usage")),
    ("usage-last", TEXT, lambda s: swap(s, 6, 7), (7, "")),
    ("usage-sum", TEXT, lambda s: s[6]["usage"].update(total_tokens=17), (7, "/usage/total_tokens")),
    ("usage-sum", BODY, lambda s: s[0]["usage"].update(prompt_tokens=8), (None, "/usage/total_tokens")),
    (
        "usage-cached",
        TEXT,
        lambda s: s[6]["usage"]["prompt_tokens_details"].update(cached_tokens=10),
        (7, "/usage/prompt_tokens_details/cached_tokens"),
    ),
    (
        "usage-reasoning",
        BODY,
        lambda s: s[0]["usage"]["completion_tokens_details"].update(reasoning_tokens=8),
        (None, "/usage/completion_tokens_details/reasoning_tokens"),
    ),
    ("usage-negative", TEXT, lambda s: s[6]["usage"].update(prompt_tokens=-9), (7, "/usage/prompt_tokens")),
    (
        "usage-negative",
        BODY,
        lambda s: s[0]["usage"]["prompt_tokens_details"].update({"a/b": -1}),
        (None, "/usage/prompt_tokens_details/a~1b"),
    ),
    ("role-first", TEXT, lambda s: delta(s, 3).update(role="assistant"), (3, "/choices/0/delta/role")),
    ("role-first", TEXT, lambda s: s.pop(0), (1, "/choices/0/delta/role")),
    ("one-finish", TEXT, lambda s: s.pop(5), (5, "/choices/0/finish_reason")),
    ("one-finish", TEXT, lambda s: s.insert(5, s[5]), (7, "/choices/0/finish_reason")),
    (
        "one-finish",
        BODY,
        lambda s: choice(s, 0).update(finish_reason=None),
        (None, "/choices/0/finish_reason"),
    ),
    (
        "call-indexes",
        CALLS,
        lambda s: [call(s, n).update(index=2) for n in (5, 6)],
        (5, "/choices/0/delta/tool_calls/0/index"),
    ),
    ("call-head", CALLS, lambda s: call(s, 2).pop("id"), (2, "/choices/0/delta/tool_calls/0/id")),
    (
        "call-head",
        CALLS,
        lambda s: call(s, 2)["function"].update(name=""),
        (2, "/choices/0/delta/tool_calls/0/function/name"),
    ),
    ("call-head", CALLS, lambda s: call(s, 4).update(id="call_9"), (4, "/choices/0/delta/tool_calls/0/id")),
    (
        "call-head",
        LEGACY,
        lambda s: delta(s, 2)["function_call"].update(name="then"),
        (2, "/choices/0/delta/function_call/name"),
    ),
    (
        "call-head",
        CALLS_BODY,
        lambda s: message(s)["tool_calls"][1]["custom"].pop("name"),
        (None, "/choices/0/message/tool_calls/1/custom/name"),
    ),
    ("call-arguments", CALLS, lambda s: s.pop(3), (3, "/choices/0/delta/tool_calls/0/function/arguments")),
    (
        "call-arguments",
        CALLS,
        lambda s: s.insert(3, s[3]),
        (5, "/choices/0/delta/tool_calls/0/function/arguments"),
    ),
    (
        "call-arguments",
        CALLS,
        lambda s: swap(s, 3, 4),
        (4, "/choices/0/delta/tool_calls/0/function/arguments"),
    ),
    ("call-arguments", LEGACY, lambda s: s.pop(2), (2, "/choices/0/delta/function_call/arguments")),
    (
        "call-arguments",
        CALLS_BODY,
        lambda s: message(s)["tool_calls"][0]["function"].update(arguments="{"),
        (None, "/choices/0/message/tool_calls/0/function/arguments"),
    ),
    ("call-ids", CALLS, lambda s: call(s, 5).update(id="call_0"), (5, "/choices/0/delta/tool_calls/0/id")),
    (
        "call-ids",
        CALLS_BODY,
        lambda s: message(s)["tool_calls"][1].update(id="call_0"),
        (None, "/choices/0/message/tool_calls/1/id"),
    ),
    (
        "calls-finish",
        TEXT,
        lambda s: choice(s, 6).update(finish_reason="tool_calls"),
        (6, "/choices/0/finish_reason"),
    ),
    ("calls-finish", CALLS_BODY, lambda s: message(s).pop("tool_calls"), (None, "/choices/0/finish_reason")),
    ("logprobs", LOGGED, lambda s: delta(s, 3).update(content="L"), (3, "/choices/0/logprobs")),
    ("logprobs", LOGGED, lambda s: choice(s, 2)["logprobs"]["content"].pop(), (2, "/choices/0/logprobs")),
    ("logprobs", BODY, lambda s: message(s).update(content="Hi!"), (None, "/choices/0/logprobs")),
    (
        "logprobs",
        BODY,
        lambda s: choice(s, 0)["logprobs"]["content"][0].update(bytes=[300]),
        (None, "/choices/0/logprobs"),
    ),
]


@pytest.mark.parametrize("name", [TEXT, CALLS, LEGACY, TWO, LOGGED, AZURE, BODY, CALLS_BODY])
def test_clean(find: Find, name: str) -> None:
    assert find(name) == []


@pytest.mark.parametrize(("rule", "name", "mutate", "where"), CASES)
def test_broken(find: Find, rule: str, name: str, mutate: Mutate, where: tuple[int | None, str]) -> None:
    found = find(name, mutate)
    assert {finding.rule for finding in found} == {f"chat.{rule}"}
    assert (found[0].event, found[0].pointer) == where
    assert found[0].part is (Part.RESPONSE if "body" in name else Part.STREAM)


def test_every_rule_is_broken() -> None:
    assert {f"chat.{case[0]}" for case in CASES} == {rule.name for rule in chat.RULES}


def test_soft_rules() -> None:
    soft = {rule.name.removeprefix("chat.") for rule in chat.RULES if rule.kind is Kind.SOFT_RULE}
    usage = {"usage-asked", "usage-once", "usage-last", "usage-sum", "usage-cached", "usage-reasoning"}
    assert soft == usage | {"constant-id", "constant-created", "role-first", "one-finish"}


@pytest.mark.parametrize("state", [State.UPSTREAM_CUT, State.CLIENT_ABORT, State.INTERRUPTED])
@pytest.mark.parametrize("name", [TEXT, CALLS, LEGACY, TWO, LOGGED, AZURE])
def test_a_cut_is_nobodys_fault(find: Find, samples: dict[str, Any], name: str, state: State) -> None:
    for kept in range(len(samples[name].messages)):
        assert find(name, lambda s, kept=kept: cut(s, kept), state=state) == []


def test_what_came_before_a_cut_is_told(find: Find) -> None:
    found = find(
        TEXT,
        lambda s: [delta(s, 3).update(role="a"), cut(s, 4)],
        state=State.UPSTREAM_CUT,
    )
    assert [(finding.rule, finding.event) for finding in found] == [("chat.role-first", 3)]


def test_an_unterminated_stream_is_blamed(find: Find) -> None:
    found = find(TEXT, lambda s: cut(s, 4), state=State.UNTERMINATED)
    assert {finding.rule for finding in found} == {"chat.one-done", "chat.one-finish", "chat.usage-asked"}


@pytest.mark.parametrize("after", [[], [DONE]])
@pytest.mark.parametrize("name", [TEXT, CALLS, TWO])
def test_an_error_is_an_end(find: Find, name: str, after: list[str]) -> None:
    error = {"error": {"message": "m", "type": "server_error", "code": None}}
    assert find(name, lambda s: cut(s, 3, error, *after)) == []


FINE: list[tuple[str, str, Mutate, Any]] = [
    ("content with the finish", TEXT, lambda s: [choice(s, 5).update(finish_reason="stop"), s.pop(5)], None),
    (
        "usage on every event, if asked",
        TEXT,
        lambda s: [e.update(usage=s[6]["usage"]) for e in s[:6]],
        {"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
    ),
    ("usage in x_groq", TEXT, lambda s: [s[5].update(x_groq={"usage": s.pop(6)["usage"]})], None),
    (
        "moderation after usage",
        TEXT,
        lambda s: s.insert(7, s[0] | {"choices": [], "moderation": {"input": {}}}),
        None,
    ),
    ("no fingerprint", TEXT, lambda s: [e.update(system_fingerprint=None) for e in s[3:5]], None),
    ("an unreadable request", TWO, len, "text"),
    (
        "arguments cut by length",
        CALLS,
        lambda s: [s.pop(5), choice(s, 6).update(finish_reason="length")],
        None,
    ),
    (
        "id and name with every delta",
        CALLS,
        lambda s: [call(s, 3).update(id="call_0"), call(s, 3)["function"].update(name="now")],
        None,
    ),
    (
        "calls without an index",
        CALLS,
        lambda s: [
            s.__setitem__(slice(2, 6), []),
            call(s, 2).pop("index"),
            call(s, 2)["function"].update(arguments="{}"),
        ],
        None,
    ),
    (
        "calls in the event of the finish",
        CALLS,
        lambda s: [choice(s, 6).update(finish_reason="tool_calls"), s.pop(6)],
        None,
    ),
    (
        "an empty function_call",
        BODY,
        lambda s: message(s).update(function_call={"name": "", "arguments": ""}),
        None,
    ),
    ("a stop sequence in the tokens", BODY, lambda s: message(s).update(content="H"), {"stop": "i"}),
    ("tokens of reasoning", BODY, lambda s: message(s).update(reasoning="why"), None),
    (
        "tokens of half a character",
        BODY,
        lambda s: choice(s, 0)["logprobs"]["content"][0].update(token="?", bytes=[0xEF, 0xBF, 0xBD]),
        None,
    ),
    (
        "tokens without bytes",
        BODY,
        lambda s: [t.update(bytes=None) for t in choice(s, 0)["logprobs"]["content"]],
        None,
    ),
    ("a secret masked in the text", BODY, lambda s: message(s).update(content="[redacted]"), None),
    ("no usage", BODY, lambda s: s[0].pop("usage"), None),
    (
        "choices without an index",
        TWO,
        lambda s: s.__setitem__(
            slice(0, 4), [s[0] | {"choices": [{"delta": {"role": "assistant"}, "finish_reason": "stop"}] * 2}]
        ),
        None,
    ),
]


@pytest.mark.parametrize(
    ("name", "mutate", "asked"), [case[1:] for case in FINE], ids=[case[0] for case in FINE]
)
def test_what_vendors_may_do(find: Find, name: str, mutate: Mutate, asked: Any) -> None:
    assert find(name, mutate, asked=asked) == []
