"""Masking of secrets before anything reaches the disk, and again before a request is matched.

The law of this file: what a rule finds is gone from everything that is kept. In response bodies a
mask is as long as what it covers, so that chunk boundaries and times stay true; a secret is found
across chunk borders, and in the text of a stream across its events. In requests every mask is the
same, so that two requests which differ only in their secrets are the same request.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import unquote

from harness.core.derive import Derived, derive
from harness.core.exchange import Exchange, Headers, Request, Response, header
from harness.core.literals import Literals
from harness.core.masks import (
    CREDENTIALS,
    FORM_ROWS,
    MASK,
    STARS,
    FieldRow,
    Finder,
    Mask,
    Row,
    Tally,
    apply,
    long_mask,
    same_mask,
)
from harness.core.redaction_rules import FRAMING, KEPT_HEADERS, Key, Rules
from harness.core.rewriting import cut_like, decoded_chunks, fitting, plain_of, rewritten, saying
from harness.core.run_secrets import RunSecrets, credentials_of
from harness.core.said import mask_all_said, mask_said, may_say
from harness.core.structured import OwnRow, PartRow, PathRow
from harness.core.timeline import JSON_HEAD

__all__ = ["Key", "Redactor", "Rules"]

SCHEMES = ("basic", "bearer", "digest", "key", "apikey", "negotiate", "token", "aws4-hmac-sha256")
"""Words before credentials that are kept (https://www.iana.org/assignments/http-authschemes)."""

ACROSS = "across events"
"""The rule under which secrets count that a body says piece by piece."""


class Redactor:
    """Masks what the rules name; one serves a whole process.

    With `known`, it also masks the secrets of the run, and learns those that headers and queries show.
    """

    def __init__(self, rules: Rules, known: RunSecrets | None = None) -> None:
        self.rules = rules
        self.known = known if rules != Rules() else None
        self._names = frozenset(name for name in rules.headers if not name.startswith("*"))
        self._ends = tuple(name[1:] for name in rules.headers if name.startswith("*"))
        self._form_names = frozenset(map(str.lower, (*rules.query, *rules.names)))
        self.query = Row.of_query(rules.query)
        self._form = Row.of_form((*rules.query, *rules.names))
        self._paths = _paths(rules)
        rows = tuple(_rows(rules))
        self._rows = tuple(sorted(rows, key=lambda row: row.any_case))
        self._known_rows: tuple[Finder, ...] = ()
        self._literals = literals_of(self._rows)

    def exchange(self, exchange: Exchange) -> tuple[Exchange, Tally]:
        """The exchange without its secrets, and at how many places each rule masked something.

        Where a secret sat in a content-encoded response, that is now kept decoded (`rewritten`).
        """
        tally: Tally = Counter()
        self.learn(exchange.request, exchange.response)
        error = self._text(exchange.error or "", tally)
        masked = replace(
            exchange, request=self._request(exchange.request, tally), error=error or exchange.error
        )
        if exchange.response is not None:
            response, decoded = self._response(exchange.response, tally)
            masked = replace(masked, response=response, rewritten=exchange.rewritten or decoded)
        return masked, tally

    def whole(self, exchange: Exchange) -> tuple[Exchange, Derived, Tally]:
        """The exchange without any secret, what follows from it, and at how many places each rule masked."""
        masked, tally = self.exchange(exchange)
        derived = derive(masked)
        masked, said = self.across_events(masked, derived)
        return masked, derive(masked) if said else derived, tally + Counter({ACROSS: said})

    def learn(self, request: Request, response: Response | None = None) -> None:
        """Know the credentials that a request sends, and the cookies that a response sets."""
        if self.known is None:
            return
        pairs = (*request.headers, *(response.headers if response else ()))
        self.known.learn(
            secret
            for name, value in pairs
            if value and self.is_secret(low := name.lower())
            for secret in credentials_of(low, value)
        )
        for text in {request.url, request.path}:
            if "?" in text:
                self.known.learn(self._in_query(text))

    def learn_all(self, exchanges: Iterable[Exchange]) -> None:
        """The same of all exchanges of a recording: a key may be in one before the one that uses it."""
        for exchange in exchanges:
            self.learn(exchange.request, exchange.response)

    def _in_query(self, text: str) -> Iterator[str]:
        data = text.encode("utf-8", "surrogateescape")
        for start, end, _ in self.query.covers(data, same_mask):
            yield from credentials_of("", unquote(data[start:end].decode("utf-8", "replace")))

    def across_events(self, exchange: Exchange, derived: Derived) -> tuple[Exchange, int]:
        """The exchange without secrets that its stream tells piece by piece, and how many there were.

        For an exchange that is masked already, and what was derived from that: a model says a key
        token by token, so that no event holds all of it; logprobs do so in plain bodies, where escapes
        of ASCII may hide one too. Derive again where the count is not 0.
        """
        if exchange.response is None:
            return exchange, 0
        chunks = plain_of(exchange.response)
        body = b"".join(data for _, data in chunks)
        if not (derived.stream or b'"logprobs"' in body or b"\\u00" in body):
            return exchange, 0
        told = [event.data for event in derived.events] if derived.stream else [body]
        if not self._says(derived) and not may_say(zip(told, derived.values, strict=True), self._find):
            return exchange, 0
        said, count = mask_said(body, derived.content_text, self._find)
        done = saying(exchange, chunks, said)
        again = derive(done) if count else derived
        if self._says(again):
            count = max(count, 1)
            done = saying(done, chunks, mask_all_said(said, again.content_text))
        return (done, count) if count else (exchange, 0)

    def _find(self, plain: bytes) -> tuple[bytes, int]:
        return self.body(plain, long_mask)

    def _says(self, derived: Derived) -> bool:
        """Whether what was generated, in its order of arrival, has a secret in it."""
        return self._find("".join(derived.content_text).encode("ascii", "replace"))[1] > 0

    def request(self, request: Request) -> Request:
        """The request as it is kept, so that one that just came in can be compared with it."""
        self.learn(request)
        return self._request(request, Counter())

    def text(self, text: str) -> tuple[str, int]:
        """A URL or a text for people (an error, a line on the console), masked; how many places."""
        tally: Tally = Counter()
        return self._text(text, tally), tally.total()

    def body(self, data: bytes, mask: Mask) -> tuple[bytes, int]:
        """Bytes that are not content-encoded, with all keys and secret fields masked; how many."""
        tally: Tally = Counter()
        return self._body(data, mask, tally), tally.total()

    def finders(self, data: bytes, headers: Headers = ()) -> list[Finder]:
        """The rules that may find something in the body of a message with these headers."""
        media_type = header(headers, "content-type") or ""
        kind, boundary = media_type.lower(), BOUNDARY.search(media_type)
        found = self._at_work(data)
        if kind.startswith(FORM) and not JSON_HEAD.match(data):  # JSON comes from `curl -d`
            found.append(self._form)
        if kind.startswith("multipart/") and boundary:
            mark = (boundary[1] or boundary[2]).encode("utf-8", "surrogateescape")
            found.append(PartRow(mark, self._is_field))
        return [*found, *(row for row in self._paths if row.may_find(data))]

    def _text(self, text: str, tally: Tally) -> str:
        data, before = text.encode("utf-8", "surrogateescape"), tally.total()
        data = self._body(apply(self.query, data, same_mask, tally), same_mask, tally)
        return data.decode("utf-8", "surrogateescape") if tally.total() > before else text

    def _body(self, data: bytes, mask: Mask, tally: Tally, headers: Headers = ()) -> bytes:
        for row in self.finders(data, headers):
            data = apply(row, data, mask, tally)
        return data

    def _at_work(self, data: bytes) -> list[Finder]:
        """The rows whose literal is in the data; what is known to be secret first."""
        known = self.known.rows if self.known else ()
        if known is not self._known_rows:
            self._known_rows, self._literals = known, literals_of((*known, *self._rows))
        exact, any_case = self._literals.of(data)
        rows = (*known, *self._rows)
        return [row for row in rows if row.literal in (any_case if row.any_case else exact)]

    def _request(self, request: Request, tally: Tally) -> Request:
        url, path = self._text(request.url, tally), self._text(request.path, tally)
        headers, body = self._request_body(
            request.headers, self._headers(request.headers, tally), request.body, tally
        )
        return replace(request, url=url, path=path, headers=headers, body=body)

    def _request_body(
        self, raw: Headers, headers: Headers, body: bytes, tally: Tally
    ) -> tuple[Headers, bytes]:
        decoded = decoded_chunks(raw, ((0, body),))
        plain = body if decoded is None else b"".join(data for _, data in decoded)
        masked = self._body(plain, same_mask, tally, raw)
        if self.rules != Rules():
            masked = apply(STARS, masked, _nothing, Counter())
        if masked == plain:
            return headers, body
        return fitting(headers, len(body), len(masked), decoded=decoded is not None), masked

    def _response(self, response: Response, tally: Tally) -> tuple[Response, bool]:
        chunks = plain_of(response)
        plain = b"".join(data for _, data in chunks)
        body = self._body(plain, long_mask, tally, response.headers)
        response = replace(response, headers=self._headers(response.headers, tally))
        return (response, False) if body == plain else rewritten(response, cut_like(chunks, body))

    def _headers(self, headers: Headers, tally: Tally) -> Headers:
        masked_value = self._value if self._may_hold(headers) else _kept
        return tuple(
            (
                name,
                _credentials(low, value, tally)
                if self.is_secret(low := name.lower())
                else masked_value(low, value, tally),
            )
            for name, value in headers
        )

    def _may_hold(self, headers: Headers) -> bool:
        """Whether a value may have a secret in it; one look at all, since mostly there is nothing."""
        if self.rules.patterns or self._paths:  # which go by where a value begins, and by its structure
            return True
        values = "\n".join(value for _, value in headers)
        return self._value("", values, Counter()) != values

    def is_secret(self, name: str) -> bool:
        """Whether a header of this name, in lower case, holds a secret."""
        if name in self._names:
            return True
        return name.endswith(self._ends) and not (name.startswith(KEPT_HEADERS) or name in FRAMING)

    def _is_field(self, name: str) -> bool:
        """Whether the name of a field, of a form or of a multipart body, says that its value is secret."""
        low = name.lower()
        return low in self._form_names or low.endswith(self.rules.fields)

    def _value(self, name: str, value: str, tally: Tally) -> str:
        """The value of a header whose name tells of no secret."""
        text = self._text(value, tally)
        if not self.rules.headers or name.endswith("-authenticate"):  # a challenge, which has no secret
            return text
        data = text.encode("utf-8", "surrogateescape")
        return apply(CREDENTIALS, data, same_mask, tally).decode("utf-8", "surrogateescape")


FORM = "application/x-www-form-urlencoded"
BOUNDARY = re.compile(r"""boundary=(?:"([^"]+)"|([^\s;"]+))""", re.IGNORECASE)
"""RFC 2046, 5.1.1."""


def _rows(rules: Rules) -> Iterator[Finder]:
    yield from map(Row.of_key, rules.keys)
    for form in rules.forms:
        yield from FORM_ROWS[form]
    yield from map(FieldRow.of, rules.fields)
    for name in rules.names:
        yield FieldRow.of(name, whole=True)
    for number, pattern in enumerate(rules.patterns, 1):
        yield OwnRow.of(pattern, number)


def _paths(rules: Rules) -> tuple[PathRow, ...]:
    """The rows that go by the structure of JSON; a field may also hold a number, or a list."""
    return (*map(PathRow.of, rules.paths), *map(PathRow.of_field, rules.names))


def literals_of(rows: Sequence[Finder]) -> Literals:
    """What must stand in the data for one of these rows to find something."""
    return Literals(
        (row.literal for row in rows if not row.any_case), (row.literal for row in rows if row.any_case)
    )


def _nothing(_secret: bytes) -> bytes:
    return b""


def _kept(_name: str, value: str, _tally: Tally) -> str:
    return value


def _credentials(name: str, value: str, tally: Tally) -> str:
    scheme, _, rest = value.partition(" ")
    kept = scheme + " " if rest and scheme.lower() in SCHEMES else ""
    masked = kept + MASK.decode() if value else value
    if masked != value:
        tally[f"header {name}"] += 1
    return masked
