from collections.abc import Callable
from typing import Any

import pytest

from harness.core.derive import Derived
from harness.core.dialects.errors import error_in_body, error_in_event

type Derive = Callable[..., Derived]

SECRET = "prompt text"
BODIES: dict[str, tuple[Any, str]] = {
    "openai": (
        {"error": {"message": SECRET, "type": "invalid_request_error", "param": None, "code": "no_model"}},
        "invalid_request_error/no_model",
    ),
    "openai without code": (
        {"error": {"message": SECRET, "type": "server_error", "code": None}},
        "server_error",
    ),
    "azure": ({"error": {"code": "DeploymentNotFound", "message": SECRET}}, "DeploymentNotFound"),
    "azure management": ({"statusCode": 401, "message": SECRET}, "401"),
    "vllm": ({"error": {"message": SECRET, "type": "BadRequestError", "code": 400}}, "BadRequestError/400"),
    "old vllm": (
        {"object": "error", "message": SECRET, "type": "NotFoundError", "code": 404},
        "NotFoundError/404",
    ),
    "mistral": ({"detail": SECRET}, "error"),
    "mistral's validation": (
        {"detail": [{"type": "missing", "loc": ["body", SECRET], "msg": SECRET, "input": SECRET}]},
        "missing",
    ),
    "xai": (
        {"code": "Client specified an invalid argument", "error": SECRET},
        "Client specified an invalid argument",
    ),
    "anthropic": (
        {"type": "error", "error": {"type": "overloaded_error", "message": SECRET}, "request_id": "r"},
        "overloaded_error",
    ),
    "llama.cpp": (
        {"error": {"code": 400, "message": SECRET, "type": "invalid_request_error"}},
        "invalid_request_error/400",
    ),
    "google": (
        {"error": {"code": 400, "message": SECRET, "status": "INVALID_ARGUMENT"}},
        "INVALID_ARGUMENT/400",
    ),
    "ollama": ({"error": SECRET}, "error"),
    "empty": ({}, "error"),
    "odd types": ({"error": {"type": [SECRET], "code": {"a": 1}}}, "error"),
}


@pytest.mark.parametrize(("value", "expected"), BODIES.values(), ids=BODIES)
def test_bodies(derive_body: Derive, value: Any, expected: str) -> None:
    derived = derive_body("/v1/chat/completions", value, status=400, asked="m-1")
    assert (derived.error, derived.terminated, derived.model) == (expected, True, "m-1")
    assert SECRET not in repr(derived)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("error", {"message": SECRET, "code": 503}, "503"),
        ("error", {"error": {"type": "server_error"}}, "server_error"),
        ("error", None, "error"),
        ("error", [SECRET], "error"),
        (None, {"error": {"type": "server_error", "code": 502}, "choices": []}, "server_error/502"),
        (None, {"type": "error", "code": "rate_limit", "message": SECRET}, "rate_limit"),
        (None, {"type": "response.failed", "response": {"error": {"code": "server_error"}}}, "server_error"),
        (None, {"error": None, "choices": []}, None),
        (None, {"response": {"error": None}}, None),
        (None, {"response": "text"}, None),
        ("ping", {"type": "ping"}, None),
        (None, None, None),
        (None, ["error"], None),
    ],
)
def test_events(name: str | None, value: Any, expected: str | None) -> None:
    assert error_in_event(name, value) == expected


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/unknown"])
def test_an_error_event_ends_any_stream(derive_stream: Derive, path: str) -> None:
    derived = derive_stream(path, {"error": {"type": "server_error", "message": SECRET}})
    assert (derived.error, derived.terminated, derived.stream) == ("server_error", True, True)
    assert SECRET not in repr(derived.error)


def test_an_error_at_status_200(derive_body: Derive) -> None:
    assert derive_body("/v1/chat/completions", {"error": {"code": "x"}}).error == "x"
    assert derive_body("/v1/chat/completions", {"detail": "of a good answer", "choices": []}).error is None


@pytest.mark.parametrize("value", [None, [], "text", 1, [{"error": "x"}]])
def test_bodies_that_are_no_objects(value: Any) -> None:
    assert error_in_body(500, value) is None


def test_names_are_short_and_of_one_line() -> None:
    assert error_in_body(400, {"type": "a\n b" + "c" * 200}) == "a b" + "c" * 76
    assert error_in_body(400, {"type": "x\ud83d", "code": 10**30}) == "x�"
    assert error_in_body(400, {"type": "error", "code": True}) == "error"
