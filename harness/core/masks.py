r"""How a rule finds a secret in bytes, and what is put in its place.

The law of this file: a rule finds a secret by a literal and a pattern behind it. The search for the
literals is one `in` each, which is the fastest that CPython offers; the pattern, linear by
construction, runs only where the literal stands in the text. Masking twice changes nothing more.
What is JSON stays JSON.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

from harness.core.redaction_rules import EMAIL, Key

MASK = b"[redacted]"

BEFORE_KEY = (
    rb"(?<![A-Za-z0-9_-]%s)(?<![A-Za-z0-9+/]{60}[+/]%s)",
    rb"(?<=\\[bfnrt]%s)",
    rb"(?<=\\u[0-9A-Fa-f]{4}%s)",
    rb"(?<=%%[0-9A-Fa-f]{2}%s)",
)
"""What may stand before a key: no part of a word, unless that is an escape of JSON or of a URL; and not the
inside of much base64, such as an image, in which any four letters occur by chance."""

BEFORE_ADDRESS = (
    rb"(?:(?<![A-Za-z0-9._%+\\-])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%(?!40)[0-9A-Fa-f]{2}))"
)

FIELD = rb'((?i:%s)(?P<escape>\\*)"\s*+:\s*+(?P=escape)")'
"""The name of a JSON field and where its string value begins, also inside of a JSON string."""

QUOTE = re.compile(rb'(?<!\\)\\*+"')

QUERY_VALUE = rb"""((?i:(?:%s)(?:%s)=))((?:[^&#\s"':,;.)]|[:,;.)]++(?![&#\s"']|\Z))++)"""
"""A name and its value in a query; marks of punctuation at its end are those of the text around it."""

TOKEN_CHARACTERS = rb"[A-Za-z0-9._~+/=-]"

type Mask = Callable[[bytes], bytes]
"""Secret -> what stands in its place."""

type Cover = tuple[int, int, bytes]
"""Where something secret starts and ends, and what stands there instead."""

type Tally = Counter[str]
"""Rule -> at how many places it masked something."""


def same_mask(_secret: bytes) -> bytes:
    """One mask for all secrets."""
    return MASK


def long_mask(secret: bytes) -> bytes:
    """A mask as long as the secret.

    >>> long_mask(b"0123456789abcde")
    b'[redacted]*****'
    """
    return MASK.ljust(len(secret), b"*") if len(secret) >= len(MASK) else b"*" * len(secret)


class Finder(Protocol):
    """One rule at work. `literal` is in all data in which it finds something; with `any_case`, in lower case.

    No literal has a comma, so that it may be looked for in each part between two of them.
    """

    @property
    def rule(self) -> str:
        """What people call the rule: its kind, and which one it is."""

    @property
    def literal(self) -> bytes:
        """What must be there."""

    @property
    def any_case(self) -> bool:
        """Whether the literal is there in any case."""

    def covers(self, data: bytes, mask: Mask) -> Iterable[Cover]:
        """What it finds, in order and apart from each other; what was masked before may be among it."""


def apply(finder: Finder, data: bytes, mask: Mask, tally: Tally) -> bytes:
    """The data with all that a rule finds masked, which is counted unless it was masked before."""
    done: list[bytes] = []
    at = 0
    for start, end, cover in finder.covers(data, mask):
        if cover != data[start:end]:
            done += data[at:start], cover
            at = end
            tally[finder.rule] += 1
    return b"".join((*done, data[at:])) if done else data


@dataclass(frozen=True, slots=True)
class Row:
    """A literal that must be there, and the pattern: what is kept (group 1), the secret (the last group)."""

    rule: str
    literal: bytes
    pattern: re.Pattern[bytes]
    any_case: bool = False

    def covers(self, data: bytes, mask: Mask) -> Iterator[Cover]:
        """What the pattern finds."""
        if self.literal in (data.lower() if self.any_case else data):
            for match in self.pattern.finditer(data):
                group = match.lastindex or 2
                yield *match.span(group), mask(match[group])

    @classmethod
    def of_key(cls, key: Key) -> Self:
        """Finds keys of this form. ValueError: the form is no regular expression."""
        rule, prefix, rest = f"key {key.provider}", re.escape(key.prefix.encode()), key.rest.encode()
        if key.before:
            whole = rb"()(?<![A-Za-z0-9])(%s%s%s)" % (key.before.encode(), prefix, rest)
            return cls(rule, literal_of(key.prefix), compiled(whole))
        before = b"|".join(form % ((prefix,) * form.count(b"%s")) for form in BEFORE_KEY)
        return cls(rule, literal_of(key.prefix), compiled(b"(%s)(?:%s)(%s)" % (prefix, before, rest)))

    @classmethod
    def of_query(cls, names: tuple[str, ...]) -> Self:
        """Finds values in a query string by their names, in any case and percent-encoded or not."""
        return cls("query", b"=", compiled(QUERY_VALUE % (b"[?&]", _any_of(names))))

    @classmethod
    def of_form(cls, names: tuple[str, ...]) -> Self:
        """Finds values in a form (application/x-www-form-urlencoded) as `of_query` does in a query."""
        return cls("form", b"=", compiled(QUERY_VALUE % (rb"\A|&", _any_of(names))))


@dataclass(frozen=True, slots=True)
class FieldRow:
    """The string values of JSON fields whose names end so (`whole`: are so), also in strings of strings.

    The value ends at the quote that closes it. What is nested doubles its backslashes each time: where
    n stand before the quote that opens a value, a quote in it has 2n + 1 before it, each backslash that
    is itself in it is 2n + 2, and so the quote that closes it has n and any number of those.
    """

    rule: str
    literal: bytes
    head: re.Pattern[bytes]
    any_case: bool = True

    @classmethod
    def of(cls, name: str, *, whole: bool = False) -> Self:
        """Finds the values of a field, its name in any case."""
        pattern = (rb'(?<=")%s' if whole else b"%s") % re.escape(name.encode())
        return cls(f"field {name}", literal_of(name.lower()), compiled(FIELD % pattern))

    def covers(self, data: bytes, mask: Mask) -> Iterator[Cover]:
        """The values that are not empty."""
        head = self.head.search(data) if self.literal in data.lower() else None
        while head:
            start, at = head.end(), self._end(data, head.end(), len(head["escape"]))
            if at > start:
                yield start, at, mask(data[start:at])
            head = self.head.search(data, at)

    @staticmethod
    def _end(data: bytes, start: int, escapes: int) -> int:
        for quote in QUOTE.finditer(data, start):
            before = len(quote[0]) - 1
            if before % (2 * escapes + 2) <= escapes:
                return quote.end() - 1 - min(before, escapes)
        return len(data)


CREDENTIALS = Row(
    "bearer",
    b" ",
    re.compile(rb"(\b(?i:bearer +(?=\S)|basic +(?=\S{8})))([^\s,;\"']++)"),
)
"""Credentials behind their scheme, in the value of any header."""

STARS = Row("", MASK, re.compile(rb"(\[redacted\])(\*+)"))
"""A long mask, as a client that got it in a response may send it back."""

FORM_ROWS: dict[str, tuple[Row, ...]] = {
    "bearer": (
        Row(
            "bearer",
            b"bearer",
            re.compile(
                rb"(\b(?i:bearer)(?: ++|%%20|\+))((?=[A-Za-z._~+/=-]{0,99}[0-9])%s{16,})" % TOKEN_CHARACTERS
            ),
            any_case=True,
        ),
    ),
    "basic": (
        Row(
            "basic",
            b"basic",
            re.compile(
                rb"(\b(?i:basic)(?: ++|%%20|\+))((?=[A-Za-z+/]{0,99}[0-9=])%s{12,})" % TOKEN_CHARACTERS
            ),
            any_case=True,
        ),
    ),
    "userinfo": (Row("userinfo", b"@", re.compile(rb"(:(?:\\?/){2})([^\s/?#\"'<>@\\]++)(?=@)")),),
    EMAIL: tuple(
        Row(
            EMAIL,
            at,
            re.compile(
                rb"(%s)([A-Za-z0-9._+-]{1,64}%s[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+)"
                % (BEFORE_ADDRESS, at)
            ),
        )
        for at in (b"@", b"%40")
    ),
}
"""Forms of secrets by name: credentials behind their scheme in any text, those of a URL, e-mail addresses.

In text, what follows the word of a scheme is a secret only if it looks like one: long, with a digit.
"""


def literal_of(text: str) -> bytes:
    """What of the text has no comma."""
    return max(text.split(","), key=len).encode()


def _any_of(names: tuple[str, ...]) -> bytes:
    """A pattern of names in which every character may be percent-encoded (RFC 3986, 2.1)."""
    return b"|".join(b"".join(map(_character, name.encode())) for name in names) or b"(?!)"


def _character(code: int) -> bytes:
    return b"(?:%s|%%%02x)" % (re.escape(bytes((code,))), code)


def compiled(source: bytes) -> re.Pattern[bytes]:
    """A regular expression of a rule. ValueError: it is none."""
    try:
        return re.compile(source)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"a redaction rule is no regular expression: {error}") from error
