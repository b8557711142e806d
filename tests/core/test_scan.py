import json
from collections.abc import Mapping

import pytest

from harness.core.exchange import Exchange, Headers, Request, Response
from harness.core.redaction import Redactor, Rules
from harness.core.run_secrets import RunSecrets
from harness.core.scan import Leak, Scanner, Severity

SECRET = "sk-" + "Planted42" * 3
RANDOM = "q7Zk2Vw9Xb4Rt6Yp1Lm8Nc3Sd5"
SCANNER = Scanner(Redactor(Rules.default(), RunSecrets(["planted-key-of-the-run"])))


def scanned(
    body: bytes = b"{}",
    *chunks: bytes,
    url: str = "http://a.test/v1/x",
    headers: Headers = (),
    error: str | None = None,
    extra: Mapping[str, object] | None = None,
) -> list[Leak]:
    response = Response(200, headers, 0, tuple(enumerate(chunks)), 9)
    request = Request("POST", url, headers, body)
    return list(SCANNER.exchange(Exchange(request, response, id=3, error=error, extra=extra or {})))


def places_of(leaks: list[Leak]) -> list[tuple[str, str]]:
    return [(leak.place, leak.rule) for leak in leaks]


def test_where_and_by_which_rule() -> None:
    body = json.dumps({"messages": [{"content": f"my key is {SECRET}, and"}]}).encode()
    (leak,) = scanned(body)
    rule, excerpt = "key openai, anthropic, openrouter, deepseek", ': "my key is sk-[redacted], and"}]}'
    assert leak == Leak(3, "request body /messages/0/content", rule, Severity.HIGH, excerpt)


def test_chunks_count_from_one() -> None:
    said = json.dumps({"error": {"message": SECRET}}).encode()
    assert places_of(scanned(b"{}", said[:5], said[5:]))[0][0] == "response chunk 2 /error/message"


@pytest.mark.parametrize(
    ("headers", "places"),
    [
        ((("X-Api-Key", "planted"),), [("request header x-api-key", "header x-api-key")]),
        ((("Authorization", "Bearer planted"),), [("request header authorization", "header authorization")]),
        ((("X-Other", "Bearer planted"),), [("request header x-other", "bearer")]),
        ((("X-Other", SECRET),), [("request header x-other", "key openai, anthropic, openrouter, deepseek")]),
        ((("Authorization", "Bearer [redacted]"), ("x-api-key", "REDACTED"), ("Cookie", "***")), []),
        ((("Authorization", "<REDACTED>"), ("x-api-key", "DUMMY-KEY"), ("api-key", "xxxxx")), []),
        ((("X-Other", RANDOM),), [("request header x-other", "random text")]),
        ((("X-Request-Id", RANDOM), ("cf-ray", RANDOM), ("traceparent", RANDOM)), []),
    ],
)
def test_headers(headers: Headers, places: list[tuple[str, str]]) -> None:
    assert places_of(scanned(headers=headers))[: len(places)] == places
    assert bool(scanned(headers=headers)) == bool(places)


def test_the_rest_of_an_exchange() -> None:
    found = scanned(url="http://a.test/?key=planted", error=f"no {SECRET}", extra={"a": SECRET})
    assert [place for place, _ in places_of(found)] == ["request url", "error", "extra"]


def test_what_own_rules_masked_is_no_secret_any_more() -> None:
    redactor = Redactor(Rules(names=("pin", "card"), paths=("$.who[*]",)))
    body = b'{"pin": 4711, "who": ["Jo", 17], "card": {"no": 123456, "name": "Jo"}}'
    exchange = Exchange(Request("POST", "http://a.test/x", (), body), Response(200, (), 0, ((0, body),), 9))
    masked, _ = redactor.exchange(exchange)
    scanner = Scanner(redactor)
    assert len(list(scanner.exchange(exchange))) == 10
    assert list(scanner.exchange(masked)) == []


def test_what_is_known_and_what_is_said_piece_by_piece() -> None:
    known = places_of(scanned(b'{"a":"planted-key-of-the-run"}'))
    assert known == [("request body /a", "secret of this run")]
    events = [
        b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % SECRET[at : at + 4].encode()
        for at in range(0, len(SECRET), 4)
    ]
    (leak,) = scanned(b"{}", *events, url="http://a.test/v1/chat/completions")
    assert (leak.place, leak.rule) == ("response, across events", "across events")
    assert leak.excerpt.startswith("sk-[redacted]")


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"a": RANDOM}, 1),
        ({"id": RANDOM, "call_id": RANDOM, "system_fingerprint": RANDOM, "obfuscation": RANDOM}, 0),
        ({"a": f"chatcmpl-{RANDOM}"}, 0),
        ({"a": "0123456789abcdef" * 4}, 0),
        ({"a": "123e4567-e89b-12d3-a456-426614174000"}, 0),
        ({"a": "anOrdinaryNameInCamelCase2OfAClass"}, 0),
        ({"a": RANDOM * 20}, 0),
        ({"a": "https://example.test/some/path/that/is/long/2026/Index"}, 0),
    ],
)
def test_what_looks_random_is_suspicious(body: object, count: int) -> None:
    found = scanned(json.dumps(body).encode())
    assert [leak.severity for leak in found] == [Severity.LOW] * count


def test_an_excerpt_holds_no_other_secret() -> None:
    body = json.dumps({"a": f"{SECRET} {SECRET} {RANDOM} planted-key-of-the-run"}).encode()
    found = scanned(body)
    assert len(found) == 4
    for leak in found:
        assert not any(word in leak.excerpt for word in ("Planted", "key-of", RANDOM[:4]))
