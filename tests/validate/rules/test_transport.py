from collections.abc import Callable
from typing import Any

import pytest

from harness.core.exchange import State
from harness.validate.finding import Finding, Kind, Part
from harness.validate.rules import transport

type Find = Callable[..., list[Finding]]
type Mutate = Callable[[list[Any]], Any]

STREAMS = ["chat", "completions", "responses", "anthropic", "ollama chat"]
BODIES = ["chat body", "embeddings body", "responses body", "anthropic body", "ollama body"]


@pytest.mark.parametrize("name", [*STREAMS, "ollama generate", *BODIES, "unknown"])
def test_clean(find: Find, name: str) -> None:
    assert find(name) == []


@pytest.mark.parametrize("data", ['{"a":', "text", "[DONE", '{"a": 1} x', "NaN,"])
@pytest.mark.parametrize("name", STREAMS)
def test_data_that_is_no_json(find: Find, name: str, data: str) -> None:
    found = find(name, lambda s: s.insert(2, data))
    assert [(finding.rule, finding.event, finding.part) for finding in found] == [
        ("transport.json-data", 3, Part.TRANSPORT)
    ]


@pytest.mark.parametrize("data", ["null", "1", "[]", '"text"'])
def test_json_that_is_no_object(find: Find, data: str) -> None:
    """That is for the schema to say."""
    assert find("chat", lambda s: s.insert(2, data)) == []


def test_an_event_that_was_cut(find: Find) -> None:
    def cut(stream: list[Any]) -> None:
        stream[3:] = ['{"choices": [{"ind']

    assert find("chat", cut, state=State.CLIENT_ABORT) == []
    assert "transport.json-data" in {finding.rule for finding in find("chat", cut, state=State.UNTERMINATED)}


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("chat", "application/json"),
        ("responses", "text/plain"),
        ("anthropic", "application/x-ndjson"),
        ("ollama chat", "text/event-stream"),
        ("ollama generate", "application/json"),
        ("unknown", "text/plain"),
    ],
)
def test_the_type_of_a_stream(find: Find, name: str, media: str) -> None:
    found = find(name, media=media)
    assert [(finding.rule, finding.event, finding.pointer) for finding in found] == [
        ("transport.content-type", None, "")
    ]


@pytest.mark.parametrize("media", ["text/event-stream; charset=utf-8", "Text/Event-Stream"])
def test_other_ways_to_write_it(find: Find, media: str) -> None:
    assert find("chat", media=media) == []


@pytest.mark.parametrize("media", ["text/html", "text/event-stream"])
def test_the_type_of_a_body(find: Find, media: str) -> None:
    assert [finding.rule for finding in find("chat body", media=media)] == ["transport.body-type"]


@pytest.mark.parametrize("media", ["application/json; charset=utf-8", "application/problem+json"])
def test_types_of_json(find: Find, media: str) -> None:
    assert find("chat body", media=media) == []


def test_no_rule_is_soft() -> None:
    assert {rule.kind for rule in transport.RULES} == {Kind.RULE}
