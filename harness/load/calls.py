"""Calls from a recording: what was asked for is asked for again, in recorded order.

The law of this file: a body is sent exactly as it was recorded, unless another model is asked for. No
secret is sent, nor the mask that stands for one: a recording holds no key, a run has its own. Headers
that belong to a connection, a client or a trace are left out.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from harness.core.dates import wall_ns
from harness.core.derive import derive
from harness.core.dialects import recognise
from harness.core.encoding import decode_body, encoding_of
from harness.core.errors import BadInput
from harness.core.exchange import Exchange, Headers
from harness.core.headers import OF_CONNECTION, OF_TRACE, is_named
from harness.core.interchange import TOKEN
from harness.core.json_text import compact, healed, parse
from harness.core.masks import MASK
from harness.core.redaction_rules import HEADERS
from harness.load.apis import API_OF_DIALECT, FORMS, limit_of, streams
from harness.load.place import Place, has_version
from harness.load.plan import Call
from harness.store.open import open_recording

DROPPED = (
    *HEADERS,
    *OF_CONNECTION,
    *OF_TRACE,
    "content-encoding",
    "accept-encoding",
    "user-agent",
)
"""Headers that are not sent again, as patterns: secrets, and those of a connection, a trace or a client."""

PASSING = frozenset({401, 403, 408, 409, 425, 429})
"""Errors below 500 that say nothing against the request itself."""
MARK = MASK.decode()


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded request. `at_ns`: its t0 on the wall clock (None: unknown); `end_ns` counts from there."""

    call: Call
    dialect: str
    at_ns: int | None
    end_ns: int
    capture: int


def recorded_calls(path: Path, place: Place, model: str | None = None) -> list[Recorded]:
    """The requests of a recording that generate, in recorded order. BadInput: none is there.

    Left out are requests of other endpoints, what is no JSON, and what the API refused as wrong when
    it was recorded.
    """
    with open_recording(path) as recording:
        read = [recorded(exchange, place, model) for exchange in recording.exchanges()]
    if not read:
        raise BadInput(f"{path} is empty: there is no request to send")
    found = [one for one in read if one is not None]
    if not found:
        raise BadInput(
            f"{path} holds no request that can be sent: none of its {len(read)} is an accepted request of "
            "chat, completions, Responses, Anthropic messages or Ollama"
        )
    return found


def recorded(exchange: Exchange, place: Place, model: str | None = None) -> Recorded | None:
    """An exchange's request as it is sent again; None where it cannot be used."""
    request, dialect = exchange.request, recognise(exchange.request).name
    api = API_OF_DIALECT.get(dialect)
    if api is None or was_refused(exchange):
        return None
    try:
        text = decode_body(encoding_of(request.headers), request.body).decode()
        body = parse(text.encode())
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    call = Call(
        path=place.path(recorded_path(request.path, versioned=FORMS[api].versioned)),
        body=text if model is None else healed(compact(body | {"model": model})),
        headers=sendable(request.headers),
        tokens_in=derive(exchange).usage.input,
        most_tokens_out=limit_of(body),
        stream=streams(body, api),
    )
    return Recorded(call, dialect, moment(exchange), end_of(exchange), exchange.capture)


def was_refused(exchange: Exchange) -> bool:
    """Whether the API said that the request is wrong: it would again, and that measures nothing."""
    status = exchange.response.status if exchange.response else 0
    return 400 <= status < 500 and status not in PASSING


def recorded_path(path: str, *, versioned: bool) -> str:
    """The path that the client asked for, with the version that its upstream had, without masked keys.

    >>> recorded_path("/chat/completions?key=[redacted]&a=1", versioned=True)
    '/v1/chat/completions?a=1'
    """
    plain, _, query = path.partition("?")
    kept = "&".join(pair for pair in query.split("&") if pair and MARK not in unquote(pair))
    if versioned and not has_version(plain) and plain in UNVERSIONED:
        plain = f"/v1{plain}"
    return quote(path_bytes(f"{plain}?{kept}" if kept else plain), PLAIN)


def path_bytes(path: str) -> bytes:
    """The bytes that a path stands for (PEP 383); where a lone surrogate stands for none, it is replaced."""
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return healed(path).encode()


PLAIN = "".join(map(chr, range(0x21, 0x7F)))
"""What is left as it is in a path, percent signs included."""
UNVERSIONED = frozenset(form.path for form in FORMS.values() if form.versioned)


def sendable(headers: Headers) -> Headers:
    """The headers that belong to the content."""
    kept = [(name, value) for name, value in headers if not is_dropped(name.lower())]
    return tuple((name, value) for name, value in kept if can_be_sent(name, value))


def can_be_sent(name: str, value: str) -> bool:
    """Whether a header is well-formed text (RFC 9110, 5.6.2), and no mask."""
    return MARK not in value and healed(value) == value and re.fullmatch(TOKEN, name) is not None


def is_dropped(name: str) -> bool:
    """Whether a header of this name, in lower case, is not sent again."""
    return is_named(name, DROPPED)


def moment(exchange: Exchange) -> int | None:
    """t0 on the wall clock; None where it is unknown."""
    try:
        return wall_ns(exchange.started_at)
    except ValueError:
        return None


def end_of(exchange: Exchange) -> int:
    """When the exchange ended, from t0."""
    return exchange.response.end_ns if exchange.response else exchange.end_ns


def wall_times(path: Path, requests: Iterable[Recorded]) -> Iterator[int]:
    """When each request was made, in ns of a clock that stands still between captures. BadInput: no times.

    The pause between two captures is left out: the second begins when all requests of the first had ended.
    """
    capture: int | None = None
    shift = end = 0
    for one in requests:
        if one.at_ns is None:
            raise BadInput(
                f"{path} does not say when its requests were made: leave --fixed-schedule away, "
                "and give --request-rate or --concurrency"
            )
        if one.capture != capture:
            shift = end - one.at_ns if capture is not None else 0
            capture = one.capture
        at = one.at_ns + shift
        end = max(end, at + one.end_ns)
        yield at
