"""`harness replay --validate-requests`: broken requests get 400 in the API's own form."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from harness.core.exchange import Exchange, Request
from harness.replay.guard import Guard, Wrong

if TYPE_CHECKING:
    from tests.replay.conftest import ReplayServer

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
SECRET = "the text of a prompt"
GOOD = {"model": "m", "messages": [{"role": "user", "content": SECRET}]}
BAD = GOOD | {"model": 5}
OPTION = ("--validate-requests",)

type Serve = Callable[..., "ReplayServer"]
type Make = Callable[..., Exchange]


def encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def post(server: "ReplayServer", path: str, body: bytes, method: str = "POST") -> tuple[int, bytes]:
    head = f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
    received = server.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    top, _, rest = received.partition(b"\r\n\r\n")
    return int(top.split()[1]), b"hello" if b"hello" in rest else rest


@pytest.mark.parametrize(
    ("path", "kind", "named"),
    [
        (CHAT, ("invalid_request_error", None), "schema.type at /model: "),
        ("/up" + CHAT, ("invalid_request_error", None), "schema.type at /model: "),
        (MESSAGES, ("invalid_request_error", "error"), "schema.missing at /max_tokens: "),
    ],
)
def test_a_broken_request_is_refused_in_the_apis_own_form(
    path: str, kind: tuple[str, str | None], named: str, serve: Serve, exchange: Make
) -> None:
    server = serve(exchange(encoded(GOOD), path=CHAT), options=OPTION)
    status, body = post(server, path, encoded(BAD))
    answer = json.loads(body)
    assert status == 400
    assert (answer["error"]["type"], answer.get("type")) == kind
    assert named in answer["error"]["message"]
    assert SECRET not in body.decode()


def test_what_is_no_json_is_refused(serve: Serve, exchange: Make) -> None:
    server = serve(exchange(encoded(GOOD), path=CHAT), options=OPTION)
    deep = b'{"model":"m","messages":%b%b}' % (b"[" * 5000, b"]" * 5000)
    for bad, words in ((b"{", b"is no JSON object"), (deep, b"nested too deeply")):
        status, body = post(server, CHAT, bad)
        assert status == 400
        assert b"schema.json" in body
        assert words in body


@pytest.mark.parametrize(("path", "method"), [("/v1/unknown", "POST"), ("/v1/models", "GET")])
def test_what_no_schema_is_about_is_answered(path: str, method: str, serve: Serve, exchange: Make) -> None:
    server = serve(exchange(b"x", path=path, method=method), options=OPTION)
    assert post(server, path, b"x", method) == (200, b"hello")
    assert server.stop()[0] == 0


def test_refusals_are_counted_and_valid_requests_answered(serve: Serve, exchange: Make) -> None:
    server = serve(exchange(encoded(GOOD), path=CHAT), options=OPTION)
    assert post(server, CHAT, encoded(GOOD)) == (200, b"hello")
    for _ in range(2):
        assert post(server, CHAT, encoded(BAD))[0] == 400
    page = json.loads(post(server, "/__admin/invalid", b"", "GET")[1])
    assert page["count"] == 2
    assert page["requests"][0]["request"] == f"POST {CHAT}"
    assert page["requests"][0]["message"].startswith("schema.type at /model: ")
    code, summary = server.stop()
    assert code == 1
    counts = {name: summary[name] for name in ("requests", "answered", "missed", "invalid")}
    assert counts == {"requests": 3, "answered": 1, "missed": 0, "invalid": 2}


def test_without_the_option_nothing_is_refused(serve: Serve, exchange: Make) -> None:
    server = serve(exchange(encoded(BAD), path=CHAT))
    assert post(server, CHAT, encoded(BAD)) == (200, b"hello")
    code, summary = server.stop()
    assert (code, summary["invalid"]) == (0, 0)


def test_equal_requests_are_checked_once() -> None:
    asked: list[bytes] = []

    def check(request: Request) -> Wrong | None:
        asked.append(request.body)
        return Wrong("rule at /x: words") if request.body == b"bad" else None

    guard = Guard(check)
    verdicts = [guard.refuse(Request("POST", "http://h/v1", body=body)) for body in (b"bad", b"ok") * 2]
    assert [verdict is not None for verdict in verdicts] == [True, False, True, False]
    assert asked == [b"bad", b"ok"]
    assert guard.invalid == 2
