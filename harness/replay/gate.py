"""The gate: who may come in, and how often. API keys, and limits of each key.

The law of this file: a key is compared and remembered as its digest, and told to nobody. Refusals are
worded as the API that is asked words them; what is left of a limit stands in the headers of every answer.
A limit counts what the recorded answers say that they used; what no provider counted is free.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from harness.core.admin import Result
from harness.core.api_forms import (
    Api,
    api_of,
    error_body,
    error_headers,
    limit_headers,
    retry_headers,
    span_text,
)
from harness.core.exchange import Headers, Request, header
from harness.core.limits import Limiter, Standing
from harness.replay.answers import instant
from harness.replay.connection import Answer
from harness.replay.heads import with_headers
from harness.replay.reader import Incoming

KEY_HEADERS = ("x-api-key", "api-key", "x-goog-api-key")
"""Where clients show a key, beside `authorization`: Anthropic, Azure, Google."""
SCHEME = "bearer "
LIMIT_HEADERS = ("x-ratelimit-", "anthropic-ratelimit-")
"""Recorded headers that would contradict ours."""
NAMED_WAYS = {
    Api.OPENAI: "authorization: Bearer KEY",
    Api.ANTHROPIC: "x-api-key: KEY",
    Api.OLLAMA: "authorization: Bearer KEY",
}
CHALLENGES: dict[Api, Headers] = {Api.OPENAI: (("www-authenticate", 'Bearer realm="harness"'),)}
FREE = frozenset({"OPTIONS"})
"""Methods that are asked for nothing, and get no fault by a rule: a browser's preflight carries no key."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is asked of clients: one of these keys (none: any), and so much a minute (None: no limit)."""

    keys: tuple[str, ...] = field(default=(), repr=False)
    requests: int | None = None
    tokens: int | None = None

    @property
    def any(self) -> bool:
        """Whether anything is asked."""
        return bool(self.keys) or self.requests is not None or self.tokens is not None


NO_LIMITS = Limits()


class Limiting(Protocol):
    """What counts requests and tokens by key (`harness.core.limits.Limiter`, or one that is shared)."""

    def admit(self, key: bytes | None, now_ns: int) -> Standing | None:
        """Let a request in and count it; else the limit that keeps it out for the longest time."""

    def charge(self, key: bytes | None, tokens: int, now_ns: int) -> None:
        """Take the tokens of an answer."""

    def standing(self, key: bytes | None, now_ns: int) -> list[Standing]:
        """What is left of each limit."""

    def reset(self) -> None:
        """Nobody used anything of theirs yet."""


class Gate:
    """Lets requests in. `tokens_of` tells what the answer of a label used; `wall_ns` is the wall clock."""

    def __init__(
        self,
        limits: Limits,
        tokens_of: Callable[[str], int],
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.known = frozenset(map(digest_of_key, limits.keys))
        self.limiter: Limiting = Limiter(limits.requests, limits.tokens)
        self.charges = limits.tokens is not None
        self.is_limited = limits.requests is not None or limits.tokens is not None
        self.tokens_of = tokens_of
        self.wall_ns = wall_ns
        self.unauthorised = self.limited = 0

    def refuse(self, incoming: Incoming) -> Answer | None:
        """The answer to a request that may not come in; None where it may, and then it is counted."""
        if incoming.request.method in FREE:
            return None
        key = shown_key(incoming.request)
        if self.known and key not in self.known:
            self.unauthorised += 1
            return unauthorised(incoming)
        if not self.is_limited:
            return None
        over = self.limiter.admit(key, incoming.t0_ns)
        if over is None:
            return None
        self.limited += 1
        return self.over(incoming, over)

    def over(self, incoming: Incoming, limit: Standing) -> Answer:
        """The 429 of a request that is over a limit."""
        api = api_of(incoming.request)
        wait = span_text(limit.wait_ns)
        message = f"the limit of {limit.limit} {limit.counts} a minute is reached: try again in {wait}"
        headers = (
            *error_headers(api),
            *retry_headers(api, limit.wait_ns),
            *self.headers(api, incoming),
        )
        body = error_body(api, 429, message, limit.counts)
        return Answer(instant(429, body, incoming.client, headers), instant=True, result=Result.LIMITED)

    def headers(self, api: Api, incoming: Incoming) -> Headers:
        """What is left of the limits of whoever asks."""
        standings = self.limiter.standing(shown_key(incoming.request), incoming.t0_ns)
        return limit_headers(api, standings, self.wall_ns())

    def charged(self, incoming: Incoming, answer: Answer) -> Answer:
        """An answer with what is left of the limits in its headers; what it used is counted."""
        if not self.is_limited or incoming.request.method in FREE:
            return answer
        if self.charges and answer.label:
            self.limiter.charge(shown_key(incoming.request), self.tokens_of(answer.label), incoming.t0_ns)
        headers = self.headers(api_of(incoming.request), incoming)
        return replace(answer, playback=with_headers(answer.playback, headers, LIMIT_HEADERS))


def unauthorised(incoming: Incoming) -> Answer:
    """The 401 of a request without a key that is known."""
    api = api_of(incoming.request)
    message = f"the API key is missing or wrong: send {NAMED_WAYS[api]}"
    headers = (*error_headers(api), *CHALLENGES.get(api, ()))
    body = error_body(api, 401, message)
    return Answer(instant(401, body, incoming.client, headers), instant=True, result=Result.UNAUTHORISED)


def shown_key(request: Request) -> bytes | None:
    """The digest of the key that a request shows; None where it shows none."""
    scheme = header(request.headers, "authorization") or ""
    if scheme[: len(SCHEME)].lower() == SCHEME:
        return digest_of_key(scheme[len(SCHEME) :].strip())
    found = (value for name in KEY_HEADERS if (value := header(request.headers, name)))
    return next((digest_of_key(value) for value in found), None)


def digest_of_key(key: str) -> bytes:
    """What is remembered of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def checked_keys(keys: Sequence[str]) -> tuple[str, ...]:
    """Keys that a header can hold. ValueError, which repeats none, for others."""
    if any(not key or not key.isprintable() or " " in key for key in keys):
        raise ValueError("a key is empty or holds what no header can")
    return tuple(keys)
