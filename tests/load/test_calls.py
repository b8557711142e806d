import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import BadInput
from harness.core.exchange import Exchange, Headers, Request, Response, State
from harness.core.interchange import to_line
from harness.load.calls import Recorded, recorded, recorded_calls, recorded_path, wall_times
from harness.load.place import place_of
from harness.load.plan import Call

S = 1_000_000_000
ROOT = Path(__file__).parents[2]
PLACE = place_of("http://h:1")
BODY = b'{"messages": [], "stream":true ,"max_tokens": 7, "model":"caf\xc3\xa9"}'
JSON: Headers = (("Content-Type", "application/json"),)


def exchange(
    body: bytes = BODY,
    path: str = "/v1/chat/completions",
    headers: Headers = JSON,
    status: int | None = 200,
    method: str = "POST",
    **changes: Any,
) -> Exchange:
    request = Request(method, f"https://api.test{path}", headers, body)
    usage = b'{"choices":[],"usage":{"prompt_tokens":31,"completion_tokens":4}}'
    answer = None if status is None else Response(status, JSON, 0, ((0, usage),), 2 * S)
    made = Exchange(request, answer, State.COMPLETE if answer else State.CONNECT_FAILED)
    return replace(made, **({"started_at": "2026-01-02T03:04:05Z"} | changes))


def call_of(made: Exchange) -> Recorded:
    found = recorded(made, PLACE)
    assert found
    return found


def test_a_body_is_sent_exactly_as_it_was() -> None:
    call = call_of(exchange()).call
    assert call.body.encode() == BODY
    assert (call.path, call.method, call.stream) == ("/v1/chat/completions", "POST", True)
    assert (call.tokens_in, call.most_tokens_out) == (31, 7)


def test_another_model_is_the_only_change() -> None:
    found = recorded(exchange(), PLACE, "other")
    assert found
    assert json.loads(found.call.body) == json.loads(BODY) | {"model": "other"}


def test_a_body_that_does_not_stream_and_one_of_ollama_that_does() -> None:
    assert not call_of(exchange(b'{"messages": []}')).call.stream
    assert call_of(exchange(b'{"messages": []}', "/api/chat")).call.stream


def test_an_encoded_body_is_sent_decoded() -> None:
    headers = (*JSON, ("Content-Encoding", "gzip"))
    call = call_of(exchange(gzip.compress(BODY), headers=headers)).call
    assert call.body.encode() == BODY
    assert call.headers == JSON


def test_headers_of_the_content_stay_and_secrets_and_hops_do_not() -> None:
    kept = (("Content-Type", "application/json"), ("anthropic-version", "2023-06-01"), ("OpenAI-Beta", "a=1"))
    dropped = (
        ("Authorization", "[redacted]"),
        ("X-Api-Key", "sk-real"),
        ("Proxy-Authorization", "Basic x"),
        ("Cookie", "a=b"),
        ("OpenAI-Organization", "org"),
        ("X-Session-Token", "t"),
        ("X-Custom", "left [redacted] right"),
        ("Host", "api.test"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "keep-alive"),
        ("Accept-Encoding", "gzip"),
        ("User-Agent", "OpenAI/Python"),
        ("x-stainless-lang", "python"),
        ("traceparent", "00-1"),
        ("X-Harness-Exchange", "3"),
        ("Expect", "100-continue"),
        ("X-Bytes", "caf\udce9"),
        ("caf\u00e9", "x"),
    )
    mixed = (*dropped[:5], *kept, *dropped[5:])
    assert call_of(exchange(headers=mixed)).call.headers == kept


@pytest.mark.parametrize(
    ("recorded_path", "path"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions?key=[redacted]", "/v1/chat/completions"),
        ("/v1/chat/completions?key=%5Bredacted%5D&a=1&b", "/v1/chat/completions?a=1&b"),
        (
            "/openai/deployments/x/chat/completions?api-version=1",
            "/openai/deployments/x/chat/completions?api-version=1",
        ),
        ("/api/v1/chat/completions", "/api/v1/chat/completions"),
        ("/v1/chat/completions?a=\udce9 \u00e9%41", "/v1/chat/completions?a=%E9%20%C3%A9%41"),
    ],
)
def test_paths_are_those_of_the_client_with_a_version_and_without_keys(recorded_path: str, path: str) -> None:
    assert call_of(exchange(path=recorded_path)).call.path == path


@pytest.mark.parametrize(
    "unusable",
    [
        pytest.param(exchange(path="/v1/embeddings"), id="embeddings"),
        pytest.param(exchange(path="/v1/models", method="GET", body=b""), id="models"),
        pytest.param(exchange(path="/tokenize"), id="unknown"),
        pytest.param(exchange(b""), id="no body"),
        pytest.param(exchange(b"[]"), id="no object"),
        pytest.param(exchange(b'{"a": "\xff"}'), id="no UTF-8"),
        pytest.param(exchange(headers=(("content-encoding", "gzip"),)), id="broken encoding"),
        pytest.param(exchange(status=400), id="refused"),
        pytest.param(exchange(status=404), id="not found"),
    ],
)
def test_what_is_left_out(unusable: Exchange) -> None:
    assert recorded(unusable, PLACE) is None


@pytest.mark.parametrize("status", [200, 401, 429, 500, 529, None])
def test_what_was_asked_well_is_asked_again(status: int | None) -> None:
    assert recorded(exchange(status=status), PLACE)


def test_the_order_is_the_recorded_one(write: Callable[..., Path]) -> None:
    made = [
        exchange(b'{"messages":[],"n":%d}' % number, started_at=f"2026-01-02T03:04:0{number}Z")
        for number in range(4)
    ]
    made[2] = exchange(path="/v1/embeddings", started_at="2026-01-02T03:04:02Z")
    for name in ("a.db", "a.jsonl"):
        found = recorded_calls(write(*made, name=name), PLACE)
        assert [one.call.body[-2] for one in found] == ["0", "1", "3"]
        start = found[0].at_ns
        assert start
        assert [(one.at_ns or 0) - start for one in found] == [0, S, 3 * S]


@pytest.mark.parametrize("name", ["a.db", "a.jsonl"])
def test_an_empty_recording_and_one_without_requests_that_can_be_sent(
    write: Callable[..., Path], name: str
) -> None:
    with pytest.raises(BadInput, match=r"is empty: there is no request to send"):
        recorded_calls(write(name=name), PLACE)
    with pytest.raises(BadInput, match=r"none of its 2 is an accepted request"):
        recorded_calls(write(exchange(status=400), exchange(path="/v1/embeddings"), name=f"b{name}"), PLACE)


def test_the_committed_recording() -> None:
    found = recorded_calls(ROOT / "recordings" / "tiny-llama.db", PLACE)
    assert {one.dialect for one in found} >= {
        "openai.chat",
        "openai.completions",
        "openai.responses",
        "anthropic.messages",
    }
    assert not [one for one in found if "redacted" in str(one.call.headers)]
    assert not [one for one in found if dict(one.call.headers).keys() & {"authorization", "host", "Host"}]
    assert all(one.at_ns for one in found)


@pytest.mark.parametrize(("path", "sent"), [("/\udce9", "/%E9"), ("/\ud800", "/%EF%BF%BD")])
def test_bytes_of_a_path_are_sent_as_they_were(path: str, sent: str) -> None:
    assert recorded_path(path, versioned=False) == sent


@given(
    st.text(st.characters(codec=None), max_size=20),
    st.lists(st.tuples(st.text(max_size=5), st.text(st.characters(codec=None), max_size=20)), max_size=3),
)
def test_whatever_was_recorded_can_be_written_down_and_sent(
    path: str, headers: list[tuple[str, str]]
) -> None:
    made = exchange(headers=(*JSON, *headers), path="/v1/chat/completions")
    made = replace(made, request=replace(made.request, path=f"/v1/chat/completions?{path}"))
    call = call_of(made).call
    assert Call.model_validate_json(call.model_dump_json()) == call
    assert call.path.isascii()
    assert call.path.isprintable()
    assert " " not in call.path


def times(*requests: Recorded) -> list[int]:
    found = list(wall_times(Path("rec"), requests))
    return [at - found[0] for at in found]


def at(second: int, capture: int, end: int = 0) -> Recorded:
    return replace(call_of(exchange()), at_ns=second * S, capture=capture, end_ns=end * S)


def test_pauses_between_captures_are_left_out() -> None:
    assert times(at(10, 1, 9), at(12, 1, 1), at(500, 2, 2), at(503, 2), at(90, 3)) == [
        0,
        2 * S,
        9 * S,
        12 * S,
        12 * S,
    ]


def test_unknown_times_are_told() -> None:
    with pytest.raises(BadInput, match="rec does not say when its requests were made"):
        times(at(1, 1), replace(at(2, 1), at_ns=None))
    assert call_of(exchange(started_at="")).at_ns is None


def test_a_damaged_recording_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(to_line(exchange()) + "\n{\n")
    with pytest.raises(BadInput, match="line 2"):
        recorded_calls(path, PLACE)
