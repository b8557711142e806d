"""How each API words an error, and its limits: forms for harness's own answers in place of a provider's.

The law of this file: tables by API, pure. Sources: https://platform.openai.com/docs/guides/error-codes and
.../rate-limits, https://docs.claude.com/en/api/errors and .../rate-limits, and Ollama's docs/api.md. What no
API here knows is worded as OpenAI words it, which most others copy.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from http.client import responses as reasons

from harness.core.dates import date_of
from harness.core.dialects import BYTES, recognise
from harness.core.exchange import Headers, Request, header
from harness.core.limits import Standing

NS_PER_MS, NS_PER_S = 1_000_000, 1_000_000_000
REQUEST_ID = "req_harness"


class Api(StrEnum):
    """Whose forms are meant."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    OLLAMA = "ollama"


OPENAI_TYPES = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", None),
    429: ("requests", "rate_limit_exceeded"),
}
"""Status -> type and code of OpenAI's errors; below 500 others are as 400, from there `server_error`."""
ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Status -> type of Anthropic's errors; others are `invalid_request_error`, from 500 on `api_error`."""
MESSAGES = {
    401: "the API key is missing or wrong",
    429: "the rate limit is reached",
    500: "the server had an error",
    503: "the server is overloaded or not ready",
    529: "Overloaded",
}
"""Status -> the usual words; others say the status's own."""


def api_of(request: Request) -> Api:
    """The API that a request is for, by its path, else by the headers that its SDK sends."""
    dialect = recognise(request)
    if dialect is not BYTES:
        family = dialect.name.partition(".")[0]
        return Api(family) if family in Api else Api.OPENAI
    if header(request.headers, "anthropic-version") is not None:
        return Api.ANTHROPIC
    return Api.OLLAMA if "/api/" in request.path.partition("?")[0] else Api.OPENAI


# ---- errors ----


def error_body(api: Api, status: int, message: str, kind: str | None = None) -> bytes:
    """The body of an error; "": the usual words. `kind`: OpenAI's type where the status does not tell it."""
    words = message or MESSAGES.get(status) or reasons.get(status, "error").lower()
    return json.dumps(FORMS[api](status, f"harness: {words}", kind)).encode()


def own_error(
    api: Api, status: int, message: str, code: str, details: Mapping[str, object] | None = None
) -> bytes:
    """The body of an error that only harness has: its `code`, and `details` as `harness`, beside the message.

    Ollama's form has no object around the message, so that both stand at the top of its body.
    """
    form = FORMS[api](status, f"harness: {message}", None)
    error = form["error"]
    place = error if isinstance(error, dict) else form
    place |= {"code": code} | ({"harness": details} if details else {})
    return json.dumps(form).encode()


def openai_form(status: int, message: str, kind: str | None) -> dict[str, object]:
    """`{"error": {message, type, param, code}}`."""
    usual = ("server_error", None) if status >= 500 else OPENAI_TYPES[400]
    type_, code = OPENAI_TYPES.get(status, usual)
    return {"error": {"message": message, "type": kind or type_, "param": None, "code": code}}


def anthropic_form(status: int, message: str, _kind: str | None) -> dict[str, object]:
    """`{"type": "error", "error": {type, message}, "request_id"}`."""
    type_ = ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": type_, "message": message}, "request_id": REQUEST_ID}


def ollama_form(_status: int, message: str, _kind: str | None) -> dict[str, object]:
    """`{"error": message}`."""
    return {"error": message}


FORMS: dict[Api, Callable[[int, str, str | None], dict[str, object]]] = {
    Api.OPENAI: openai_form,
    Api.ANTHROPIC: anthropic_form,
    Api.OLLAMA: ollama_form,
}
ID_HEADERS = {Api.OPENAI: "x-request-id", Api.ANTHROPIC: "request-id"}


def error_headers(api: Api) -> Headers:
    """The headers of any error."""
    named = ((ID_HEADERS[api], REQUEST_ID),) if api in ID_HEADERS else ()
    return (("content-type", "application/json"), *named)


# ---- limits ----


def retry_headers(api: Api, wait_ns: int) -> Headers:
    """When to come again: whole seconds rounded up (RFC 9110, 10.2.3), and for OpenAI's SDKs ms as well."""
    after = ("retry-after", str(-(-wait_ns // NS_PER_S)))
    return (after, ("retry-after-ms", str(-(-wait_ns // NS_PER_MS)))) if api is Api.OPENAI else (after,)


def limit_headers(api: Api, standings: Iterable[Standing], wall_ns: int) -> Headers:
    """What is left of each limit. `wall_ns` is the wall clock, for Anthropic's dates."""
    if api is Api.ANTHROPIC:
        return tuple(pair for one in standings for pair in anthropic_limit(one, wall_ns))
    return tuple(pair for one in standings for pair in openai_limit(one))


def openai_limit(one: Standing) -> Headers:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`; reset is the time until all is back."""
    values = {"limit": str(one.limit), "remaining": str(one.left), "reset": span_text(one.full_ns)}
    return tuple((f"x-ratelimit-{name}-{one.counts}", value) for name, value in values.items())


def anthropic_limit(one: Standing, wall_ns: int) -> Headers:
    """`anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}`; reset is the date when all is back."""
    at_ns = -(-(wall_ns + one.full_ns) // NS_PER_S) * NS_PER_S
    date = f"{date_of(at_ns).partition('.')[0]}Z"
    values = {"limit": str(one.limit), "remaining": str(one.left), "reset": date}
    return tuple((f"anthropic-ratelimit-{one.counts}-{name}", value) for name, value in values.items())


def span_text(ns: int) -> str:
    """A length of time as OpenAI's headers have it, to the ms above.

    >>> span_text(20_000_000), span_text(1_500_000_000), span_text(360_000_000_000), span_text(0)
    ('20ms', '1.5s', '6m0s', '0s')
    """
    ms = -(-ns // NS_PER_MS)
    if 0 < ms < 1000:
        return f"{ms}ms"
    minutes, rest = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 1000:g}s"
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}" if minutes else seconds
