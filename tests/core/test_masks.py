import json
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.masks import MASK, FieldRow, Finder, Mask, Row, Tally, apply, long_mask, same_mask
from harness.core.redaction_rules import FIELDS, KEYS, QUERY, Key, Rules

TAIL = "Abc123" * 8
AWS = "ABCD1234EFGH5678"


def masked_by(row: Finder, data: bytes, mask: Mask) -> tuple[bytes, int]:
    tally: Tally = Counter()
    return apply(row, data, mask, tally), tally.total()


def secret_of(key: Key) -> str:
    """A key of this form, such as its provider gives out."""
    if key.prefix == "eyJ":
        return f"eyJ{TAIL}.eyJ{TAIL}.{TAIL}"
    if key.provider == "databricks":
        return "dapi" + "0123456789abcdef" * 2
    if key.before:
        return TAIL + key.prefix + TAIL[:30]
    return key.prefix + (AWS if key.provider.startswith("aws") else TAIL)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.prefix)
@pytest.mark.parametrize(
    "around",
    [
        '{{"a": "{}"}}',
        "{}",
        "Bearer {} x",
        r'"line\n{}\n"',
        r'"\u000a{}"',
        "a=%22{}%22",
        "'{}'",
        "({})",
        "x:{}",
    ],
)
def test_keys_are_found_in_every_surrounding(key: Key, around: str) -> None:
    secret = secret_of(key)
    text = around.format(secret).encode()
    masked, count = masked_by(Row.of_key(key), text, long_mask)
    assert count == 1
    assert len(masked) == len(text)
    assert secret[0 if key.before else len(key.prefix) :].encode() not in masked
    assert (b"" if key.before else key.prefix.encode()) + MASK in masked


def test_an_image_in_base64_is_left_alone() -> None:
    image = b"aB3" * 40 + b"/" + b"AIza" + b"xY7" * 15 + b"+" + b"aB3" * 40
    row = Row.of_key(next(key for key in KEYS if key.prefix == "AIza"))
    assert masked_by(row, image, long_mask) == (image, 0)
    assert masked_by(row, b"/v1beta/models/" + image[121:], long_mask)[1] == 1


@pytest.mark.parametrize(
    "text",
    [
        "risk-assessment-of-the-year-2026-and-after",
        "task-0123456789abcdef0123456789",
        "sk-short",
        "the hf_hub_download function of the_hf_transformers",
        "chatcmpl-AbcdEfghIjklMnopQrstUvwxYz",
        "org-chart",
        "eyJ is how base64 of JSON begins",
        "encrypted_content is null",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    rows: list[Finder] = [*map(Row.of_key, KEYS), *map(FieldRow.of, FIELDS)]
    assert [masked_by(row, text.encode(), long_mask) for row in rows] == [(text.encode(), 0)] * len(rows)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('{"encrypted_content":"gAAAAABsecret"}', '{"encrypted_content":"[redacted]***"}'),
        ('{"encrypted_content" : "abc"}', '{"encrypted_content" : "***"}'),
        (r'"{\"encrypted_content\":\"gAAAAABsecret\"}"', r'"{\"encrypted_content\":\"[redacted]***\"}"'),
        (r'{"encrypted_content":"abc\/def\u003d\u003d"}', '{"encrypted_content":"[redacted]**********"}'),
        ('{"encrypted_content":null,"x":"y"}', '{"encrypted_content":null,"x":"y"}'),
        ('{"encrypted_content":""}', '{"encrypted_content":""}'),
        (r'{"encrypted_content":"AAAA\nBBBB"}', '{"encrypted_content":"[redacted]"}'),
        (r'{"encrypted_content":"\n\\AAAA"}', '{"encrypted_content":"********"}'),
        (r'{"encrypted_content":"AA\"BB\\","x":"y"}', '{"encrypted_content":"********","x":"y"}'),
        (r'"{\"encrypted_content\":\"A\\nB\\\"C\\\\\"}"', r'"{\"encrypted_content\":\"[redacted]****\"}"'),
        (r'{"part":"\"encrypted_content\":"},"x":{"y":1}', r'{"part":"\"encrypted_content\":"},"x":{"y":1}'),
        ('{"Encrypted_Content":"abc"}', '{"Encrypted_Content":"***"}'),
    ],
)
def test_fields(text: str, masked: str) -> None:
    assert masked_by(FieldRow.of("encrypted_content"), text.encode(), long_mask)[0] == masked.encode()


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("secret", ['AA"BB', "AA\\BB", '\\"\\\\"BB', 'AA""BB', "AA\nBB", "é AA/BB"])
def test_fields_in_strings_of_strings(secret: str, depth: int) -> None:
    """And nothing behind the value is lost."""
    value: object = {"password": secret, "next": 'C"C'}
    for _ in range(depth):
        value = {"text": json.dumps(value)}
    masked, count = masked_by(FieldRow.of("password"), json.dumps(value).encode(), long_mask)
    found = json.loads(masked)
    for _ in range(depth):
        found = json.loads(found["text"])
    assert count == 1
    assert not {"A", "B"} & set(found["password"])
    assert found["next"] == 'C"C'


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("/v1/x?key=abc&alt=sse", "/v1/x?key=[redacted]&alt=sse"),
        ("/v1/x?alt=sse&KEY=abc#f", "/v1/x?alt=sse&KEY=[redacted]#f"),
        ("/v1/x?monkey=abc", "/v1/x?monkey=abc"),
        ("/v1/x?key=", "/v1/x?key="),
        ("/half?key=abc: the request", "/half?key=[redacted]: the request"),
        ("/half?key=[redacted]: the request", "/half?key=[redacted]: the request"),
        ("/v1/x?key=a:b.c&x=1", "/v1/x?key=[redacted]&x=1"),
        ("/v1/x?api%5Fkey=abc", "/v1/x?api%5Fkey=[redacted]"),
        ("/v1/x?a=1&Api%5fKey=a%2Fb", "/v1/x?a=1&Api%5fKey=[redacted]"),
        (
            "/v1/x?client_secret=abc&x-goog-signature=def",
            "/v1/x?client_secret=[redacted]&x-goog-signature=[redacted]",
        ),
    ],
)
def test_query(text: str, masked: str) -> None:
    assert masked_by(Row.of_query(QUERY), text.encode(), same_mask)[0] == masked.encode()


@pytest.mark.parametrize(
    "name",
    ["password", "x-goog-api-key", "api-key", "Api_Key", "API_KEY", "apiKey", "Authorization", "X-API-Key"],
)
def test_names_of_secret_fields(name: str) -> None:
    data = json.dumps({name: "secret", "x": "y"}).encode()
    for row in map(FieldRow.of, FIELDS):
        data, _ = masked_by(row, data, same_mask)
    assert json.loads(data) == {name: "[redacted]", "x": "y"}


def test_masking_twice_changes_and_counts_nothing() -> None:
    rows: list[Finder] = [*map(Row.of_key, KEYS), *map(FieldRow.of, FIELDS)]
    data = json.dumps({"encrypted_content": TAIL, "keys": [secret_of(key) for key in KEYS]}).encode()
    for mask in (long_mask, same_mask):
        once = data
        for row in rows:
            once, _ = masked_by(row, once, mask)
        for row in rows:
            assert masked_by(row, once, mask) == (once, 0)
    assert TAIL.encode() not in once


@given(st.binary(max_size=300))
def test_any_bytes_keep_their_length(data: bytes) -> None:
    rows: list[Finder] = [*map(Row.of_key, KEYS), *map(FieldRow.of, FIELDS)]
    for row in rows:
        assert len(masked_by(row, data, long_mask)[0]) == len(data)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.prefix)
def test_no_pattern_is_slow_on_what_almost_matches(key: Key) -> None:
    almost = f"{key.prefix}a".encode() * 20_000 + key.prefix.encode() + b"a." * 50_000 + b"!"
    masked_by(Row.of_key(key), almost, long_mask)
    masked_by(FieldRow.of("api_key"), b'"api_key": "' + rb"\\" * 50_000, long_mask)


def test_rules_survive_json() -> None:
    rules = Rules.default()
    assert Rules.from_json(rules.to_json()) == rules
    assert Rules.from_json(Rules().to_json()) == Rules()


def test_rules_of_an_older_recording_are_read() -> None:
    key = {"provider": "x", "prefix": "x-", "rest": "[0-9]+"}
    older = json.dumps({"headers": ["a"], "query": ["b"], "fields": ["c"], "keys": [key]})
    assert Rules.from_json(older) == Rules(("a",), ("b",), ("c",), (Key("x", "x-", "[0-9]+"),))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"headers": 1, "query": [], "fields": [], "keys": []}', "x"]
)
def test_what_is_no_rules(text: str) -> None:
    with pytest.raises(ValueError, match=re.compile("rules|JSON|Expecting", re.IGNORECASE)):
        Rules.from_json(text)


def test_a_rule_that_is_no_pattern() -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        Row.of_key(Key("x", "x-", "["))
