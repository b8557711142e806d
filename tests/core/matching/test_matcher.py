"""Which requests are the same one: a table of the variations of real traffic, match or miss as declared."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from harness.core.exchange import Headers, Request
from harness.core.matching.matcher import Matching, fields_of
from harness.core.matching.presets import HABITS
from harness.core.matching.rules import MatchRules
from harness.core.matching.words import Kind, Preset

JSON: Headers = (("content-type", "application/json"),)
HI = {"role": "user", "content": "hi"}
CHAT = {
    "model": "m",
    "temperature": 0,
    "messages": [HI],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"default": None}}}],
}
STRICT = MatchRules(preset=Preset.STRICT)
UUIDS = "0b5e3b0c-6c1d-4b8e-9a57-2f3d5f1f0a11", "7d444840-9dc0-11d1-b245-5ffdce74fad2"


def chat(body: Any = CHAT, headers: Headers = JSON, path: str = "/v1/chat/completions") -> Request:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request("POST", "http://api.test" + path, headers, data)


def headed(*headers: tuple[str, str]) -> Request:
    return chat(headers=(*JSON, *headers))


def multipart(boundary: str, model: str = "whisper-1") -> Request:
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n--{boundary}--\r\n'
    )
    kind = (("content-type", f"multipart/form-data; boundary={boundary}"),)
    return chat(body.encode(), kind, "/v1/audio/transcriptions")


def said(content: str) -> Request:
    return chat(CHAT | {"messages": [{"role": "user", "content": content}]})


def called(*ids: str) -> Request:
    calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in ids]
    answers = [{"role": "tool", "tool_call_id": one, "content": "1"} for one in ids]
    return chat(CHAT | {"messages": [{"role": "assistant", "tool_calls": calls}, *answers]})


REORDERED = dict(reversed(CHAT.items()))
BYTES = json.dumps(CHAT).encode()

SAME: Mapping[str, tuple[Request, Request]] = {
    "key order": (chat(), chat(REORDERED)),
    "white space": (chat(), chat(json.dumps(CHAT, indent=3).encode())),
    "0 beside 0.0": (chat(), chat(CHAT | {"temperature": 0.0})),
    "1e-08 beside 1e-8": (
        chat(BYTES.replace(b'"temperature": 0', b'"temperature": 1e-08')),
        chat(BYTES.replace(b'"temperature": 0', b'"temperature": 1e-8')),
    ),
    "an explicit null": (chat(), chat(CHAT | {"stop": None})),
    "an explicit null in a message": (
        chat(),
        chat(CHAT | {"messages": [{"role": "user", "content": "hi", "name": None}]}),
    ),
    "escapes in text": (chat(), chat(BYTES.replace(b'"hi"', b'"\\u0068i"'))),
    "a compressed body": (
        chat(),
        chat(gzip.compress(BYTES), (*JSON, ("content-encoding", "gzip"))),
    ),
    "the SDK's own headers": (
        headed(
            ("user-agent", "OpenAI/Python 1.0"), ("x-stainless-retry-count", "0"), ("traceparent", "00-1")
        ),
        headed(("user-agent", "OpenAI/JS 5.1"), ("x-stainless-retry-count", "1")),
    ),
    "another API key": (headed(("authorization", "Bearer a")), headed(("authorization", "Bearer b"))),
    "ids of tool calls, as recorded": (called("call_a", "call_b"), called("call_a", "call_b")),
    "a random boundary": (multipart("4fb8ecd12"), multipart("----WebKitFormBoundaryx1")),
    "query order": (chat(path="/v1/x?a=1&b=2"), chat(path="/v1/x?b=2&a=%31")),
    "a default": (chat(), chat(CHAT | {"stream": False, "n": 1, "presence_penalty": 0.0})),
}
OTHER: Mapping[str, tuple[Request, Request]] = {
    "another text": (said("hi"), said("hi!")),
    "another number": (chat(), chat(CHAT | {"temperature": 1e-08})),
    "a number as text": (chat(), chat(CHAT | {"temperature": "0"})),
    "false for 0": (chat(), chat(CHAT | {"temperature": False})),
    "a null that is data": (chat(), chat(BYTES.replace(b'{"default": null}', b"{}"))),
    "a stream": (chat(), chat(CHAT | {"stream": True})),
    "a default of OpenAI's alone": (chat(), chat(CHAT | {"top_p": 1})),
    "a further message": (chat(), chat(CHAT | {"messages": [HI, HI]})),
    "another model": (chat(), chat(CHAT | {"model": "n"})),
    "another path": (chat(), chat(path="/v1/completions")),
    "another query": (chat(path="/v1/x?a=1"), chat(path="/v1/x?a=2")),
    "another method": (chat(), replace(chat(), method="PUT")),
    "ids of tool calls, made anew": (called("call_a", "call_b"), called("call_c", "call_d")),
    "a uuid": (said(UUIDS[0]), said(UUIDS[1])),
    "a timestamp": (said("2026-01-02T03:04:05Z"), said("2026-01-02T03:04:06Z")),
    "another part": (multipart("x"), multipart("x", "whisper-2")),
    "an end user": (chat(CHAT | {"user": "a"}), chat(CHAT | {"user": "b"})),
}


def match(one: Request, other: Request, rules: MatchRules | None = None) -> bool:
    matching = Matching(rules)
    return matching.subject(one).key == matching.subject(other).key


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME)
def test_variations_that_mean_the_same_match(pair: tuple[Request, Request]) -> None:
    assert match(*pair)


@pytest.mark.parametrize("pair", OTHER.values(), ids=OTHER)
def test_everything_else_misses(pair: tuple[Request, Request]) -> None:
    assert not match(*pair)


BY_RULE: Mapping[str, tuple[tuple[Request, Request], MatchRules]] = {
    "normalised ids of tool calls": (
        OTHER["ids of tool calls, made anew"],
        MatchRules(normalise=(Kind.TOOL_CALL_IDS,)),
    ),
    "normalised uuids": (OTHER["a uuid"], MatchRules(normalise=(Kind.UUIDS,))),
    "normalised timestamps": (OTHER["a timestamp"], MatchRules(normalise=(Kind.TIMESTAMPS,))),
    "an ignored field": (OTHER["an end user"], MatchRules(ignore=("/user",))),
    "an ignored field of all messages": (
        OTHER["another text"],
        MatchRules(ignore=("$.messages[*].content",)),
    ),
    "an ignored query": (OTHER["another query"], MatchRules(ignore=("query.a",))),
    "an ignored part": (OTHER["another part"], MatchRules(ignore=("part.model",))),
    "a default of one's own": (OTHER["a default of OpenAI's alone"], MatchRules(defaults={"/top_p": 1.0})),
    "lenient": (OTHER["an end user"], MatchRules(preset=Preset.LENIENT)),
    "no path": (OTHER["another path"], MatchRules(match_on=("method", "body"))),
    "no method": (OTHER["another method"], MatchRules(match_on=("path", "body"))),
    "no body": (OTHER["another model"], MatchRules(match_on=("method", "path"))),
}


@pytest.mark.parametrize(("pair", "rules"), BY_RULE.values(), ids=BY_RULE)
def test_rules_make_them_match(pair: tuple[Request, Request], rules: MatchRules) -> None:
    assert match(*pair, rules)
    if "body" in rules.match_on:
        unchanged = [name for name, other in OTHER.items() if not match(*other, rules)]
        assert len(unchanged) >= len(OTHER) - 4, "a rule takes no more for the same than it says"


def test_strict_takes_no_default_for_absent() -> None:
    assert not match(*SAME["a default"], STRICT)
    assert all(match(*pair, STRICT) for name, pair in SAME.items() if name != "a default")


HEADERS = [
    ("x-tenant", (("X-Tenant", "a"),), (("x-tenant", "a "),), True),
    ("x-tenant", (("x-tenant", "a"),), (("x-tenant", "b"),), False),
    ("x-tenant", (("x-tenant", "a"),), (), False),
    ("x-tenant", (("x-tenant", "a"), ("x-tenant", "b")), (("x-tenant", "a, b"),), True),
    (
        "content-type",
        (("content-type", "multipart/form-data; boundary=1"),),
        (("content-type", "multipart/form-data; boundary=2"),),
        True,
    ),
]


@pytest.mark.parametrize(("name", "one", "other", "same"), HEADERS)
def test_headers_count_where_they_are_chosen(name: str, one: Headers, other: Headers, same: bool) -> None:
    pair = chat(headers=one), chat(headers=other)
    rules = MatchRules(match_on=("method", "path", "body", f"header:{name}"))
    assert match(*pair, rules) is same


BODIES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "openai.chat": ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
    "openai.completions": ("/v1/completions", {"model": "m", "prompt": "hi"}),
    "openai.responses": ("/v1/responses", {"model": "m", "input": "hi"}),
    "openai.embeddings": ("/v1/embeddings", {"model": "m", "input": ["hi"]}),
    "anthropic.messages": ("/v1/messages", {"model": "m", "max_tokens": 5, "messages": []}),
    "ollama.chat": ("/api/chat", {"model": "m", "messages": []}),
    "ollama.generate": ("/api/generate", {"model": "m", "prompt": "hi"}),
}


@pytest.mark.parametrize("dialect", HABITS)
@pytest.mark.parametrize("preset", Preset)
def test_presets_know_the_habits_of_each_dialect(dialect: str, preset: Preset) -> None:
    path, body = BODIES[dialect]
    rules = MatchRules(preset=preset)
    plain = chat(body, path=path)
    for field, value in HABITS[dialect].defaults.items():
        with_default = chat(body | {field[1:]: value}, path=path)
        assert match(plain, with_default, rules) is (preset is not Preset.STRICT), field
        elsewhere = chat(body | {field[1:]: value}, path="/v1/elsewhere")
        assert not match(chat(body, path="/v1/elsewhere"), elsewhere, rules)
    for field in HABITS[dialect].aside:
        name = field.rpartition("/")[2]
        assert match(plain, chat(body | {name: "x"}, path=path), rules) is (preset is Preset.LENIENT), field


def test_ollama_streams_unless_told_not_to() -> None:
    body = {"model": "m", "prompt": "hi"}
    plain, streamed, whole = (
        chat(body | more, path="/api/generate") for more in ({}, {"stream": True}, {"stream": False})
    )
    assert match(plain, streamed)
    assert not match(plain, whole)


@pytest.mark.parametrize("depth", [400, 900, 2_000, 50_000])
@pytest.mark.parametrize("rules", [MatchRules(), MatchRules(normalise=tuple(Kind), ignore=("/**/x",))])
def test_json_of_any_depth_has_a_key_of_its_own(depth: int, rules: MatchRules) -> None:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    assert not match(chat(deep), chat(deep.replace(b"1", b"2")), rules)


def test_fields_are_named_as_rules_name_them() -> None:
    fields = fields_of(chat(CHAT | {"n": 1}, path="/v1/chat/completions?b=2&a=1&a=0"))
    assert list(fields)[:5] == ["method", "path", "query.a/0", "query.a/1", "query.b"]
    assert (fields["body/messages/0/content"], fields["body/n"]) == ("hi", 1)
    assert fields_of(multipart("x"))["part.model"] == "whisper-1"
    assert "body" not in fields_of(chat(b""))
    assert fields_of(chat(b"\xff", ()))["body"] == "\udcff"
