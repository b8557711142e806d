import gzip
import json
from dataclasses import replace
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.canonical import match_key
from harness.core.derive import derive
from harness.core.exchange import Exchange, Headers, Request, Response, State, header
from harness.core.masks import long_mask
from harness.core.redaction import Key, Redactor, Rules
from harness.core.said import mask_said

KEY = "sk-proj-Abcdefghijklmnopqrstuvwxyz0123456789"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLW9mLXRoaXM"
REDACTOR = Redactor(Rules.default())


def exchange_with(
    *chunks: bytes, headers: Headers = (), request: Request | None = None, **changes: Any
) -> Exchange:
    request = request or Request("POST", "https://api.openai.com/v1/chat/completions")
    response = Response(200, headers, 0, tuple(enumerate(chunks, 1)), len(chunks) + 1)
    return replace(Exchange(request, response), **changes)


def redacted(redactor: Redactor, exchange: Exchange) -> tuple[Exchange, int]:
    """The exchange, and at how many places something was masked."""
    done, tally = redactor.exchange(exchange)
    return done, tally.total()


def response_of(exchange: Exchange) -> Response:
    assert exchange.response is not None
    return exchange.response


@pytest.mark.parametrize(
    ("name", "value", "masked"),
    [
        ("Authorization", f"Bearer {KEY}", "Bearer [redacted]"),
        ("authorization", "Basic dXNlcjpwYXNz", "Basic [redacted]"),
        ("AUTHORIZATION", "opaque value of two words", "[redacted]"),
        ("Authorization", "bearer", "[redacted]"),
        ("Proxy-Authorization", "Basic dXNlcjpwYXNz", "Basic [redacted]"),
        ("api-key", "0123456789abcdef", "[redacted]"),
        ("x-api-key", "k", "[redacted]"),
        ("X-Goog-Api-Key", "k", "[redacted]"),
        ("X-Portkey-Api-Key", "k", "[redacted]"),
        ("x-amz-security-token", "k", "[redacted]"),
        ("Cookie", "a=b; c=d", "[redacted]"),
        ("OpenAI-Organization", "user-abc", "[redacted]"),
        ("OpenAI-Project", "proj", "[redacted]"),
        ("anthropic-organization-id", "6f5a", "[redacted]"),
        ("X-Custom", f"token {KEY}", "token sk-[redacted]"),
        ("Referer", "https://x.test/?key=abc", "https://x.test/?key=[redacted]"),
        ("apikey", "k", "[redacted]"),
        ("cf-aig-authorization", "Bearer abc", "Bearer [redacted]"),
        ("X-Original", "BEARER abc", "BEARER [redacted]"),
        ("Helicone-Auth", "Bearer abc", "Bearer [redacted]"),
        ("x-access-token", "k", "[redacted]"),
        ("x-api-token", "k", "[redacted]"),
        ("Private-Token", "k", "[redacted]"),
        ("x-functions-key", "k", "[redacted]"),
        ("X-Forwarded", "a, Bearer abc; Basic dXNlcjpwYXNz", "a, Bearer [redacted]; Basic [redacted]"),
        ("x-ratelimit-limit-token", "150000", "150000"),
        ("openai-processing-ms", "12", "12"),
        ("WWW-Authenticate", "Bearer realm=there", "Bearer realm=there"),
        ("x-plan", "basic tier", "basic tier"),
        ("x-request-id", "req_011CSHoEeqs5C35K2UUqR7Fy", "req_011CSHoEeqs5C35K2UUqR7Fy"),
        ("x-ratelimit-remaining-tokens", "149984", "149984"),
        ("Authorization", "", ""),
    ],
)
def test_headers_of_both_sides(name: str, value: str, masked: str) -> None:
    request = Request("GET", "https://a.test/", ((name, value),))
    done, count = redacted(REDACTOR, exchange_with(headers=((name, value),), request=request))
    assert done.request.headers == ((name, masked),)
    assert response_of(done).headers == ((name, masked),)
    assert count == (0 if value == masked else 2 * masked.count("[redacted]"))


def test_urls_and_errors() -> None:
    request = Request("GET", f"https://a.test/v1/{KEY}?key=abc&x=1", path=f"/v1/{KEY}?key=abc&x=1")
    done, count = redacted(REDACTOR, exchange_with(request=request, error=f"no {KEY} at /?key=abc"))
    assert done.request.url == "https://a.test/v1/sk-[redacted]?key=[redacted]&x=1"
    assert done.request.path == "/v1/sk-[redacted]?key=[redacted]&x=1"
    assert done.error == "no sk-[redacted] at /?key=[redacted]"
    assert count == 6


@given(st.integers(1, 80), st.integers(1, 40))
def test_a_secret_is_found_across_chunks_whose_borders_and_times_stay(first: int, second: int) -> None:
    body = b'data: {"content":"your key: ' + KEY.encode() + b" and " + JWT.encode() + b'"}\n\n'
    cuts = [body[:first], body[first : first + second], body[first + second :]]
    chunks = [cut for cut in cuts if cut]
    done, count = redacted(REDACTOR, exchange_with(*chunks))
    response = response_of(done)
    assert count == 2
    assert [(at, len(data)) for at, data in response.chunks] == [(n, len(c)) for n, c in enumerate(chunks, 1)]
    assert b'"your key: sk-[redacted]*' in response.body
    assert KEY[3:].encode() not in response.body
    assert JWT.encode() not in response.body
    assert not done.rewritten


@pytest.mark.parametrize("cut", [None, -12])
def test_a_secret_in_an_encoded_body(cut: int | None) -> None:
    plain = json.dumps({"key": KEY, "text": "x" * 500}).encode()
    encoded = gzip.compress(plain)[:cut]
    headers = (("Content-Encoding", "gzip"), ("Content-Length", str(len(gzip.compress(plain)))), ("A", "b"))
    done, count = redacted(REDACTOR, exchange_with(encoded[:30], encoded[30:], headers=headers))
    response = response_of(done)
    assert (count, done.rewritten) == (1, True)
    assert header(response.headers, "content-encoding") is None
    assert KEY.encode() not in response.body
    assert b"sk-[redacted]" in response.body
    missing = len(gzip.compress(plain)) - len(encoded)
    assert header(response.headers, "content-length") == str(len(response.body) + missing)
    assert header(response.headers, "a") == "b"


def test_a_secret_before_the_damage_of_an_encoded_body_is_not_kept() -> None:
    encoded = gzip.compress(KEY.encode() + bytes(range(256)) * 200, 0)
    damaged = encoded[:2000] + b"\xff" * 3000
    done, _ = redacted(REDACTOR, exchange_with(damaged, headers=(("Content-Encoding", "gzip"),)))
    assert KEY.encode() not in response_of(done).body


@pytest.mark.parametrize("encoding", ["gzip", "identity", "unknown"])
def test_bodies_without_secrets_stay_as_they_are(encoding: str) -> None:
    body = gzip.compress(b"nothing") if encoding == "gzip" else b"nothing"
    exchange = exchange_with(
        body, headers=(("Content-Encoding", encoding), ("Content-Length", str(len(body))))
    )
    assert redacted(REDACTOR, exchange) == (exchange, 0)


def test_a_request_body_and_its_length() -> None:
    body = json.dumps({"key": KEY, "authorization": "token", "org": "org-Abcdefghijklmnopqrstu"}).encode()
    request = Request("POST", "https://a.test/", (("Content-Length", str(len(body))),), body)
    done = REDACTOR.request(request)
    assert json.loads(done.body) == {
        "key": "sk-[redacted]",
        "authorization": "[redacted]",
        "org": "org-[redacted]",
    }
    assert header(done.headers, "content-length") == str(len(done.body))


def test_a_form() -> None:
    headers = (("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),)
    body = b"api_key=abc&client%5Fsecret=def&grant_type=x&monkey=y"
    done = REDACTOR.request(Request("POST", "https://a.test/", headers, body))
    assert done.body == b"api_key=[redacted]&client%5Fsecret=[redacted]&grant_type=x&monkey=y"
    assert REDACTOR.request(done) == done
    as_json = Request("POST", "https://a.test/", headers, b'{"text": "a=b&key=c"}')
    assert REDACTOR.request(as_json) == as_json


def test_an_encoded_request_body() -> None:
    encoded = gzip.compress(json.dumps({"key": KEY}).encode())
    headers = (("Content-Encoding", "gzip"), ("Content-Length", str(len(encoded))))
    done = REDACTOR.request(Request("POST", "https://a.test/", headers, encoded))
    assert done.body == b'{"key": "sk-[redacted]"}'
    assert done.headers == (("Content-Length", str(len(done.body))),)


def test_requests_that_differ_only_in_secrets_are_the_same() -> None:
    def key_of(secret: str, token: str) -> str:
        body = json.dumps({"tools": [{"authorization": token}], "text": f"use {secret}"}).encode()
        request = REDACTOR.request(Request("POST", f"https://a.test/v1/x?key={token}", (), body))
        return match_key(request.method, request.path, request.body, request.headers)

    assert key_of(KEY, "a" * 40) == key_of("sk-" + "b" * 90, "c")
    assert key_of(KEY, "a") != key_of("other", "a")


def test_what_a_client_echoes_from_a_replay_is_what_it_echoed_when_recorded() -> None:
    """The recorded answer has a long mask; the client puts it into its next request."""
    answer, _ = redacted(
        REDACTOR, exchange_with(json.dumps({"encrypted_content": "g" * 99, "k": KEY}).encode())
    )
    echoed = Request("POST", "https://a.test/", (), response_of(answer).body)
    original = Request(
        "POST", "https://a.test/", (), json.dumps({"encrypted_content": "g" * 99, "k": KEY}).encode()
    )
    assert REDACTOR.request(echoed).body == REDACTOR.request(original).body


def test_masking_twice_changes_nothing_more() -> None:
    request = Request(
        "POST",
        "https://a.test/?key=abc",
        (("Authorization", f"Bearer {KEY}"), ("Content-Length", "100")),
        json.dumps({"encrypted_content": "abcdefghijklmn", "k": [KEY, JWT]}).encode(),
    )
    headers = (("Content-Encoding", "gzip"), ("Set-Cookie", "a=b"))
    body = gzip.compress(json.dumps({"encrypted_content": "abc", "k": [KEY, JWT]}).encode())
    once, count = redacted(REDACTOR, exchange_with(body, headers=headers, request=request, error=KEY))
    assert count == 11
    assert redacted(REDACTOR, once) == (once, 0)
    assert REDACTOR.request(once.request) == once.request


@pytest.mark.parametrize("size", [0, 2000, 5_000_000])
def test_bodies_of_any_size(size: int) -> None:
    body = b'{"a":%s,"Password":"hidden","k":"%s"}' % (
        json.dumps(["x,y"] * (size // 6)).encode(),
        KEY.encode(),
    )
    done, count = redacted(REDACTOR, exchange_with(body))
    assert (count, len(response_of(done).body)) == (2, len(body))
    assert KEY[3:].encode() not in response_of(done).body
    assert b"hidden" not in response_of(done).body


@pytest.mark.parametrize("size", [0, 2000])
def test_rules_of_ones_own_may_have_commas(size: int) -> None:
    redactor = Redactor(Rules(fields=("my,name",), keys=(Key("x", "a,b,key,", "[0-9]{4}"),)))
    body = b"x," * size + b'{"My,Name":"hidden","x":"a,b,key,1234"}'
    masked = b"x," * size + b'{"My,Name":"******","x":"a,b,key,****"}'
    assert redactor.body(body, long_mask) == (masked, 2)


@pytest.mark.parametrize(
    ("rules", "value", "masked"),
    [
        (Rules(patterns=(r"^tenant-\d+$",)), "tenant-12", "[redacted]"),
        (Rules(paths=("$.user",)), '{"user":"bob"}', '{"user":"[redacted]"}'),
    ],
)
def test_a_rule_that_goes_by_the_whole_value_of_a_header(rules: Rules, value: str, masked: str) -> None:
    headers = (("X-Size", '5" wide {'), ("X-Tenant", value), ("Accept", "*/*"))
    done = Redactor(rules).request(Request("GET", "https://a.test/", headers))
    assert header(done.headers, "x-tenant") == masked


def test_no_rules_mask_nothing() -> None:
    request = Request("POST", "https://a.test/?key=abc", (("Authorization", f"Bearer {KEY}"),), KEY.encode())
    exchange = exchange_with(KEY.encode(), headers=(("Set-Cookie", "a=b"),), request=request, error=KEY)
    assert redacted(Redactor(Rules()), exchange) == (exchange, 0)


def test_an_exchange_without_a_response() -> None:
    exchange = Exchange(Request("GET", "https://a.test/"), None, State.UPSTREAM_CUT, error="server closed")
    assert redacted(REDACTOR, exchange) == (exchange, 0)


def stream_of(pieces: list[str], *, ascii_only: bool) -> list[bytes]:
    lines = [
        json.dumps({"choices": [{"index": 0, "delta": {"content": piece}}]}, ensure_ascii=ascii_only)
        for piece in pieces
    ]
    return [f"data: {line}\n\n".encode() for line in [*lines, "[DONE]"]]


@pytest.mark.parametrize("size", [1, 3, 7, 20])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_a_secret_said_token_by_token(size: int, ascii_only: bool, encoding: str | None) -> None:
    said = f'Käse "{KEY}"\n→ {JWT} sk'
    pieces = [said[at : at + size] for at in range(0, len(said), size)]
    chunks = stream_of(pieces, ascii_only=ascii_only)
    headers: Headers = (("Content-Type", "text/event-stream"),)
    if encoding:
        chunks = [gzip.compress(b"".join(chunks))]
        headers += (("Content-Encoding", "gzip"),)
    exchange, _ = redacted(REDACTOR, exchange_with(*chunks, headers=headers))
    done, count = REDACTOR.across_events(exchange, derive(exchange))
    text = derive(done).text
    assert count == 2
    assert KEY[3:] not in text
    assert len(text) == len(said)
    assert text.startswith('Käse "sk-[redacted]***')
    assert text.endswith(" sk")
    assert done.rewritten == (encoding is not None)
    if not encoding:
        times = [(at, len(data)) for at, data in response_of(done).chunks]
        assert times == [(at, len(data)) for at, data in enumerate(chunks, 1)]
    assert REDACTOR.across_events(done, derive(done)) == (done, 0)


def test_a_stream_that_says_no_secret_is_left_alone() -> None:
    exchange = exchange_with(*stream_of(["sk-", "short"], ascii_only=True))
    assert REDACTOR.across_events(exchange, derive(exchange)) == (exchange, 0)


def event_of(written: str, index: int = 0, name: str = "content", more: str = "") -> str:
    """A chunk of a chat as a vendor may write it: `written` is the JSON string as it is."""
    return f'{{"id":"1","choices":[{{"delta":{{"{name}":{written}}},"index":{index}{more}}}]}}'


def stream(*events: str) -> Exchange:
    chunks = [f"data: {event}\n\n".encode() for event in (*events, "[DONE]")]
    return exchange_with(*chunks, headers=(("Content-Type", "text/event-stream"),))


def masked_said(exchange: Exchange) -> tuple[str, int]:
    """The body after both passes over it, which kept its length and its JSON."""
    once, _ = redacted(REDACTOR, exchange)
    done, count = REDACTOR.across_events(once, derive(once))
    before, after = response_of(exchange).body, response_of(done).body
    assert len(after) == len(before)
    assert len(derive(done).events) == len(derive(exchange).events)
    for event in derive(done).events:
        assert event.data == b"[DONE]" or json.loads(event.data)
    assert REDACTOR.across_events(done, derive(done))[1] == 0
    return after.decode(), count


SPLIT = ("sk", "-AAAA", "BBBB", "CCCC", "DDDD", "EEEE")
SAID = [json.dumps(piece) for piece in SPLIT]


def says_nothing(body: str) -> bool:
    return not any(piece in body for piece in SPLIT[1:])


@pytest.mark.parametrize("first", [r'"\u003cthink\u003e"', r'"\ud83d"', r'"\u00E9"', r'"a\/b "', '""'])
def test_one_piece_that_is_written_otherwise_hides_no_other(first: str) -> None:
    body, count = masked_said(stream(event_of(first), *map(event_of, SAID)))
    assert (count, says_nothing(body)) == (1, True)
    assert first in body


def test_pieces_that_are_escaped_themselves() -> None:
    body, count = masked_said(
        stream(event_of('"sk"'), event_of(r'"-AAAA\u0042BBBB"'), event_of('"CCCCDDDD"'))
    )
    assert (count, says_nothing(body)) == (1, True)
    assert r"\u0042" not in body


def test_secrets_of_interleaved_choices() -> None:
    events = [event for piece in SAID for event in (event_of(piece, 0), event_of('"word "', 1))]
    body, count = masked_said(stream(*events))
    assert (count, says_nothing(body), body.count('"word "')) == (1, True, len(SAID))


@pytest.mark.parametrize("other", ["reasoning_content", "refusal"])
def test_secrets_in_text_mixed_with_another_field(other: str) -> None:
    events = [event for piece in SAID for event in (event_of(piece), event_of('"hm "', name=other))]
    body, count = masked_said(stream(*events))
    assert (count, says_nothing(body), body.count('"hm "')) == (1, True, len(SAID))


def test_a_secret_that_runs_on_in_another_field() -> None:
    events = [
        event_of(piece, name=name)
        for piece, name in zip(SAID, ["reasoning_content", *["content"] * 5], strict=True)
    ]
    body, count = masked_said(stream(*events))
    assert (count, says_nothing(body)) == (1, True)


def test_secrets_in_arguments_of_interleaved_tool_calls() -> None:
    call = '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}}]}'
    events = [event for piece in SAID for event in (call % (0, piece), call % (1, '"word "'))]
    body, count = masked_said(stream(*events))
    assert (count, says_nothing(body), body.count('"word "')) == (1, True, len(SAID))


def test_secrets_around_an_event_that_is_no_json() -> None:
    exchange = stream(*map(event_of, SAID[:3]), '{"content":"x"', *map(event_of, SAID[3:]))
    done, count = REDACTOR.across_events(exchange, derive(exchange))
    assert (count, says_nothing(response_of(done).body.decode())) == (1, True)


def test_secrets_in_a_plain_body_that_was_cut() -> None:
    tokens = ",".join(json.dumps({"token": piece}) for piece in SPLIT)
    exchange = exchange_with(b'{"choices":[{"logprobs":{"content":[%s' % tokens.encode())
    done, count = REDACTOR.across_events(exchange, derive(exchange))
    assert (count, says_nothing(response_of(done).body.decode())) == (1, True)


def test_a_piece_that_only_repeats() -> None:
    _, count = masked_said(stream(event_of('"sk-"'), *[event_of('"A"', name="id")] * 9, event_of('"sk-AB"')))
    assert count == 0
    body, count = masked_said(stream(*[event_of('"sk-AB"')] * 9))
    assert (count, "sk-AB" in body) == (1, False)


@pytest.mark.parametrize("depth", [50, 900])
def test_a_secret_deep_inside(depth: int) -> None:
    events = ['{"a":' * depth + piece + "}" * depth for piece in SAID]
    body, count = masked_said(stream(*events))
    assert (count, says_nothing(body)) == (1, True)


def test_secrets_in_streams_that_no_dialect_knows() -> None:
    body, count = masked_said(stream(*(f'{{"content":{piece},"stop":false}}' for piece in SAID)))
    assert (count, says_nothing(body)) == (1, True)


@pytest.mark.parametrize(
    "shapes",
    [
        ("{}",),
        ("[{}]",),
        ('{{"x":{}}}', '{{"index":null,"x":{}}}'),
        ('{{"index":1,"x":{}}}', '{{"index":-1,"x":{}}}'),
    ],
)
def test_secrets_in_events_of_any_shape(shapes: tuple[str, ...]) -> None:
    events = [shape.format(piece) for piece, shape in zip(SAID, cycle(shapes), strict=False)]
    body, count = masked_said(stream(*events))
    assert (count, says_nothing(body)) == (1, True)


@pytest.mark.parametrize("other", ['{"x":["b"]}', '{"x":[["b"]]}', '{"x":[{"x":"b"}]}'])
def test_a_secret_between_texts_of_another_shape_by_the_same_name(other: str) -> None:
    events = [event for piece in SAID for event in (f'{{"x":{piece}}}', other)]
    body, count = masked_said(stream(*events))
    assert (count, says_nothing(body), other in body) == (1, True, True)


def logprobs_of(piece: str) -> str:
    token = {"token": piece, "bytes": list(piece.encode())}
    return json.dumps({"content": [{**token, "top_logprobs": [token, {"token": "x", "bytes": [120]}]}]})


def test_logprobs_of_a_secret_in_a_stream() -> None:
    events = [event_of(json.dumps(piece), more=f',"logprobs":{logprobs_of(piece)}') for piece in SPLIT]
    body, count = masked_said(stream(*events))
    assert (count, says_nothing(body), "65, 65" in body) == (1, True, False)


def test_logprobs_of_a_secret_in_a_plain_body() -> None:
    tokens = [json.loads(logprobs_of(piece))["content"][0] for piece in ("hi ", *SPLIT)]
    choice = {"message": {"content": "hi " + "".join(SPLIT)}, "logprobs": {"content": tokens}}
    body, count = masked_said(exchange_with(json.dumps({"choices": [choice]}).encode()))
    assert (count, says_nothing(body), "65, 65" in body) == (1, True, False)
    assert json.loads(body)["choices"][0]["logprobs"]["content"][0] == tokens[0]


def test_logprobs_of_a_secret_that_is_not_ascii() -> None:
    def event(piece: str) -> str:
        token = {"token": piece, "bytes": list(piece.encode())}
        choice = {"index": 0, "delta": {"content": piece}, "logprobs": {"content": [token]}}
        return json.dumps({"choices": [choice]}, ensure_ascii=False)

    body, count = masked_said(stream(*map(event, ('{"password": "', "日本", "語", '"}'))))
    assert (count, "日" in body, "語" in body, str("日".encode()[0]) in body) == (1, False, False, False)


@pytest.mark.parametrize("streamed", [True, False])
def test_logprobs_of_a_secret_in_a_completion(streamed: bool) -> None:
    def choice(*pieces: str) -> str:
        likely = [{piece: -0.1, "other": -2.5} for piece in pieces]
        logprobs = {"tokens": pieces, "token_logprobs": [-0.1] * len(pieces), "top_logprobs": likely}
        return json.dumps({"choices": [{"index": 0, "text": "".join(pieces), "logprobs": logprobs}]})

    events = stream(*map(choice, SPLIT)) if streamed else exchange_with(choice(*SPLIT).encode())
    request = Request("POST", "https://a.test/v1/completions")
    body, count = masked_said(replace(events, request=request))
    assert (count, says_nothing(body), "-2.5" in body) == (1, True, True)


def test_likely_tokens_of_a_completion_without_a_secret_stay() -> None:
    said = {"text": "hi", "logprobs": {"tokens": ["hi"], "top_logprobs": [{"hi": -0.1, "ho": -2}]}}
    other = {"index": 1, "text": "sk-x", "logprobs": {"tokens": SPLIT, "top_logprobs": [{"sk": -1}]}}
    body, _ = masked_said(exchange_with(json.dumps({"choices": [{"index": 0, **said}, other]}).encode()))
    kept, masked = json.loads(body)["choices"]
    assert kept == {"index": 0, **said}
    assert list(masked["logprobs"]["top_logprobs"][0]) == ["**"]


def test_a_deep_body_with_a_string_at_every_depth_is_looked_through_in_linear_time() -> None:
    deep = b'{"index":1,"x":' + b'["a",' * 20_000
    body, _ = mask_said(deep, ["x"], lambda plain: REDACTOR.body(plain, long_mask))
    assert body == deep


def test_a_name_that_is_repeated_hides_nothing() -> None:
    events = [f'{{"content":{piece},"content":"x"}}' for piece in SAID]
    body, count = masked_said(stream(*events))
    assert (count, says_nothing(body)) == (1, True)


def test_a_text_with_marks_of_json_is_read_once_more_and_left_alone() -> None:
    exchange = stream(event_of(json.dumps('{"a": "b", "c\\\\": 1}')), event_of('"x"'))
    assert REDACTOR.across_events(exchange, derive(exchange)) == (exchange, 0)


def test_a_secret_that_runs_on_in_another_dialect() -> None:
    def of_anthropic(piece: str) -> str:
        return f'{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":{piece}}}}}'

    events = [event_of(piece) if place % 2 else of_anthropic(piece) for place, piece in enumerate(SAID)]
    for written in (events, events[1:] + events[:1]):
        body, count = masked_said(stream(event_of('"hi "'), *written))
        assert (count, says_nothing(body)) == ((1, True) if written is events else (0, False))


@pytest.mark.parametrize("rank", [0, 1])
def test_a_secret_that_only_the_likely_tokens_tell(rank: int) -> None:
    likely = [dict([*[("x", -0.1)] * rank, (piece, -0.2), ("other", -2.5)]) for piece in SPLIT]
    logprobs = {"tokens": ["no"] * len(SPLIT), "top_logprobs": likely}
    choice = {"index": 0, "text": "no" * len(SPLIT), "logprobs": logprobs}
    body, count = masked_said(exchange_with(json.dumps({"choices": [choice]}).encode()))
    assert (count, says_nothing(body), "nono" in body) == (1, True, True)


def test_escapes_hide_no_secret_in_a_plain_body() -> None:
    body, count = masked_said(exchange_with(rb'{"a":"\u0073k-AAAABBBB\u0043CCCDDDDEEEE","b":"\u003c"}'))
    assert (count, says_nothing(body), r"\u003c" in body) == (1, True, True)
