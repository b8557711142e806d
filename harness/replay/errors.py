"""Errors of harness's own, as the APIs word theirs, so that SDKs raise them with their message."""

import json
from typing import Any

KIND = "invalid_request_error"
"""OpenAI and Anthropic call a request that is wrong by the same name."""


def openai_error(message: str, code: str, details: dict[str, Any] | None = None) -> bytes:
    """The body of an error of OpenAI's API, which most others copy; `details` stand beside the message."""
    error = {"message": f"harness: {message}", "type": KIND, "param": None, "code": code}
    return json.dumps({"error": error | ({"harness": details} if details else {})}).encode()


def anthropic_error(message: str) -> bytes:
    """The body of an error of Anthropic's API."""
    error = {"type": KIND, "message": f"harness: {message}"}
    return json.dumps({"type": "error", "error": error}).encode()
