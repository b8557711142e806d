"""What secrets are left in an exchange, and where: by the rules, and by how random a text looks.

The law of this file: pure, an exchange in, leaks out; an excerpt never holds the secret, nor another.
"""

import json
import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from harness.core.derive import derive
from harness.core.exchange import Exchange, Headers, Request, Response
from harness.core.json_path import Place, places, pointer
from harness.core.masks import CREDENTIALS, MASK, Finder, Row, long_mask
from harness.core.redaction import ACROSS, Redactor
from harness.core.rewriting import plain_chunks, plain_of
from harness.core.structured import SAME_NUMBER


class Severity(StrEnum):
    """How sure it is that something is a secret."""

    HIGH = "high"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret that is left: in which exchange, where, by which rule, and the text around its mask."""

    exchange: int
    place: str
    rule: str
    severity: Severity
    excerpt: str


AROUND = 16
"""Bytes of an excerpt before a secret, and behind it."""

RANDOM = Row(
    "random text",
    b"",
    re.compile(rb"(?<![A-Za-z0-9+/_=.-])()([A-Za-z0-9+/_-]{24,128}={0,2})(?![A-Za-z0-9+/_=.-])"),
)
"""What may be a secret that no rule knows: too long for a word, too short for a file."""

LEAST_BITS = 4.2
"""Bits a character (Shannon's entropy) of what looks random: hexadecimal digits have 4 at most."""

IDS = re.compile(
    rb"(?:chatcmpl|cmpl|call|resp|msg|req|toolu|srvtoolu|fp|run|rs|fc|ws|item|gen|batch|file|thread|asst|step"
    rb"|prompt|conv|tooluse|embd|modr|ftjob)[-_]"
)
"""How identifiers of providers begin, which are no secrets."""

ID_HEADERS = re.compile(
    r"request-?id|trace|ray\Z|etag|idempotency|stainless|span|correlation|user-agent|\Asec-"
)
"""Headers that hold identifiers."""

IDENTIFIER = re.compile(r"(?:/id|_id|/obfuscation|fingerprint|/signature)\Z")
"""How JSON pointers of identifiers end, and of what providers send that is random."""

PLACEHOLDER = re.compile(
    rb"[\W_]*(?:redacted|masked|filtered|removed|hidden|dummy|fake|placeholder|x{3,}|\.{3,}|\*+|%s)[\W_a-z]*"
    % re.escape(MASK),
    re.IGNORECASE,
)
"""What stands for a secret in recordings that somebody else redacted."""


class Scanner:
    """Finds what a redactor would mask, and what looks random."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor

    def exchange(self, exchange: Exchange) -> Iterator[Leak]:
        """All that is left in an exchange."""
        number, request, response = exchange.id, exchange.request, exchange.response
        self.redactor.learn(request, response)
        yield from self.request(number, request)
        if response:
            yield from self.headers(number, "response", response.headers)
            yield from self.response(number, response)
            yield from self.across(exchange)
        yield from self.text(number, "error", exchange.error or "")
        yield from self.text(number, "extra", json.dumps(dict(exchange.extra)) if exchange.extra else "")

    def request(self, number: int, request: Request) -> Iterator[Leak]:
        """What a request has in its URL, headers and body."""
        yield from self.text(number, "request url", request.url)
        if not request.url.endswith(request.path):
            yield from self.text(number, "request path", request.path)
        yield from self.headers(number, "request", request.headers)
        body = b"".join(data for _, data in plain_chunks(request.headers, ((0, request.body),)))
        found = list(self.found(body, request.headers))
        known = list(places(body)) if found else []
        for start, rule, severity, excerpt in found:
            where = pointer_at(known, start)
            if severity is Severity.HIGH or not IDENTIFIER.search(where):
                yield Leak(number, f"request body{where}", rule, severity, excerpt)

    def headers(self, number: int, side: str, headers: Headers) -> Iterator[Leak]:
        """What headers have: by their names, or in their values."""
        for name, value in headers:
            low = name.lower()
            if not self.redactor.is_secret(low):
                yield from self.text(number, f"{side} header {low}", value)
            elif value and not is_masked(value.partition(" ")[2] or value):
                yield Leak(number, f"{side} header {low}", f"header {low}", Severity.HIGH, MASK.decode())

    def response(self, number: int, response: Response) -> Iterator[Leak]:
        """What the body of a response has, by chunk, from 1, of the decoded body."""
        chunks = plain_of(response)
        body = b"".join(data for _, data in chunks)
        found = list(self.found(body, response.headers))
        starts = list(accumulate((len(data) for _, data in chunks), initial=0))
        known = list(places(body)) if found else []
        for start, rule, severity, excerpt in found:
            where, chunk = pointer_at(known, start), bisect_right(starts, start)
            if severity is Severity.HIGH or not IDENTIFIER.search(where):
                yield Leak(number, f"response chunk {chunk}{where}", rule, severity, excerpt)

    def across(self, exchange: Exchange) -> Iterator[Leak]:
        """What a stream says piece by piece."""
        masked, _ = self.redactor.exchange(exchange)
        done, count = self.redactor.across_events(masked, derive(masked))
        if count:
            text = derive(done).text
            at = max(0, text.find(MASK.decode()) - AROUND)
            excerpt = text[at : at + 2 * AROUND + len(MASK)] if MASK.decode() in text else MASK.decode()
            yield Leak(exchange.id, "response, across events", ACROSS, Severity.HIGH, excerpt)

    def text(self, number: int, place: str, text: str) -> Iterator[Leak]:
        """What a text that is no body has."""
        data = text.encode("utf-8", "surrogateescape")
        more = (self.redactor.query, *([CREDENTIALS] if "header" in place else []))
        quiet = ID_HEADERS.search(place) is not None
        for _, rule, severity, excerpt in self.found(data, (), more):
            if severity is Severity.HIGH or not quiet:
                yield Leak(number, place, rule, severity, excerpt)

    def found(
        self, data: bytes, headers: Headers, more: Iterable[Finder] = ()
    ) -> Iterator[tuple[int, str, Severity, str]]:
        """Where something secret starts, by which rule, and what stands around it; in order."""
        spans: list[tuple[int, int, str, Severity]] = []
        hidden = bytearray(data)
        for finder in (*self.redactor.finders(data, headers), *more):
            for start, end, cover in finder.covers(data, long_mask):
                fresh = data[start:end] not in (cover, SAME_NUMBER) and not is_masked(data[start:end])
                if fresh and any(code != STAR for code in hidden[start:end]):
                    spans.append((start, end, finder.rule, Severity.HIGH))
                    hidden[start:end] = b"*" * (end - start)
        for start, end in random_texts(bytes(hidden)):
            spans.append((start, end, RANDOM.rule, Severity.LOW))
            hidden[start:end] = b"*" * (end - start)
        for start, end, rule, severity in sorted(spans):
            yield start, rule, severity, excerpt_of(hidden, start, end)


STAR = ord("*")


def excerpt_of(hidden: bytearray, start: int, end: int) -> str:
    """A mask with the text around it, in which all that was found is hidden."""
    before, after = hidden[max(0, start - AROUND) : start], hidden[end : end + AROUND]
    return (bytes(before) + MASK + bytes(after)).decode("utf-8", "replace")


def is_masked(value: str | bytes) -> bool:
    """Whether a value is what somebody put in the place of a secret."""
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return PLACEHOLDER.fullmatch(data.removeprefix(b"Bearer ")) is not None


def random_texts(data: bytes) -> Iterator[tuple[int, int]]:
    """Where texts stand that look random."""
    for start, end, _ in RANDOM.covers(data, long_mask):
        text = data[start:end]
        mixed = all(re.search(kind, text) for kind in (rb"[a-z]", rb"[A-Z]", rb"[0-9]"))
        if mixed and not IDS.match(text) and bits(text) >= LEAST_BITS:
            yield start, end


def bits(text: bytes) -> float:
    """Shannon's entropy in bits a character.

    >>> bits(b"aabb")
    1.0
    """
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


def pointer_at(known: Sequence[Place], start: int) -> str:
    """The JSON pointer of what stands at a place, behind a blank; empty where that is no JSON."""
    at = bisect_right(known, start, key=lambda place: place.start) - 1
    inside = at >= 0 and start <= known[at].end
    return f" {pointer(known[at].path)}" if inside and known[at].path else ""
