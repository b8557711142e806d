"""The schemas themselves: their form, and what they say of messages, vendor by vendor."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from harness.core.exchange import Exchange
from harness.core.json_text import parse
from harness.core.timeline import content_of
from harness.store.open import open_recording
from harness.validate.catalog import Catalog
from harness.validate.forms import choice, fault

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas"
NOT_SCHEMAS = ("index", "manifest")
NAMES = sorted(
    name
    for path in SCHEMAS.rglob("*.json")
    if (name := str(path.relative_to(SCHEMAS).with_suffix(""))) not in NOT_SCHEMAS
    and path.parent.name != "overlays"
)
OVERLAYS = ("openai", "azure", "vllm", "llama.cpp", "anthropic", "compatible")
SMALL = 12_000
"""Bytes: the general check takes 20 µs for each; `fault` checks the same and more, of files of all sizes."""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.mark.parametrize("name", NAMES)
def test_every_schema_keeps_to_the_forms_under_every_overlay(catalog: Catalog, name: str) -> None:
    assert [fault(catalog.schema(name, overlay)) for overlay in OVERLAYS] == [None] * len(OVERLAYS)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if (SCHEMAS / f"{name}.json").stat().st_size < SMALL]
)
def test_every_small_schema_is_one_of_draft_2020_12(catalog: Catalog, name: str) -> None:
    Draft202012Validator.check_schema(catalog.schema(name, "compatible"))


def test_every_schema_is_routed_to_and_every_route_has_its_schemas() -> None:
    index = json.loads((SCHEMAS / "index.json").read_text())
    routed = {
        row[part] for row in index["routes"] for part in ("request", "response", "event") if part in row
    }
    assert {*routed, "errors"} == {*NAMES}


def test_events_are_dispatched_by_the_member_that_their_route_names(catalog: Catalog) -> None:
    rows = json.loads((SCHEMAS / "index.json").read_text())["routes"]
    for row in (row for row in rows if "event" in row):
        schema = catalog.schema(row["event"], "openai")
        alternatives = choice(schema)
        assert (alternatives.member if alternatives else None) == row.get("dispatch"), row["name"]
        assert alternatives is None or alternatives.absent is None
        assert alternatives is None or set(schema["properties"]["type"]["enum"]) == {*alternatives.branches}


def rules() -> Iterator[tuple[str, int]]:
    """Every rule: its overlay, its number."""
    for path in sorted((SCHEMAS / "overlays").glob("*.json")):
        yield from ((path.stem, number) for number in range(len(json.loads(path.read_text())["rules"])))


@pytest.mark.parametrize(("overlay", "number"), list(rules()))
def test_every_rule_changes_each_of_its_schemas(
    catalog: Catalog, tmp_path: Path, overlay: str, number: int
) -> None:
    folder = shutil.copytree(SCHEMAS, tmp_path / "schemas")
    path = folder / "overlays" / f"{overlay}.json"
    document = json.loads(path.read_text())
    rule = document["rules"].pop(number)
    path.write_text(json.dumps(document))
    asked = "openai" if overlay == "common" else overlay
    for name in rule["schemas"]:
        assert Catalog.load(folder).schema(name, asked) != catalog.schema(name, asked), name


def chunk(*, drop: str = "", choice: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": {"content": "x"}, "finish_reason": None} | (choice or {})]
    made = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
    }
    return {name: value for name, value in (made | members).items() if name != drop}


USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
AZURE_FIRST = {
    "id": "",
    "object": "",
    "created": 0,
    "model": "",
    "choices": [],
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
}
DELTA = {
    "type": "response.output_text.delta",
    "sequence_number": 4,
    "item_id": "msg_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "x",
    "logprobs": [],
    "obfuscation": "abc",
}
COMPLETION = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "text": "x", "logprobs": None, "finish_reason": None}],
}
EMBEDDING = {
    "object": "list",
    "model": "m",
    "data": [{"object": "embedding", "index": 0, "embedding": "AAAA"}],
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}
TOOL_START = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "tool_use", "id": "toolu_1", "name": "f"},
}
OPENAI_ERROR = {"error": {"message": "m", "type": "t", "param": None, "code": None}}


def without(message: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != name}


ALL = frozenset(OVERLAYS)
NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("name", "message", "fine"),
    [
        ("openai/chat.event", chunk(), ALL),
        ("openai/chat.event", chunk(choices=[], usage=USAGE), ALL),
        ("openai/chat.event", chunk(usage=None, service_tier=None, obfuscation="x"), ALL),
        ("openai/chat.event", chunk(usage=USAGE | {"total_tokens": -3}), NONE),
        ("openai/chat.event", chunk(drop="created"), NONE),
        ("openai/chat.event", chunk(created="1"), NONE),
        ("openai/chat.event", chunk(created=True), NONE),
        ("openai/chat.event", chunk(choice={"index": -1}), NONE),
        ("openai/chat.event", chunk(choice={"delta": {"content": 5}}), NONE),
        ("openai/chat.event", chunk(choice={"delta": {"content": [{"type": "text"}]}}), {"compatible"}),
        ("openai/chat.event", chunk(choice={"finish_reason": "eos"}), NONE),
        ("openai/chat.event", chunk(choice={"finish_reason": "abort"}), {"vllm", "compatible"}),
        ("openai/chat.event", chunk(object="chat.completion"), NONE),
        ("openai/chat.event", AZURE_FIRST, {"azure", "compatible"}),
        ("openai/completions.event", COMPLETION, ALL),
        ("openai/completions.response", COMPLETION, NONE),
        ("openai/embeddings.response", EMBEDDING, ALL),
        ("openai/embeddings.response", EMBEDDING | {"usage": None}, NONE),
        ("openai/responses.event", DELTA, ALL),
        ("openai/responses.event", without(DELTA, "obfuscation"), ALL),
        ("openai/responses.event", without(DELTA, "logprobs"), ALL),
        ("openai/responses.event", without(DELTA, "sequence_number"), NONE),
        ("openai/responses.event", without(DELTA, "output_index"), NONE),
        ("openai/responses.event", without(DELTA, "type"), NONE),
        ("openai/responses.event", DELTA | {"type": "response.unheard_of"}, NONE),
        ("openai/responses.event", DELTA | {"sequence_number": "4"}, NONE),
        ("anthropic/messages.event", {"type": "ping"}, ALL),
        ("anthropic/messages.event", {"type": "message_stop"}, ALL),
        ("anthropic/messages.event", TOOL_START, {"llama.cpp", "compatible"}),
        (
            "anthropic/messages.event",
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            ALL,
        ),
        ("anthropic/messages.event", {"type": "error", "error": {"type": "overloaded_error"}}, NONE),
        ("local/tokenize.response", {"tokens": [1, 2]}, ALL - {"vllm"}),
        ("local/tokenize.response", {"tokens": [1], "count": 1, "max_model_len": 9}, ALL),
        (
            "local/tokenize.response",
            {"tokens": [{"id": 1, "piece": "a"}, {"id": 2, "piece": [195]}]},
            ALL - {"vllm"},
        ),
        ("local/tokenize.response", {"tokens": ["1"]}, NONE),
        ("local/detokenize.response", {"content": "x"}, ALL - {"vllm"}),
        ("local/detokenize.response", {"prompt": "x"}, ALL - {"llama.cpp"}),
        ("local/detokenize.response", {}, NONE),
        ("shared/models.response", {"object": "list", "data": []}, ALL),
        (
            "shared/models.response",
            {"data": [{"type": "model", "id": "m", "display_name": "M", "created_at": "2026"}]},
            ALL,
        ),
        ("shared/models.response", {"data": [{"type": "model", "id": "m"}]}, NONE),
        ("shared/models.response", {"object": "list", "data": [{"id": "m"}]}, NONE),
        ("errors", OPENAI_ERROR, ALL - {"anthropic"}),
        ("errors", {"error": {"message": "m", "code": "429"}}, ALL - {"openai", "anthropic"}),
        ("errors", {"error": {"message": "m", "type": "t", "code": 400}}, ALL - {"openai", "anthropic"}),
        (
            "errors",
            {"object": "error", "message": "m", "type": "t", "param": None, "code": 404},
            ALL - {"openai", "anthropic"},
        ),
        (
            "errors",
            {"type": "error", "error": {"type": "t", "message": "m"}, "request_id": "r"},
            ALL - {"openai"},
        ),
        ("errors", {"detail": "Not Found"}, ALL - {"openai", "anthropic"}),
        (
            "errors",
            {"detail": [{"loc": ["body", 0], "msg": "m", "type": "t"}]},
            ALL - {"openai", "anthropic"},
        ),
        ("errors", {"code": "c", "error": "text"}, ALL - {"anthropic"}),
        ("errors", {"statusCode": 401, "message": "m"}, ALL - {"openai", "anthropic"}),
        ("errors", {"error": {"type": "t"}}, NONE),
        ("errors", {}, NONE),
        (
            "ollama/chat.response",
            {"model": "m", "created_at": "t", "message": {"role": "assistant", "content": ""}, "done": False},
            ALL,
        ),
        (
            "ollama/generate.response",
            {"model": "m", "created_at": "t", "response": "x", "done": True, "eval_count": -1},
            NONE,
        ),
        ("ollama/embed.response", {"model": "m", "embeddings": [[0.5, 1]]}, ALL),
        ("ollama/tags.response", {"models": [{"name": "m"}]}, NONE),
    ],
)
def test_what_passes_for_which_vendor(
    catalog: Catalog, name: str, message: object, fine: frozenset[str]
) -> None:
    passed = {
        overlay
        for overlay in OVERLAYS
        if Draft202012Validator(catalog.schema(name, overlay)).is_valid(message)
    }
    assert passed == fine


@pytest.mark.parametrize(
    ("name", "request_body"),
    [
        (
            "openai/chat.request",
            {
                "model": "m",
                "messages": [
                    {"role": "system", "content": "s"},
                    {"role": "user", "content": [{"type": "text", "text": "t"}]},
                    {"role": "assistant", "content": None, "tool_calls": None},
                    {"role": "tool", "tool_call_id": "1", "content": "c"},
                ],
                "stream": None,
                "temperature": None,
                "max_tokens": None,
                "tools": None,
                "stop": None,
                "response_format": None,
            },
        ),
        ("openai/chat.request", {"model": "m", "messages": [], "stream": True, "tool_choice": "auto"}),
        ("openai/completions.request", {"model": "m", "prompt": [[1, 2]], "stream": True, "stop": None}),
        ("openai/embeddings.request", {"model": "m", "input": ["a"], "dimensions": None}),
        (
            "openai/responses.request",
            {"model": "m", "input": [{"role": "user", "content": "c"}], "stream": True},
        ),
        (
            "openai/responses.request",
            {"model": "m", "input": "i", "tools": None, "previous_response_id": None},
        ),
        (
            "anthropic/messages.request",
            {"model": "m", "max_tokens": 1, "messages": [], "stream": True, "system": None},
        ),
    ],
)
def test_requests_may_say_null_and_ask_for_a_stream(
    catalog: Catalog, name: str, request_body: object
) -> None:
    errors = Draft202012Validator(catalog.schema(name, "openai")).iter_errors(request_body)
    assert [error.json_path for error in errors] == []


def test_what_openai_alone_always_sends_is_marked(catalog: Catalog) -> None:
    choice = catalog.schema("openai/chat.event", "vllm")["$defs"]["Choice"]
    assert choice["x-openai-only"] == ["finish_reason"]
    assert "finish_reason" in choice["required"]


def messages(catalog: Catalog, exchange: Exchange) -> Iterator[tuple[str, Any]]:
    """The name of its schema, and each message of an exchange."""
    route = catalog.route_for(exchange)
    assert route is not None
    assert exchange.response is not None
    if route.request and exchange.request.body and exchange.response.status < 400:
        yield route.request, parse(exchange.request.body)
    content = content_of(exchange.response)
    if content.framing:
        yield from ((route.event or "", parse(e.data)) for e in content.events if e.data != b"[DONE]")
    else:
        yield route.response or route.error, parse(content.body)


def test_the_recording_of_the_model_server_is_clean_but_for_its_responses(catalog: Catalog) -> None:
    found: Counter[tuple[str, str]] = Counter()
    checked: Counter[str] = Counter()
    with open_recording(ROOT / "recordings" / "tiny-llama.db") as recording:
        for exchange in recording.exchanges():
            overlay = catalog.overlay_for(exchange)
            assert overlay == "llama.cpp"
            for name, message in messages(catalog, exchange):
                checked[name] += 1
                for error in Draft202012Validator(catalog.schema(name, overlay)).iter_errors(message):
                    found[name, error.message] += 1
    assert checked.total() > 300
    assert {name for name, _ in found} == {"openai/responses.event", "openai/responses.response"}
    events = "openai/responses.event"
    assert found[events, "'sequence_number' is a required property"] == checked[events]
    about_items = checked[events] - 6  # but for created, in_progress and completed, of two streams
    assert found[events, "'output_index' is a required property"] == about_items
    assert {said.split("'")[2] for _, said in found} == {" is a required property"}
