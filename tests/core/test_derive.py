import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.derive import Derived, ToolCall, Usage, derive, requested_model
from harness.core.dialects import DIALECTS
from harness.core.exchange import Exchange, Headers, Request, Response

CHAT = "/v1/chat/completions"
PATHS = [
    CHAT,
    "/v1/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/messages",
    "/api/chat",
    "/api/generate",
    "/x",
]
SSE: Headers = (("content-type", "text/event-stream"),)
JSON: Headers = (("content-type", "application/json"),)


def exchange(
    path: str,
    *chunks: bytes,
    headers: Headers = SSE,
    status: int = 200,
    body: bytes = b"",
    **changes: Any,
) -> Exchange:
    timed = tuple(enumerate(chunks, 1))
    request = Request("POST", f"https://api.test{path}", (), body)
    return Exchange(request, Response(status, headers, 0, timed, len(timed)), **changes)


def delta(text: str) -> bytes:
    return b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % text.encode()


def test_every_dialect_has_a_path_here() -> None:
    names = {derive(exchange(path)).dialect for path in PATHS}
    assert names == {row.name for row in DIALECTS} | {"bytes"}


def test_without_a_response() -> None:
    request = Request("POST", f"https://api.test{CHAT}", (), b'{"model": "m-1", "stream": true}')
    assert derive(Exchange(request, None)) == Derived("openai.chat", "m-1")


@pytest.mark.parametrize(
    ("request_", "model"),
    [
        (Request("POST", "https://a/v1/x", (), b' {"model": "m-1"}'), "m-1"),
        (
            Request(
                "POST", "https://a/v1/x", (("Content-Encoding", "gzip"),), gzip.compress(b'{"model":"m-1"}')
            ),
            "m-1",
        ),
        (Request("POST", "https://a/openai/deployments/d-1/chat/completions?x=1", (), b"{}"), "d-1"),
        (Request("POST", "https://a/v1/x", (), b'{"model": 7}'), None),
        (Request("POST", "https://a/v1/x", (), b'{"model": '), None),
        (Request("POST", "https://a/v1/x", (), b"[]"), None),
        (Request("POST", "https://a/v1/x", (), b"--boundary\r\n"), None),
        (Request("POST", "https://a/v1/x", (("Content-Encoding", "gzip"),), b"no gzip"), None),
        (Request("GET", "https://a/v1/x"), None),
    ],
)
def test_the_requested_model(request_: Request, model: str | None) -> None:
    assert requested_model(request_) == model


def test_the_models_own_name_comes_first() -> None:
    body = b'{"model": "alias"}'
    named = exchange(CHAT, b'data: {"model":"m-1","choices":[]}\n\n', body=body)
    assert derive(named).model == "m-1"
    assert derive(exchange(CHAT, delta("a"), body=body)).model == "alias"


def test_near_zero_gaps_are_kept() -> None:
    made = exchange(CHAT, delta("a") + delta("b"), b": ping\n\n", delta("c"), b"data: [DONE]\n\n")
    derived = derive(made)
    assert (derived.content_ns, derived.icl_ns, derived.ttft_ns) == ((1, 1, 3), (0, 2), 1)


def test_no_times_where_the_recording_knows_none() -> None:
    derived = derive(exchange(CHAT, delta("a"), delta("b"), timing_known=False))
    assert (derived.ttft_ns, derived.icl_ns, derived.text) == (None, (), "ab")


def test_an_encoded_body() -> None:
    body = gzip.compress(b'{"choices":[{"message":{"content":"a"}}]}')
    assert derive(exchange(CHAT, body, headers=(*JSON, ("content-encoding", "gzip")))).text == "a"


def test_broken_events_are_as_if_they_were_not_there() -> None:
    made = exchange(
        CHAT, b"data: {\n\n", delta("a"), b"data: \xff\n\n", b"data: 1\n\ndata: []\n\n", delta("b")
    )
    derived = derive(made)
    assert (derived.text, len(derived.events), derived.terminated) == ("ab", 6, False)


def test_an_event_with_broken_utf_8_is_read() -> None:
    assert derive(exchange(CHAT, delta("a"), delta("").replace(b'""', b'"\xf0\x9f"'))).text == "a�"


ENDS: dict[str, tuple[str, Headers, bytes, bool, bool]] = {
    "whole json": (CHAT, JSON, b'{"choices":[]}', False, True),
    "json after keep-alives": (CHAT, JSON, b'\n\n \n{"choices":[]}\n', False, True),
    "cut json": (CHAT, JSON, b'{"choices":[', False, False),
    "cut json of no type": ("/x", (), b'{"choices":[', False, False),
    "empty json": (CHAT, JSON, b"", False, False),
    "problem json": (CHAT, (("content-type", "application/problem+json"),), b"null", False, True),
    "html": (CHAT, (("content-type", "text/html"),), b"<html>502", False, True),
    "audio": ("/v1/audio/speech", (("content-type", "audio/mpeg"),), b"ID3\xff", False, True),
    "nothing": ("/x", (), b"", False, True),
    "a stream without an event": (CHAT, SSE, b"", True, False),
    "a stream of comments": (CHAT, SSE, b": ping\n\n", True, False),
    "a stream of no type": (CHAT, (), b"data: [DONE]\n\n", True, True),
    "a terminator without its blank line": (CHAT, SSE, b"data: [DONE]", True, True),
    "an unknown stream": ("/x", SSE, b"data: {}\n\n", True, True),
    "an unknown stream of text": ("/x", SSE, b"data: tick\n\n", True, True),
    "an unknown stream that is cut": ("/x", SSE, b'data: {}\n\ndata: {"a"', True, False),
    "an unknown stream without an event": ("/x", SSE, b"", True, True),
    "embeddings as a stream": ("/v1/embeddings", SSE, b"data: {}\n\n", True, False),
}


@pytest.mark.parametrize(("path", "headers", "body", "stream", "terminated"), ENDS.values(), ids=ENDS)
def test_stream_and_terminated(
    path: str, headers: Headers, body: bytes, stream: bool, terminated: bool
) -> None:
    derived = derive(exchange(path, body, headers=headers))
    assert (derived.stream, derived.terminated) == (stream, terminated)


@pytest.mark.parametrize("number", [2**63, -(2**63), 10**400, True, 1.5, "7", [7], None])
def test_counts_that_no_table_can_hold_are_not_said(number: Any) -> None:
    body = json.dumps({"choices": [], "usage": {"prompt_tokens": number, "completion_tokens": 7}})
    assert derive(exchange(CHAT, body.encode(), headers=JSON)).usage == Usage(output=7)


def test_all_texts_fit_utf_8() -> None:
    value = {
        "model": "\ud83d",
        "choices": [
            {
                "message": {
                    "content": "\ud83d",
                    "reasoning": "\ud83d",
                    "tool_calls": [{"id": "\ud83d", "function": {"name": "\ud83d", "arguments": "\ud83d"}}],
                },
                "finish_reason": "\ud83d",
            }
        ],
        "error": {"type": "\ud83d"},
    }
    derived = derive(exchange(CHAT, json.dumps(value).encode(), headers=JSON))
    assert (derived.model, derived.text, derived.reasoning, derived.finish_reason) == ("�", "�", "�", "�")
    assert (derived.tool_calls, derived.error) == ((ToolCall("�", "�", "�"),), "�")


KEYS = """
    choices delta message content index tool_calls function name arguments id model usage prompt_tokens
    prompt_tokens_details cached_tokens finish_reason text reasoning reasoning_details thinking refusal audio
    function_call x_groq input type response item item_id output_index output summary status error code
    content_block partial_json stop_reason done done_reason eval_count detail object
"""
KINDS = """
    response.output_text.delta response.output_item.added response.output_item.done response.completed
    response.function_call_arguments.delta function_call message error content_block_delta
    content_block_start text_delta input_json_delta tool_use text stop
"""
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(KINDS.split())
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=6)
    ),
    max_leaves=25,
)


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def is_sound(derived: Derived) -> bool:
    """What every consumer relies on, whatever the bytes were."""
    texts = [
        derived.text,
        derived.reasoning,
        derived.model or "",
        derived.finish_reason or "",
        *derived.content_text,
    ]
    texts += [part for call in derived.tool_calls for part in (call.id, call.name, call.arguments)]
    for text in texts:
        text.encode()
    assert len(derived.content_ns) == len(derived.content_text)
    assert len(derived.icl_ns) == max(len(derived.content_ns) - 1, 0)
    assert list(derived.content_ns) == sorted(derived.content_ns)
    return hash(derived) is not None


@given(path=st.sampled_from(PATHS), values=st.lists(VALUES, max_size=4), lines=st.booleans())
def test_any_json_in_an_events_place_is_derived(path: str, values: list[Any], lines: bool) -> None:
    form = b"%s\n" if lines else b"data: %s\n\n"
    headers = (("content-type", "application/x-ndjson"),) if lines else SSE
    assert is_sound(derive(exchange(path, *(form % dumped(value) for value in values), headers=headers)))


@given(path=st.sampled_from(PATHS), value=VALUES, status=st.sampled_from([200, 400]))
def test_any_json_in_a_bodys_place_is_derived(path: str, value: Any, status: int) -> None:
    made = exchange(path, dumped(value), headers=JSON, status=status, body=dumped(value))
    assert is_sound(derive(made))


@given(
    path=st.sampled_from(PATHS),
    chunks=st.lists(
        st.binary() | st.sampled_from([b"data: ", b"\n\n", b'{"choices":[{"delta":', b"}]}", b"[DONE]"])
    ),
    headers=st.sampled_from([SSE, JSON, (), (("content-encoding", "gzip"),), (("content-encoding", "x"),)]),
)
def test_any_bytes_are_derived(path: str, chunks: list[bytes], headers: Headers) -> None:
    assert is_sound(derive(exchange(path, *chunks, headers=headers, body=b"".join(chunks))))


@pytest.mark.parametrize("depth", [150, 5000, 200_000])
def test_deep_json_is_derived(depth: int) -> None:
    call = b'{"id":"c","function":{"name":"f","arguments":%s}}' % (b"[" * depth + b"]" * depth)
    body = b'{"choices":[{"message":{"tool_calls":[%s]}}]}' % call
    derived = derive(exchange(CHAT, body, headers=JSON, body=body))
    assert is_sound(derived)
    assert derived.tool_calls or depth > 150
