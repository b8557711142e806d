"""Placeholders: what differs from run to run and means nothing."""

import pytest

from harness.core.canonical import Json
from harness.core.matching.normal import Normaliser
from harness.core.matching.words import Kind

ONE, TWO = "0b5e3b0c-6c1d-4b8e-9a57-2f3d5f1f0a11", "7D444840-9DC0-11D1-B245-5FFDCE74FAD2"

TEXTS = [
    (Kind.UUIDS, f"run {ONE} of {TWO}", "run <uuid 1> of <uuid 2>"),
    (Kind.UUIDS, f"{ONE} {ONE.upper()}", "<uuid 1> <uuid 1>"),
    (Kind.UUIDS, f"a{ONE}", f"a{ONE}"),  # a longer hexadecimal number is no uuid
    (Kind.UUIDS, ONE[:-1], ONE[:-1]),
    (Kind.TIMESTAMPS, "at 2026-01-02T03:04:05Z.", "at <timestamp>."),
    (Kind.TIMESTAMPS, "2026-01-02 03:04:05.123456+01:00", "<timestamp>"),
    (Kind.TIMESTAMPS, "2026-01-02 03:04 UTC, then", "<timestamp>, then"),
    (Kind.TIMESTAMPS, "Wed, 18 Dec 2024 06:33:09 GMT", "<timestamp>"),
    (Kind.TIMESTAMPS, "2026-01-02", "2026-01-02"),
    (Kind.DATES, "Today is 2026-01-02.", "Today is <date>."),
    (Kind.DATES, "2026-13-02 and 12026-01-02", "2026-13-02 and 12026-01-02"),
    (Kind.DATES, "model-2024-08-06", "model-2024-08-06"),
]


@pytest.mark.parametrize(("kind", "text", "expected"), TEXTS)
def test_texts_get_placeholders(kind: Kind, text: str, expected: str) -> None:
    assert Normaliser([kind]).value(text) == expected
    assert Normaliser([]).value(text) == text


def chat(first: str, second: str, answered: str) -> Json:
    calls: Json = [{"id": one, "type": "function", "function": {"name": "f"}} for one in (first, second)]
    return {"messages": [{"tool_calls": calls}, {"role": "tool", "tool_call_id": answered, "content": first}]}


CALLS: list[tuple[Json, Json]] = [
    (
        {"input": [{"type": "function_call", "id": "fc_1", "call_id": "c"}, {"call_id": "c"}]},
        {"input": [{"type": "function_call", "id": "fc_2", "call_id": "d"}, {"call_id": "d"}]},
    ),
    (
        {
            "content": [
                {"type": "tool_use", "id": "toolu_1"},
                {"type": "tool_result", "tool_use_id": "toolu_1"},
            ]
        },
        {
            "content": [
                {"type": "tool_use", "id": "toolu_2"},
                {"type": "tool_result", "tool_use_id": "toolu_2"},
            ]
        },
    ),
]


@pytest.mark.parametrize(("one", "other"), CALLS)
def test_ids_of_tool_calls_are_alike_in_every_dialect(one: Json, other: Json) -> None:
    made = [Normaliser([Kind.TOOL_CALL_IDS]).value(value) for value in (one, other)]
    assert made[0] == made[1] != one


def test_an_answer_still_belongs_to_its_call() -> None:
    def made(*ids: str) -> Json:
        return Normaliser([Kind.TOOL_CALL_IDS]).value(chat(*ids))

    assert made("a", "b", "a") != made("a", "b", "b")
    ids = Normaliser([Kind.TOOL_CALL_IDS]).value(
        {"messages": [{"tool_call_id": "call_1"}, {"tool_call_id": "call_9"}]}
    )
    assert ids == {"messages": [{"tool_call_id": "<tool call 1>"}, {"tool_call_id": "<tool call 2>"}]}


def test_other_ids_stay() -> None:
    tools: list[Json] = [{"type": "object", "id": "y"}, {"type": ["string", "null"], "id": "z"}]
    value: Json = {"id": "x", "tools": tools, "numbers": [1, 2.5, None, True]}
    assert Normaliser(list(Kind)).value(value) == value


def test_the_order_of_members_does_not_matter() -> None:
    one = Normaliser([Kind.UUIDS]).value({"a": ONE, "b": TWO})
    assert one == Normaliser([Kind.UUIDS]).value({"b": TWO, "a": ONE})
