"""Interchange lines: in and out again changes nothing, defaults, and what is refused with which words."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import BadInput
from harness.core.exchange import Exchange, Headers, Request, Response, State
from harness.core.interchange import MAX_NS, from_line, to_line

MINIMAL: dict[str, Any] = {
    "request": {"method": "POST", "url": "http://a.test/v1/x?q=1"},
    "response": {"status": 200, "chunks": [[5, "one"], [9, "two"]]},
}
REQUEST = Request("POST", "http://a.test/v1/x?q=1")
RESPONSE = Response(200, (), 5, ((5, b"one"), (9, b"two")), 9)


def changed(place: str, value: Any) -> str:
    """The minimal line with one place replaced (`...`: removed)."""
    line = json.loads(json.dumps(MINIMAL))
    *way, name = place.split(".")
    target = line
    for step in way:
        target = target[step]
    if value is ...:
        del target[name]
    else:
        target[name] = value
    return json.dumps(line)


def test_only_method_url_status_and_chunks_are_needed() -> None:
    exchange = from_line(json.dumps(MINIMAL), 1)
    assert exchange == Exchange(REQUEST, RESPONSE, end_ns=9)
    assert exchange.state is State.COMPLETE
    assert exchange.request.path == "/v1/x?q=1"
    assert exchange.timing_known


def test_what_a_full_line_looks_like() -> None:
    exchange = Exchange(
        Request("POST", "https://api.test/v1/x", (("A", "b"),), b"\xff", "HTTP/1.1", "/x"),
        Response(201, (("C", "d"),), 3, ((4, b"caf\xc3"), (7, "é".encode())), 8, "HTTP/2.0"),
        State.UPSTREAM_CUT,
        "2026-01-02T03:04:05.678Z",
        "openai",
        connect_ns=2,
        error_bound_ns=11,
        timing_known=False,
        rewritten=True,
        error="reset",
        end_ns=8,
        extra={"note": [1], "request": {"a": None}, "response": {"b": 0.5}},
    )
    assert json.loads(to_line(exchange)) == {
        "request": {
            "method": "POST",
            "url": "https://api.test/v1/x",
            "http_version": "HTTP/1.1",
            "headers": [["A", "b"]],
            "body": {"base64": "/w=="},
            "path": "/x",
            "a": None,
        },
        "response": {
            "status": 201,
            "http_version": "HTTP/2.0",
            "headers": [["C", "d"]],
            "headers_ns": 3,
            "chunks": [[4, {"base64": "Y2Fmww=="}], [7, "é"]],
            "end_ns": 8,
            "b": 0.5,
        },
        "end": "upstream_cut",
        "started_at": "2026-01-02T03:04:05.678Z",
        "upstream": "openai",
        "connect_ns": 2,
        "error_bound_ns": 11,
        "timing_known": False,
        "error": "reset",
        "rewritten": True,
        "note": [1],
    }
    assert from_line(to_line(exchange), 1) == exchange


def test_an_exchange_without_response_keeps_its_end() -> None:
    exchange = Exchange(REQUEST, None, State.CONNECT_FAILED, error="refused", end_ns=77)
    assert json.loads(to_line(exchange))["response"] is None
    assert from_line(to_line(exchange), 1) == exchange


def test_without_chunks_headers_and_end_fall_back_on_each_other() -> None:
    given = json.loads(changed("response.chunks", []))
    given["response"]["headers_ns"] = 6
    response = from_line(json.dumps(given), 1).response
    assert response is not None
    assert (response.headers_ns, response.end_ns) == (6, 6)


@pytest.mark.parametrize("body", [None, ""])
def test_a_body_may_be_empty_or_null(body: str | None) -> None:
    assert from_line(changed("request.body", body), 1).request.body == b""


REFUSED = [
    ("request", ..., "request: is missing"),
    ("request", [], "request: should be an object"),
    ("request.method", ..., "request.method: is missing"),
    ("request.method", "GE T", "request.method: is no HTTP method"),
    ("request.url", ..., "request.url: is missing"),
    ("request.url", 5, "request.url: should be text"),
    ("request.url", "/v1/x", "request.url: is no absolute http or https URL"),
    ("request.url", "ftp://a.test/", "request.url: is no absolute http or https URL"),
    ("request.url", "http://a.test/a b", "request.url: is no URL: it holds white space"),
    ("request.url", "http://a.test:99999/", "request.url: is no URL: its host or port is malformed"),
    ("request.url", "http://a.test/\udce9", "request.url: holds a lone surrogate"),
    ("request.body", 5, 'request.body: should be text or {"base64": text}'),
    ("request.body", {"base64": "?"}, 'request.body: should be text or {"base64": text}'),
    ("request.headers", {"a": "b"}, "request.headers: should be a list"),
    ("request.headers", [["a", "b"], ["a"]], "request.headers.1: has too few items"),
    ("request.headers", [["a", "b", "c"]], "request.headers.0: has too many items"),
    ("response.headers", [["a", 1]], "response.headers.0: should be text"),
    ("request.headers", [["a", "b"], ["a\r\nb", "c"]], "request.headers.1: holds a line break, a NUL or a"),
    ("request.headers", [["", "b"]], "request.headers.0: has a name without characters"),
    *(
        ("response.headers", [["a", f"b{unfit}"]], "response.headers.0: holds a line break, a NUL or a lone")
        for unfit in ("\r", "\n", "\0", "\ud800", "\udbff", "\udc00", "\udc7f", "\udd00", "\udfff")
    ),
    ("response", None, "there is no response, but the end is complete"),
    ("response.status", ..., "response.status: is missing"),
    ("response.status", 99, "response.status: should be greater than or equal to 100"),
    ("response.status", 600, "response.status: should be less than or equal to 599"),
    ("response.status", "200", "response.status: should be a valid integer"),
    ("response.chunks", ..., "response.chunks: is missing"),
    ("response.chunks", [[5, "a"], 7], "response.chunks.1: should be a list"),
    ("response.chunks", [[5, "a"], [6]], "response.chunks.1: has too few items"),
    ("response.chunks", [[5, "a"], [6, 7]], 'response.chunks.1: should be text or {"base64": text}'),
    ("response.chunks", [[5, {"base64": "YQ==", "x": 1}]], "response.chunks.0: should be text or"),
    ("response.chunks", [[5, "\ud800"]], "response.chunks.0: should be text or"),
    ("response.chunks", [[-1, "a"]], "response.chunks.0: should be greater than or equal to 0"),
    ("response.chunks", [[True, "a"]], "response.chunks.0: should be a valid integer"),
    ("response.chunks", [[1.5, "a"]], "response.chunks.0: should be a valid integer"),
    ("response.chunks", [[MAX_NS + 1, "a"]], "response.chunks.0: should be less than or equal to"),
    ("response.chunks", [[5, "a"], [4, "b"]], "response.chunks.1: offset is smaller than the one before"),
    ("response.headers_ns", 6, "response: headers_ns is after the first chunk"),
    ("response.end_ns", 8, "response: end_ns is before the headers or the last chunk"),
    ("end", "over", "end: should be 'complete', 'unterminated'"),
    ("connect_ns", -1, "connect_ns: should be greater than or equal to 0"),
    ("timing_known", 1, "timing_known: should be a valid boolean"),
]


@pytest.mark.parametrize(("place", "value", "words"), REFUSED)
def test_what_is_refused_and_how_it_is_said(place: str, value: Any, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        from_line(changed(place, value), 3)
    assert str(refused.value).startswith(f"line 3: {words}")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "{", "nul", "NaN", '{"a": NaN}', '{"a": -1e999}', "1" * 5000, "[" * 100_000]
)
def test_what_is_no_json(text: str) -> None:
    with pytest.raises(BadInput, match=r"^line 7: is no JSON: "):
        from_line(text, 7)


def test_where_a_cut_line_ends() -> None:
    with pytest.raises(BadInput, match=r"^line 7: is no JSON: Expecting .* at column 9$"):
        from_line('{"a": 1\n', 7)


def test_errors_never_repeat_the_content() -> None:
    secret = "sk-1234567890"
    line = json.loads(changed("request.body", {"base64": secret, "more": secret}))
    line |= {"end": secret, "connect_ns": secret}
    with pytest.raises(BadInput) as refused:
        from_line(json.dumps(line), 1)
    assert secret not in str(refused.value)


@pytest.mark.parametrize("text", ["\x85", "\u2028", "\u2029", "\x1b[31m", "\x9b31m", "\u202e", "a\nb\r\0"])
def test_a_line_is_one_line_to_everybody_and_safe_on_a_terminal(text: str) -> None:
    line = to_line(replace(Exchange(REQUEST, RESPONSE), error=text))
    assert len(line.splitlines()) == 1
    assert text not in line
    assert json.loads(line)["error"] == text


def test_bytes_of_a_url_that_are_no_utf8_are_percent_encoded() -> None:
    request = Request("GET", "http://a.test/caf\udce9", path="/x/caf\udce9")
    again = from_line(to_line(Exchange(request, RESPONSE)), 1).request
    assert (again.url, again.path) == ("http://a.test/caf%E9", "/x/caf%E9")


def test_header_bytes_that_are_no_utf8_are_escapes() -> None:
    headers = (("A", b"caf\xe9 \x80\xff".decode("utf-8", "surrogateescape")),)
    line = to_line(Exchange(replace(REQUEST, headers=headers), RESPONSE))
    assert '[["A","caf\\udce9 \\udc80\\udcff"]]' in line
    assert from_line(line, 1).request.headers == headers


wire_text = st.binary(max_size=20).map(
    lambda raw: raw.translate(None, b"\0\r\n").decode("utf-8", "surrogateescape")
)
wire_headers = st.lists(st.tuples(wire_text.filter(bool), wire_text), max_size=3).map(tuple)
unicode_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | unicode_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(unicode_text, inner, max_size=3),
    max_leaves=8,
)
unknown_keys = st.dictionaries(unicode_text.map(lambda key: f"x-{key}"), json_values, max_size=3)
offsets = st.integers(0, MAX_NS)


@st.composite
def responses(draw: st.DrawFn) -> Response:
    """Responses whose offsets ascend: headers, chunks, end."""
    datas = draw(st.lists(st.binary(max_size=30) | unicode_text.map(str.encode), max_size=8))
    times = sorted(draw(st.lists(offsets, min_size=len(datas) + 2, max_size=len(datas) + 2)))
    chunks = tuple(zip(times[1:-1], datas, strict=True))
    headers: Headers = draw(wire_headers)
    return Response(draw(st.integers(100, 599)), headers, times[0], chunks, times[-1], draw(unicode_text))


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    """Any exchange that a recorder may write."""
    headers: Headers = draw(wire_headers)
    path = draw(st.sampled_from(["", "/v1/x", "/?q=é"]))
    request = Request("POST", "https://a.test/v1/x", headers, draw(st.binary(max_size=40)), "HTTP/2.0", path)
    state = draw(st.sampled_from(State))
    answered = state in (State.COMPLETE, State.UNTERMINATED) or draw(st.booleans())
    response = draw(responses()) if answered else None
    parts = {"request": draw(unknown_keys), "response": draw(unknown_keys) if response else {}}
    return Exchange(
        request,
        response,
        state,
        started_at=draw(unicode_text),
        upstream=draw(unicode_text),
        connect_ns=draw(offsets),
        error_bound_ns=draw(st.none() | offsets),
        timing_known=draw(st.booleans()),
        rewritten=draw(st.booleans()),
        error=draw(st.none() | unicode_text),
        end_ns=response.end_ns if response else draw(offsets),
        extra=draw(unknown_keys) | {name: keys for name, keys in parts.items() if keys},
    )


@given(exchanges())
def test_out_and_in_again_changes_nothing(exchange: Exchange) -> None:
    line = to_line(exchange)
    assert from_line(line, 1) == exchange
    assert to_line(from_line(line, 1)) == line
    line.encode()


@given(st.binary(max_size=60))
def test_any_bytes_are_a_line_or_bad_input(raw: bytes) -> None:
    line = changed("request.body", {"base64": base64.b64encode(raw).decode()})
    assert from_line(line, 1).request.body == raw
    with pytest.raises(BadInput):
        from_line(raw.decode("utf-8", "surrogateescape"), 1)
