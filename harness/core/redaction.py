"""Masking of secrets before anything reaches the disk, and again before a request is matched.

The law of this file: what a rule finds is gone from everything that is kept. In response bodies a
mask is as long as what it covers, so that chunk boundaries and times stay true; a secret is found
across chunk borders, and in the text of a stream across its events. In requests every mask is the
same, so that two requests which differ only in their secrets are the same request.
"""

from dataclasses import replace

from harness.core.derive import Derived, derive
from harness.core.encoding import encoding_of, pieces
from harness.core.exchange import Exchange, Headers, Request, Response, header
from harness.core.masks import (
    CREDENTIALS,
    KEPT_HEADERS,
    MASK,
    STARS,
    Key,
    Mask,
    Row,
    Rules,
    long_mask,
    same_mask,
)
from harness.core.said import mask_all_said, mask_said, may_say
from harness.core.timeline import JSON_HEAD

__all__ = ["Key", "Redactor", "Rules"]

type Chunks = tuple[tuple[int, bytes], ...]

SCHEMES = ("basic", "bearer", "digest", "key", "apikey", "negotiate", "token", "aws4-hmac-sha256")
"""Words before credentials that are kept (https://www.iana.org/assignments/http-authschemes)."""


SHORT, LONG = 1024, 4 * 1024 * 1024
"""Bytes."""


class Redactor:
    """Masks what the rules name. Stateless once it is built: one serves a whole process."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._names = frozenset(name for name in rules.headers if not name.startswith("*"))
        self._ends = tuple(name[1:] for name in rules.headers if name.startswith("*"))
        self._query = Row.of_query(rules.query)
        self._form = Row.of_form(rules.query)
        rows = (*map(Row.of_key, rules.keys), *map(Row.of_field, rules.fields))
        self._exact = tuple((row.literal, row) for row in rows if not row.any_case)
        self._any_case = tuple((row.literal, row) for row in rows if row.any_case)

    def exchange(self, exchange: Exchange) -> tuple[Exchange, int]:
        """The exchange without its secrets, and at how many places something was masked.

        Where a secret sat in a content-encoded response, that is now kept decoded (`rewritten`).
        """
        request, count = self._request(exchange.request)
        error, found = self.text(exchange.error or "")
        masked = replace(exchange, request=request, error=error or exchange.error)
        count += found
        if exchange.response is not None:
            response, found, decoded = self._response(exchange.response)
            masked = replace(masked, response=response, rewritten=exchange.rewritten or decoded)
            count += found
        return masked, count

    def across_events(self, exchange: Exchange, derived: Derived) -> tuple[Exchange, int]:
        """The exchange without secrets that its stream tells piece by piece, and how many there were.

        For an exchange that is masked already, and what was derived from that: a model says a key
        token by token, so that no event holds all of it; logprobs do so in plain bodies. Derive
        again where the count is not 0.
        """
        if exchange.response is None:
            return exchange, 0
        chunks = _plain(exchange.response)
        body = b"".join(data for _, data in chunks)
        if not (derived.stream or b'"logprobs"' in body):
            return exchange, 0
        told = [event.data for event in derived.events] if derived.stream else [body]
        if not self._says(derived) and not may_say(zip(told, derived.values, strict=True), self._find):
            return exchange, 0
        said, count = mask_said(body, derived.content_text, self._find)
        done = _saying(exchange, chunks, said)
        again = derive(done) if count else derived
        if self._says(again):
            count = max(count, 1)
            done = _saying(done, chunks, mask_all_said(said, again.content_text))
        return (done, count) if count else (exchange, 0)

    def _find(self, plain: bytes) -> tuple[bytes, int]:
        return self.body(plain, long_mask)

    def _says(self, derived: Derived) -> bool:
        """Whether what was generated, in its order of arrival, has a secret in it."""
        return self._find("".join(derived.content_text).encode("ascii", "replace"))[1] > 0

    def request(self, request: Request) -> Request:
        """The request as it is kept, so that one that just came in can be compared with it."""
        return self._request(request)[0]

    def text(self, text: str) -> tuple[str, int]:
        """A URL or a text for people (an error, a line on the console), masked; how many places."""
        data, in_text = self.body(text.encode("utf-8", "surrogateescape"), same_mask)
        data, in_query = self._query.mask(data, same_mask)
        count = in_text + in_query
        return (data.decode("utf-8", "surrogateescape"), count) if count else (text, 0)

    def body(self, data: bytes, mask: Mask) -> tuple[bytes, int]:
        """Bytes that are not content-encoded, with all keys and secret fields masked; how many."""
        count = 0
        for row in self._at_work(data):
            data, found = row.mask(data, mask)
            count += found
        return data, count

    def _at_work(self, data: bytes) -> list[Row]:
        """The rows whose literal is in the data."""
        text = distinct(data)
        lower = text.lower()
        exact = [row for literal, row in self._exact if literal in text]
        return exact + [row for literal, row in self._any_case if literal in lower]

    def _request(self, request: Request) -> tuple[Request, int]:
        url, in_url = self.text(request.url)
        path, in_path = self.text(request.path)
        headers, in_headers = self._headers(request.headers)
        headers, body, in_body = self._request_body(headers, request.body)
        masked = replace(request, url=url, path=path, headers=headers, body=body)
        return masked, in_url + in_path + in_headers + in_body

    def _request_body(self, headers: Headers, body: bytes) -> tuple[Headers, bytes, int]:
        decoded = _decoded(headers, ((0, body),))
        plain = body if decoded is None else b"".join(data for _, data in decoded)
        masked, count = self.body(plain, same_mask)
        if _is_form(headers, plain):
            masked, in_form = self._form.mask(masked, same_mask)
            count += in_form
        if self._exact or self._any_case:
            masked, _ = STARS.mask(masked, lambda _stars: b"")
        if masked == plain:
            return headers, body, count
        return _fitting(headers, len(body), len(masked), decoded=decoded is not None), masked, count

    def _response(self, response: Response) -> tuple[Response, int, bool]:
        headers, in_headers = self._headers(response.headers)
        response = replace(response, headers=headers)
        chunks = _plain(response)
        body, in_body = self.body(b"".join(data for _, data in chunks), long_mask)
        if not in_body:
            return response, in_headers, False
        response, decoded = _rewritten(response, cut_like(chunks, body))
        return response, in_headers + in_body, decoded

    def _headers(self, headers: Headers) -> tuple[Headers, int]:
        values = "\n".join(value for _, value in headers)  # one look at all: mostly there is nothing
        masked_value = self._value if self._value("", values) != values else _kept
        masked = tuple(
            (name, _credentials(value) if self._is_secret(low := name.lower()) else masked_value(low, value))
            for name, value in headers
        )
        return masked, sum(now != then for now, then in zip(masked, headers, strict=True))

    def _is_secret(self, name: str) -> bool:
        named = name in self._names or name.endswith(self._ends)
        return named and not name.startswith(KEPT_HEADERS)

    def _value(self, name: str, value: str) -> str:
        """The value of a header whose name tells of no secret."""
        text, _ = self.text(value)
        if not self.rules.headers or name.endswith("-authenticate"):  # a challenge, which has no secret
            return text
        masked, count = CREDENTIALS.mask(text.encode("utf-8", "surrogateescape"), same_mask)
        return masked.decode("utf-8", "surrogateescape") if count else text


def distinct(data: bytes) -> bytes:
    """Each part between two commas once: of a stream, whose events are nearly all alike, a tenth.

    No literal has a comma in it (`Row`), so that it is in the data if it is in this. What is short is
    not worth it, and what is long would take much memory.
    """
    return b",".join(set(data.split(b","))) if SHORT < len(data) < LONG else data


def cut_like(chunks: Chunks, data: bytes) -> Chunks:
    """Data of the same length in all, cut where the chunks are cut, at their times.

    >>> cut_like(((5, b"ab"), (9, b"c")), b"xyz")
    ((5, b'xy'), (9, b'z'))
    """
    cut, start = [], 0
    for offset_ns, old in chunks:
        cut.append((offset_ns, data[start : start + len(old)]))
        start += len(old)
    return tuple(cut)


def _is_form(headers: Headers, body: bytes) -> bool:
    """Whether a body is a form; JSON is none, which `curl -d` sends under the type of one."""
    media_type = (header(headers, "content-type") or "").lower()
    return media_type.startswith("application/x-www-form-urlencoded") and not JSON_HEAD.match(body)


def _kept(_name: str, value: str) -> str:
    return value


def _credentials(value: str) -> str:
    if not value:
        return value
    scheme, _, rest = value.partition(" ")
    kept = scheme + " " if rest and scheme.lower() in SCHEMES else ""
    return kept + MASK.decode()


def _decoded(headers: Headers, chunks: Chunks) -> Chunks | None:
    """What can be decoded of an encoded body; None: it is not encoded, or not in a way that we know."""
    encoding = encoding_of(headers)
    if encoding is None or encoding.lower() == "identity":
        return None
    decoded = []
    try:
        for piece in pieces(encoding, chunks):
            decoded.append(piece)  # noqa: PERF402 - what came before the damage is looked through too
    except ValueError:
        return tuple(decoded) or None
    return tuple(decoded)


def _plain(response: Response) -> Chunks:
    decoded = _decoded(response.headers, response.chunks)
    return response.chunks if decoded is None else decoded


def _saying(exchange: Exchange, chunks: Chunks, body: bytes) -> Exchange:
    """The exchange with this decoded body, cut as these chunks are."""
    if exchange.response is None or body == b"".join(data for _, data in chunks):
        return exchange
    response, decoded = _rewritten(exchange.response, cut_like(chunks, body))
    return replace(exchange, response=response, rewritten=exchange.rewritten or decoded)


def _rewritten(response: Response, plain: Chunks) -> tuple[Response, bool]:
    """The response with these chunks, which are not encoded; whether the old ones were."""
    decoded = _decoded(response.headers, response.chunks) is not None
    after = sum(len(data) for _, data in plain)
    headers = _fitting(response.headers, len(response.body), after, decoded=decoded)
    return replace(response, headers=headers, chunks=plain), decoded


def _fitting(headers: Headers, before: int, after: int, *, decoded: bool) -> Headers:
    """Headers for a body that changed its length: what was missing of a cut body is still missing."""
    return tuple(
        (name, str(int(value) + after - before) if _is_length(name, value) else value)
        for name, value in headers
        if not (decoded and name.lower() == "content-encoding")
    )


def _is_length(name: str, value: str) -> bool:
    return name.lower() == "content-length" and value.isascii() and value.isdigit()
