"""Cassettes and archives as their tools write them, in forms that no tool here can make."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.convert.formats import Format, exchanges_of, format_of
from harness.convert.vcr import cassette
from harness.core.derive import derive
from harness.core.errors import BadInput
from harness.core.exchange import Exchange, Request, Response, State, header

URL = "https://api.openai.com/v1/chat/completions"
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "Hi é"}}], "model": "m"}
TEXT = json.dumps(ANSWER, ensure_ascii=False)
JSON_TYPE = {"Content-Type": ["application/json"]}
SSE = (
    'data: {"choices":[{"delta":{"content":"Hi"}}]}\r\n\r\ndata: {"choices":[{"delta":{"content":" é"}}]}\n\n'
)


def vcr(response: dict[str, Any], **request: Any) -> dict[str, Any]:
    asked = {"method": "POST", "uri": URL, "body": "{}", "headers": {"Accept": ["*/*"]}} | request
    return {"interactions": [{"request": asked, "response": response}], "version": 1}


def har(response: dict[str, Any], **request: Any) -> dict[str, Any]:
    asked = {"method": "POST", "url": URL, "httpVersion": "h2", "headers": []} | request
    entry = {
        "startedDateTime": "2026-01-02T05:04:05.5+02:00",
        "time": 5,
        "request": asked,
        "response": response,
    }
    return {"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": [entry]}}


BASE64 = base64.b64encode(TEXT.encode()).decode()
STATUS = {"code": 200, "message": "OK"}
GZIPPED = gzip.compress(TEXT.encode(), mtime=0)
POLLY = json.dumps([base64.b64encode(part).decode() for part in (GZIPPED[:9], GZIPPED[9:])])
GZIP = {"Content-Encoding": ["gzip"], **JSON_TYPE, "Content-Length": [str(len(GZIPPED))]}
HAR_GZIP = [{"name": "content-encoding", "value": "gzip"}, {"name": ":status", "value": "200"}]

FORMS: dict[str, tuple[dict[str, Any], Format]] = {
    "VCR.py": (vcr({"status": STATUS, "headers": JSON_TYPE, "body": {"string": TEXT}}), Format.VCR),
    "VCR.py, gzip": (vcr({"status": STATUS, "headers": GZIP, "body": {"string": GZIPPED}}), Format.VCR),
    "VCR.py, decoded": (vcr({"status": STATUS, "headers": GZIP, "body": {"string": TEXT}}), Format.VCR),
    "VCR.py, parsed": (vcr({"status": STATUS, "headers": GZIP, "parsed_body": ANSWER}), Format.VCR),
    "VCR.py, old httpx": (
        vcr({"http_version": "HTTP/1.1", "status_code": 200, "headers": JSON_TYPE, "content": TEXT}),
        Format.VCR,
    ),
    "Ruby's VCR": (
        {
            "http_interactions": [
                {
                    "request": {
                        "method": "post", "uri": URL, "headers": {},
                        "body": {"encoding": "UTF-8", "string": "{}"},
                    },
                    "response": {
                        "status": STATUS, "headers": JSON_TYPE,
                        "body": {"encoding": "ASCII-8BIT", "base64_string": BASE64},
                    },
                    "recorded_at": "2026-01-02T03:04:05Z",
                }
            ],
            "recorded_with": "VCR 6.0.0",
        },
        Format.VCR,
    ),
    "go-vcr": (
        {
            "version": 2,
            "interactions": [
                {
                    "id": 0,
                    "request": {"method": "POST", "url": URL, "body": "{}", "headers": {}},
                    "response": {
                        "proto": "HTTP/2.0", "status": "200 OK", "code": 200, "duration": "1.5s",
                        "headers": JSON_TYPE, "body": TEXT,
                    },
                }
            ],
        },
        Format.GO_VCR,
    ),
    "HAR of a browser": (har({"status": 200, "headers": HAR_GZIP, "content": {"text": TEXT}}), Format.HAR),
    "HAR of Polly": (
        har({"status": 200, "headers": HAR_GZIP, "content": {"text": POLLY, "encoding": "base64"}}),
        Format.HAR,
    ),
}  # fmt: skip


def written(folder: Path, document: Any, *, as_json: bool = False) -> Path:
    path = folder / "file"
    text = json.dumps(document) if as_json else yaml.safe_dump(document, allow_unicode=True)
    path.write_text(text, "utf-8")
    return path


def one(path: Path, kind: Format) -> Exchange:
    (exchange,) = exchanges_of(path, kind)
    return exchange


WRITTEN = {
    f"{name}, {'JSON' if as_json else 'YAML'}": (*form, as_json)
    for name, form in FORMS.items()
    for as_json in (False, True)
    if not (as_json and name == "VCR.py, gzip")  # JSON holds no bytes, and VCR.py refuses to write them
}


@pytest.mark.parametrize(("document", "kind", "as_json"), WRITTEN.values(), ids=WRITTEN)
def test_every_form_gives_the_answer(
    document: dict[str, Any], kind: Format, as_json: bool, tmp_path: Path
) -> None:
    path = written(tmp_path, document, as_json=as_json)
    assert format_of(path, path.read_bytes()[:4096]) is kind
    exchange = one(path, kind)
    assert (exchange.request.method, exchange.request.url) == ("POST", URL)
    assert derive(exchange).text == "Hi é"
    assert exchange.upstream == "openai"
    assert not exchange.timing_known
    assert exchange.response
    length = header(exchange.response.headers, "content-length")
    assert length in (None, str(len(exchange.response.body)))


def test_what_was_decoded_is_said_and_what_was_not_stays(tmp_path: Path) -> None:
    kept = one(written(tmp_path, FORMS["VCR.py, gzip"][0]), Format.VCR)
    assert kept.response
    assert kept.response.body == GZIPPED
    assert header(kept.response.headers, "content-encoding") == "gzip"
    assert not kept.rewritten
    decoded = one(written(tmp_path, FORMS["VCR.py, decoded"][0]), Format.VCR)
    assert decoded.response
    assert header(decoded.response.headers, "content-encoding") is None
    assert decoded.rewritten


def test_a_stream_is_cut_into_its_events(tmp_path: Path) -> None:
    answer = {"status": STATUS, "headers": {"content-type": ["text/event-stream"]}, "body": {"string": SSE}}
    exchange = one(written(tmp_path, vcr(answer)), Format.VCR)
    assert exchange.response
    assert [data.decode() for _, data in exchange.response.chunks] == [
        SSE[: SSE.index("\r\n\r\n") + 4],
        SSE[SSE.index("\r\n\r\n") + 4 :],
    ]
    assert derive(exchange).text == "Hi é"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("text", ["[1, 2]", "[]", '{"id": 8}', "\n", "1", "data: 1\n\n"])
def test_text_is_decoded_whatever_its_headers_say(encoding: str, text: str, tmp_path: Path) -> None:
    answer = {"status": STATUS, "headers": {"content-encoding": [encoding]}, "body": {"string": text}}
    exchange = one(written(tmp_path, vcr(answer)), Format.VCR)
    assert exchange.response
    assert (exchange.response.headers, exchange.response.body) == ((), text.encode())


def test_a_parsed_body_is_json_whatever_its_members_are_called(tmp_path: Path) -> None:
    body = {"string": "x", "base64_string": "y"}
    exchange = one(
        written(tmp_path, vcr({"status": STATUS, "parsed_body": body}, parsed_body=body)), Format.VCR
    )
    assert exchange.response
    assert json.loads(exchange.request.body) == json.loads(exchange.response.body) == body


def test_har_details(tmp_path: Path) -> None:
    form = {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "a b", "value": "é"}]}
    headers = [{"name": ":path", "value": "/x"}, {"name": "Cookie", "value": "a=1"}]
    answered = {
        "status": 200,
        "headers": [{"name": "set-cookie", "value": "a=1\nb=2"}],
        "content": {"text": "x"},
    }
    exchange = one(
        written(tmp_path, har(answered, postData=form, headers=headers, url=f"{URL}#top")), Format.HAR
    )
    assert exchange.request.body == b"a+b=%C3%A9"
    assert exchange.request.headers == (("Cookie", "a=1"),)
    assert exchange.request.url == URL
    assert exchange.request.http_version == "HTTP/2.0"
    assert exchange.started_at == "2026-01-02T03:04:05.500000Z"
    assert exchange.response
    assert exchange.response.headers == (("set-cookie", "a=1"), ("set-cookie", "b=2"))
    for method, status, state in (
        ("POST", 200, State.UPSTREAM_CUT),
        ("HEAD", 200, State.COMPLETE),
        ("GET", 304, State.COMPLETE),
    ):
        left_out = har(
            {"status": status, "content": {"size": 9, "mimeType": "application/json"}}, method=method
        )
        assert one(written(tmp_path, left_out), Format.HAR).state is state
    failed = one(written(tmp_path, har({"status": 0, "_error": "net::ERR_FAILED"})), Format.HAR)
    assert (failed.state, failed.response, failed.error) == (State.CONNECT_FAILED, None, "net::ERR_FAILED")
    for url, status in (("data:text/plain,x", 200), ("wss://a.test/x", 101), (URL, 101)):
        path = written(tmp_path, har({"status": status}, url=url))
        assert list(exchanges_of(path, Format.HAR)) == []


BAD = {
    "a date as a body": (
        (
            f"interactions: [{{request: {{method: GET, uri: '{URL}'}}, "
            "response: {status: {code: 200}, body: {string: 2026-01-02}}}]"
        ),
        "interaction 1: a body is no JSON: Object of type date",
    ),
    "no YAML": ("a: [", ": is no YAML: did not find"),
    "a list": ("[1, 2]", "is no recording of a tool that is known"),
    "text": ("hello", "is no recording of a tool that is known"),
    "no JSON": ('{"log": ', "is no JSON"),
    "no entries": ('{"log": {}}', "log.entries: is missing"),
    "no status": (json.dumps(vcr({"headers": {}})), "interactions.0.response.status: is missing"),
    "no URL": (
        json.dumps(har({"status": 200}, url="http:x")),
        "interaction 1: the URL 'http:x' is not absolute",
    ),
    "no base64": (
        json.dumps(har({"status": 200, "content": {"text": "*", "encoding": "base64"}})),
        "interaction 1: ",
    ),
    "no list of base64": (
        json.dumps(har({"status": 200, "content": {"text": "[1]", "encoding": "base64"}})),
        "interaction 1: a body that is a list holds more",
    ),
    "a bad header": (
        json.dumps(vcr({"status": STATUS, "headers": {"a": ["x\r\ny: z"]}, "body": {"string": ""}})),
        "interaction 1: response.headers.0: holds a line break",
    ),
    "a bad status": (json.dumps(vcr({"status": {"code": 1000}})), "interaction 1: response.status"),
}


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD)
def test_bad_files_are_told_of_in_a_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        list(exchanges_of(path, format_of(path, text.encode())))
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cassette_holds_what_is_no_utf8_in_another_way() -> None:
    broken = "caf\udce9"
    request = Request("GET", f"http://a.test/{broken}", (("X-A", broken),), b"\xe9")
    exchange = Exchange(request, Response(200, (("x-b", broken),), 0, ((0, b"\xe9"),), 0))
    asked, answered = yaml.safe_load("".join(cassette([exchange])).encode())["interactions"][0].values()
    assert (asked["uri"], asked["body"]) == ("http://a.test/caf%E9", b"\xe9")
    assert (asked["headers"], answered["headers"]) == ({"X-A": ["caf\ufffd"]}, {"x-b": ["caf\ufffd"]})


def test_old_cassettes_with_tags_of_python_2(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(
        f"interactions:\n- request: {{body: !!python/unicode 'x', method: GET, uri: '{URL}'}}\n"
        "  response: {body: {string: !!python/unicode 'y'}, headers: {}, status: {code: 200, message: OK}}\n"
        "version: 1\n"
    )
    exchange = one(path, Format.VCR)
    assert exchange.request.body == b"x"
    path.write_text("interactions: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(BadInput, match="line 1: is no YAML"):
        one(path, Format.VCR)
