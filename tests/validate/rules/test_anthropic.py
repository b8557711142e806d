from collections.abc import Callable
from typing import Any

import pytest

from harness.core.exchange import State
from harness.validate.finding import Finding, Kind, Part
from harness.validate.rules import anthropic

type Find = Callable[..., list[Finding]]
type Mutate = Callable[[list[Any]], Any]

STREAM, BODY = "anthropic", "anthropic body"
END = 15
ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}


def swap(stream: list[Any], one: int, other: int) -> None:
    stream[one - 1], stream[other - 1] = stream[other - 1], stream[one - 1]


def indexed(stream: list[Any], first: int, last: int, index: int) -> None:
    """Give the events from one number to another an index."""
    for event in stream[first - 1 : last]:
        event["index"] = index


CASES: list[tuple[str, str, Mutate, tuple[int | None, str]]] = [
    ("event-name", STREAM, lambda s: s.__setitem__(7, ("message", s[7])), (8, "/type")),
    ("event-name", STREAM, lambda s: s.__setitem__(1, ("pong", s[1])), (2, "/type")),
    ("opening", STREAM, lambda s: s.pop(0), (2, "/type")),
    ("opening", STREAM, lambda s: s.insert(2, s[0]), (3, "/type")),
    ("closing", STREAM, lambda s: s.pop(), (None, "")),
    ("closing", STREAM, lambda s: s.append(s[-1]), (16, "")),
    ("closing", STREAM, lambda s: s.append({"type": "another"}), (16, "")),
    ("no-done", STREAM, lambda s: s.append("[DONE]"), (16, "")),
    ("block-indexes", STREAM, lambda s: indexed(s, 7, 9, 5), (7, "/index")),
    ("block-indexes", STREAM, lambda s: indexed(s, 7, 9, 0), (7, "/index")),
    ("block-order", STREAM, lambda s: s.pop(5), (6, "/index")),
    ("block-order", STREAM, lambda s: s.pop(12), (13, "/type")),
    ("block-order", STREAM, lambda s: swap(s, 8, 9), (9, "/index")),
    ("block-order", STREAM, lambda s: s.insert(9, s[8]), (10, "/index")),
    ("block-order", STREAM, lambda s: s[7].update(index=2), (8, "/index")),
    ("delta-type", STREAM, lambda s: s[7]["delta"].update(type="thinking_delta"), (8, "/delta/type")),
    ("delta-type", STREAM, lambda s: s[3]["delta"].update(type="text_delta"), (4, "/delta/type")),
    ("tool-input", STREAM, lambda s: s.insert(11, s[11]), (13, "/delta/partial_json")),
    ("message-delta", STREAM, lambda s: s.pop(13), (None, "")),
    ("message-delta", STREAM, lambda s: s.insert(13, s[13]), (15, "")),
    ("message-delta", STREAM, lambda s: s[13]["delta"].pop("stop_reason"), (14, "/delta/stop_reason")),
    ("message-delta", STREAM, lambda s: s.insert(9, s.pop(13)), (11, "/type")),
    ("tool-stop", STREAM, lambda s: s.__delitem__(slice(9, 13)), (10, "/delta/stop_reason")),
    ("tool-stop", BODY, lambda s: s[0]["content"].__delitem__(slice(1, None)), (None, "/stop_reason")),
    ("call-ids", BODY, lambda s: s[0]["content"][2].update(id="toolu_1"), (None, "/content/2/id")),
    (
        "usage-negative",
        STREAM,
        lambda s: s[0]["message"]["usage"].update(input_tokens=-1),
        (1, "/message/usage/input_tokens"),
    ),
    (
        "usage-negative",
        STREAM,
        lambda s: s[13]["usage"].update(output_tokens=-1),
        (14, "/usage/output_tokens"),
    ),
    (
        "usage-negative",
        BODY,
        lambda s: s[0]["usage"]["cache_creation"].update(ephemeral_5m_input_tokens=-1),
        (None, "/usage/cache_creation/ephemeral_5m_input_tokens"),
    ),
]


@pytest.mark.parametrize("name", [STREAM, BODY])
def test_clean(find: Find, name: str) -> None:
    assert find(name) == []


@pytest.mark.parametrize(("rule", "name", "mutate", "where"), CASES)
def test_broken(find: Find, rule: str, name: str, mutate: Mutate, where: tuple[int | None, str]) -> None:
    found = find(name, mutate)
    assert {finding.rule for finding in found} == {f"anthropic.{rule}"}
    assert (found[0].event, found[0].pointer) == where
    assert found[0].part is (Part.RESPONSE if name == BODY else Part.STREAM)


def test_every_rule_is_broken() -> None:
    assert {f"anthropic.{case[0]}" for case in CASES} == {rule.name for rule in anthropic.RULES}


def test_soft_rules() -> None:
    assert [rule.name for rule in anthropic.RULES if rule.kind is Kind.SOFT_RULE] == ["anthropic.no-done"]


@pytest.mark.parametrize("place", range(END + 1))
def test_a_ping_anywhere(find: Find, place: int) -> None:
    assert find(STREAM, lambda s: s.insert(place, {"type": "ping"})) == []


@pytest.mark.parametrize("state", [State.UPSTREAM_CUT, State.CLIENT_ABORT, State.INTERRUPTED])
def test_a_cut_is_nobodys_fault(find: Find, state: State) -> None:
    for kept in range(END):
        assert find(STREAM, lambda s, kept=kept: s.__delitem__(slice(kept, None)), state=state) == []


@pytest.mark.parametrize("kept", range(END))
def test_an_error_is_an_end(find: Find, kept: int) -> None:
    assert find(STREAM, lambda s: s.__setitem__(slice(kept, None), [ERROR])) == []


def test_an_unterminated_stream_is_blamed(find: Find) -> None:
    found = find(STREAM, lambda s: s.__delitem__(slice(8, None)), state=State.UNTERMINATED)
    assert [finding.rule for finding in found] == ["anthropic.closing", "anthropic.message-delta"]


FINE: list[tuple[str, Mutate]] = [
    (
        "input cut by length",
        lambda s: [s[11]["delta"].update(partial_json="{"), s[13]["delta"].update(stop_reason="max_tokens")],
    ),
    ("empty input", lambda s: s[11]["delta"].update(partial_json="")),
    ("a block of an unknown type", lambda s: s[6]["content_block"].update(type="new")),
    ("a delta of an unknown type", lambda s: s[7]["delta"].update(type="new_delta")),
    ("citations", lambda s: s[7]["delta"].update(type="citations_delta")),
    ("a server's tool", lambda s: s[9]["content_block"].update(type="server_tool_use")),
]


@pytest.mark.parametrize("mutate", [case[1] for case in FINE], ids=[case[0] for case in FINE])
def test_what_is_fine(find: Find, mutate: Mutate) -> None:
    assert find(STREAM, mutate) == []
