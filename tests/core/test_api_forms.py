"""Errors and limits in the form of each API."""

import json

import pytest

from harness.core.api_forms import (
    Api,
    api_of,
    error_body,
    limit_headers,
    own_error,
    retry_headers,
    span_text,
)
from harness.core.exchange import Request
from harness.core.limits import Standing

S = 1_000_000_000
STANDINGS = (Standing("requests", 60, 59, S, 0), Standing("tokens", 1000, 0, 60 * S, 20 * S))


@pytest.mark.parametrize(
    ("path", "headers", "api"),
    [
        ("/v1/chat/completions", (), Api.OPENAI),
        ("/openai/v1/responses", (), Api.OPENAI),
        ("/v1/embeddings", (), Api.OPENAI),
        ("/v1/messages", (), Api.ANTHROPIC),
        ("/api/chat", (), Api.OLLAMA),
        ("/api/tags", (), Api.OLLAMA),
        ("/v1/models", (), Api.OPENAI),
        ("/v1/models", (("Anthropic-Version", "2023-06-01"),), Api.ANTHROPIC),
        ("/anything?x=/api/", (), Api.OPENAI),
    ],
)
def test_the_api_is_that_of_path_or_headers(
    path: str, headers: tuple[tuple[str, str], ...], api: Api
) -> None:
    assert api_of(Request("POST", f"http://up{path}", headers)) is api


@pytest.mark.parametrize(
    ("api", "status", "place", "value"),
    [
        (Api.OPENAI, 401, ("error", "code"), "invalid_api_key"),
        (Api.OPENAI, 429, ("error", "code"), "rate_limit_exceeded"),
        (Api.OPENAI, 418, ("error", "type"), "invalid_request_error"),
        (Api.OPENAI, 503, ("error", "type"), "server_error"),
        (Api.ANTHROPIC, 401, ("error", "type"), "authentication_error"),
        (Api.ANTHROPIC, 422, ("error", "type"), "invalid_request_error"),
        (Api.ANTHROPIC, 429, ("error", "type"), "rate_limit_error"),
        (Api.ANTHROPIC, 500, ("error", "type"), "api_error"),
        (Api.ANTHROPIC, 529, ("error", "type"), "overloaded_error"),
        (Api.ANTHROPIC, 529, ("type",), "error"),
        (Api.OLLAMA, 503, ("error",), "harness: the server is overloaded or not ready"),
        (Api.OLLAMA, 599, ("error",), "harness: error"),
    ],
)
def test_errors_are_named_as_the_api_names_them(
    api: Api, status: int, place: tuple[str, ...], value: str
) -> None:
    found = json.loads(error_body(api, status, ""))
    for name in place:
        found = found[name]
    assert found == value


def test_limits_of_openai() -> None:
    assert dict(limit_headers(Api.OPENAI, STANDINGS, 0)) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "1m0s",
    }


@pytest.mark.parametrize(
    ("api", "error", "own"),
    [
        (Api.OPENAI, {"message": "harness: no", "type": "invalid_request_error", "param": None}, ("error",)),
        (Api.ANTHROPIC, {"message": "harness: no", "type": "not_found_error"}, ("error",)),
        (Api.OLLAMA, "harness: no", ()),
    ],
)
def test_errors_of_our_own_have_code_and_details_beside_the_message(
    api: Api, error: object, own: tuple[str, ...]
) -> None:
    form = json.loads(own_error(api, 404, "no", "harness_miss", {"why": "unmatched"}))
    place = form[own[0]] if own else form
    assert (place.pop("code"), place.pop("harness")) == ("harness_miss", {"why": "unmatched"})
    assert form["error"] == error


def test_limits_of_anthropic_are_reset_at_a_date() -> None:
    assert dict(limit_headers(Api.ANTHROPIC, STANDINGS[1:], 1_700_000_000_500_000_000)) == {
        "anthropic-ratelimit-tokens-limit": "1000",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2023-11-14T22:14:21Z",
    }


def test_to_come_again_is_never_too_early() -> None:
    assert retry_headers(Api.OPENAI, 1_200_000_001) == (("retry-after", "2"), ("retry-after-ms", "1201"))
    assert retry_headers(Api.ANTHROPIC, 2 * S) == (("retry-after", "2"),)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1, "1ms"),
        (999_000_001, "1s"),
        (S, "1s"),
        (61 * S, "1m1s"),
        (3600 * S, "1h0m0s"),
        (90_500_000_000, "1m30.5s"),
    ],
)
def test_spans_as_headers_have_them(ns: int, text: str) -> None:
    assert span_text(ns) == text
