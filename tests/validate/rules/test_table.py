import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.derive import derive, messages_of
from harness.core.dialects import DIALECTS
from harness.core.exchange import Exchange, Request, Response, State
from harness.validate.finding import Finding, Kind
from harness.validate.rules import RULES, Stream, check
from harness.validate.rules.table import MOST, faults_of, rules_for

type Find = Callable[..., list[Finding]]
type MakeExchange = Callable[..., Exchange]

NAMES = [row.name for row in DIALECTS]
PATHS = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/api/chat",
    "/api/generate",
]
SECRET = "what the model said"


def test_rows() -> None:
    names = [rule.name for rule in RULES]
    assert [name for name, times in Counter(names).items() if times > 1] == []
    for rule in RULES:
        assert set(rule.dialects) <= set(NAMES)
        assert rule.kind in (Kind.RULE, Kind.SOFT_RULE)
        assert rule.says == rule.says.strip().rstrip(".")
        assert "\n" not in rule.says


@pytest.mark.parametrize("name", NAMES)
def test_rules_of_a_dialect(name: str) -> None:
    families = {rule.name.partition(".")[0] for rule in rules_for(name, streamed=True)}
    assert families & set(name.split("."))
    assert families <= {"transport", *name.split(".")}


def test_an_unknown_dialect_has_rules_of_transport_alone() -> None:
    assert {rule.name for rule in rules_for("bytes", streamed=True)} == {"transport.content-type"}
    assert rules_for("bytes", streamed=False) == ()


def test_only_the_first_findings_of_a_rule_are_told(find: Find) -> None:
    found = find("chat", lambda s: [event["choices"][0]["delta"].update(role="a") for event in s[:6]])
    assert [finding.event for finding in found] == [2, 3, 4]
    assert len(found) == MOST


def test_the_messages_alone_are_enough(make_answer: MakeExchange, samples: dict[str, Any]) -> None:
    for name in samples:
        exchange = make_answer(name, lambda s: s.pop())
        assert list(check(exchange, messages_of(exchange))) == list(check(exchange, derive(exchange)))


def test_no_response(make_answer: MakeExchange) -> None:
    exchange = replace(make_answer("chat"), response=None, state=State.CONNECT_FAILED)
    assert list(check(exchange, derive(exchange))) == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"text", b"[1]", b'{"error": {"type": "x"}}', b'{"detail": "x"}']
)
@pytest.mark.parametrize("path", PATHS)
def test_bodies_without_an_answer(path: str, body: bytes) -> None:
    """What is no JSON is for the schema to say; errors have rules of their own there."""
    chunks = ((1, body),) if body else ()
    status = 400 if body.startswith(b'{"') else 200
    response = Response(status, (("content-type", "application/json"),), 0, chunks, 1)
    exchange = Exchange(Request("POST", f"https://api.test{path}"), response)
    assert list(check(exchange, derive(exchange))) == []


def test_an_empty_stream_is_blamed() -> None:
    response = Response(200, (("content-type", "text/event-stream"),), 0, (), 1)
    for path, rule in [("/v1/chat/completions", "chat.one-done"), ("/v1/messages", "anthropic.closing")]:
        exchange = Exchange(Request("POST", f"https://api.test{path}"), response)
        assert rule in {finding.rule for finding in check(exchange, derive(exchange))}
        cut = replace(exchange, state=State.UPSTREAM_CUT)
        assert list(check(cut, derive(cut))) == []


WORDS = """
    id model created type index delta message choices role content text finish_reason tool_calls function
    name arguments function_call custom usage prompt_tokens completion_tokens total_tokens cached_tokens
    prompt_tokens_details logprobs tokens bytes token sequence_number response output output_index item
    item_id part content_index summary summary_index status error content_block partial_json stop_reason
    done done_reason created_at eval_count data system_fingerprint x_groq moderation reasoning input_tokens
""".split()  # noqa: SIM905  a list literal of them is a page long
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.sampled_from(
        ["", "a", SECRET, "stop", "tool_calls", "message", "\ud800", "2026-01-01T00:00:00Z", "[DONE]"]
    ),
)
ANY_JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=12,
)
TYPES = st.sampled_from(
    [
        "message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta",
        "content_block_stop", "ping", "error", "response.created", "response.completed", "response.failed",
        "response.output_item.added", "response.output_item.done", "response.content_part.added",
        "response.content_part.done", "response.output_text.delta", "response.output_text.done",
        "response.function_call_arguments.delta", "response.function_call_arguments.done",
    ]
)  # fmt: skip
EVENTS = st.lists(
    st.one_of(
        ANY_JSON,
        st.dictionaries(st.sampled_from(WORDS), ANY_JSON, max_size=8),
        st.builds(
            lambda kind, rest: rest | {"type": kind},
            TYPES,
            st.dictionaries(st.sampled_from(WORDS), ANY_JSON, max_size=8),
        ),
    ),
    max_size=8,
)


def told(exchange: Exchange) -> str:
    """All that the findings of an exchange say."""
    return " ".join(f"{finding.message} {finding.pointer}" for finding in check(exchange, derive(exchange)))


@given(st.sampled_from(PATHS), EVENTS, ANY_JSON, st.sampled_from(State), st.booleans())
def test_no_json_is_too_much(path: str, events: list[Any], asked: Any, state: State, lines: bool) -> None:
    """Nor does anything that was said come out."""
    form = "{}\n" if lines else "data: {}\n\n"
    chunks = tuple(enumerate([form.format(json.dumps(event)).encode() for event in events], 1))
    media = "application/x-ndjson" if lines else "text/event-stream"
    request = Request("POST", f"https://api.test{path}", (), json.dumps(asked).encode())
    response = Response(200, (("content-type", media),), 0, chunks, len(chunks))
    assert SECRET not in told(Exchange(request, response, state))
    bodies = tuple((number, json.dumps(event).encode()) for number, event in enumerate(events[:1]))
    plain = Response(200, (("content-type", "application/json"),), 0, bodies, 1)
    assert SECRET not in told(Exchange(request, plain, state))


def nodes(value: Any) -> list[tuple[Any, Any]]:
    """All places (holder, key) in a value."""
    pairs = list(
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [*((value, key) for key, _ in pairs), *(node for _, inner in pairs for node in nodes(inner))]


def replace_value(stream: list[Any], number: int, value: Any) -> None:
    places = nodes(stream)
    if places:
        holder, key = places[number % len(places)]
        holder[key] = value


def drop_value(stream: list[Any], number: int, _: Any) -> None:
    places = nodes(stream)
    if places:
        holder, key = places[number % len(places)]
        holder.pop(key)


def drop_event(stream: list[Any], number: int, _: Any) -> None:
    if stream:
        stream.pop(number % len(stream))


def double_event(stream: list[Any], number: int, _: Any) -> None:
    if stream:
        place = number % len(stream)
        stream.insert(place, stream[place])


def move_event(stream: list[Any], number: int, _: Any) -> None:
    if stream:
        stream.insert(number % 7, stream.pop(number % len(stream)))


def cut_off(stream: list[Any], number: int, _: Any) -> None:
    del stream[number % (len(stream) + 1) :]


DAMAGES = [replace_value, drop_value, drop_event, double_event, move_event, cut_off]
STEPS = st.lists(st.tuples(st.sampled_from(DAMAGES), st.integers(0, 999), VALUES), min_size=1, max_size=4)


@given(st.data(), STEPS, st.sampled_from(State))
def test_no_damage_is_too_much(
    make_answer: MakeExchange, samples: dict[str, Any], data: st.DataObject, steps: list[Any], state: State
) -> None:
    def damage(stream: list[Any]) -> None:
        for step, number, value in steps:
            step(stream, number, value)

    name = data.draw(st.sampled_from(sorted(samples)))
    assert SECRET not in told(make_answer(name, damage, state=state))


def test_json_too_deep_to_be_compared(make_answer: MakeExchange) -> None:
    """Python may run out of stack where two values are compared that could just be parsed."""

    def compare(stream: Stream) -> Any:
        raise RecursionError

    exchange = make_answer("chat")
    rule = replace(RULES[0], find=compare)
    assert faults_of(rule, Stream(exchange, derive(exchange))) == []


@pytest.mark.parametrize("depth", [100, 900, 5000])
@pytest.mark.parametrize("path", PATHS)
def test_deep_json(path: str, depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    kinds = [
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
    ]
    members = ("id", "model", "item", "usage", "choices", "delta", "output")
    inner = ",".join(f'"{member}":{deep}' for member in members)
    events = [
        f'{{"type":"{kind}",{inner},"response":{{"status":"completed","output":[{deep}]}}}}' for kind in kinds
    ]
    chunks = tuple(enumerate([f"data: {event}\n\n".encode() for event in events], 1))
    response = Response(200, (("content-type", "text/event-stream"),), 0, chunks, 4)
    told(Exchange(Request("POST", f"https://api.test{path}"), response))
