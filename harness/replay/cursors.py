"""Repeats: which of several equal exchanges is next, for whom.

A cursor counts how often a session asked one thing. What that count means is for `pick`, which is pure,
so that servers which share the counts (`Cursors`) need share nothing else.
"""

import random
from collections.abc import Callable
from typing import Protocol

from harness.core.errors import BadInput
from harness.core.exchange import Request, header
from harness.core.matching.words import Repeat
from harness.replay.gate import shown_key

EVERYBODY = ""
"""The session of all requests, where sessions are not told apart, or a request does not say whose it is."""
HEADER = "header:"
BY_KEY = "api-key"

type SessionOf = Callable[[Request], str]
"""The session that a request belongs to."""


class Cursors(Protocol):
    """Counts requests by session and key."""

    def advance(self, session: str, key: str) -> int:
        """How often this session asked this before; counts it."""

    def reset(self, session: str | None = None) -> None:
        """Begin again: one session, or all."""


class OwnCursors:
    """The cursors of one process."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, int]] = {}

    def advance(self, session: str, key: str) -> int:
        """How often this session asked this before; counts it."""
        counts = self.counts.setdefault(session, {})
        before = counts.get(key, 0)
        counts[key] = before + 1
        return before

    def reset(self, session: str | None = None) -> None:
        """Begin again: one session, or all."""
        if session is None:
            self.counts.clear()
        else:
            self.counts.pop(session, None)


def pick(repeat: Repeat, before: int, count: int, chance: str) -> int | None:
    """Which of `count` answers a request gets that was asked `before` times; None: they are all given.

    `chance` seeds a random choice; the same chance and count always choose the same.

    >>> [pick(Repeat.CYCLE, before, 2, "") for before in range(3)]
    [0, 1, 0]
    """
    if repeat is Repeat.RANDOM:
        return random.Random(f"{chance} {before}").randrange(count)  # noqa: S311  no secret is made
    if before < count:
        return before
    return {Repeat.SEQUENCE: None, Repeat.LAST: count - 1, Repeat.CYCLE: before % count}[repeat]


def session_by(text: str | None) -> SessionOf:
    """What tells sessions apart: `header:NAME` or `api-key`; None: nothing does. BadInput for anything else.

    An API key is known by its digest alone.
    """
    if text is None:
        return everybody
    if text.lower() == BY_KEY:
        return api_key
    name = text[len(HEADER) :].strip().lower()
    if not text.lower().startswith(HEADER) or not name:
        raise BadInput(f"--session-by {text!r} tells no clients apart: use header:NAME or {BY_KEY}")
    return lambda request: header(request.headers, name) or EVERYBODY


def everybody(_request: Request) -> str:
    """One session for all."""
    return EVERYBODY


def api_key(request: Request) -> str:
    """The digest of the API key that a request shows; `EVERYBODY` for one without."""
    digest = shown_key(request)
    return f"key {digest.hex()[:16]}" if digest else EVERYBODY
