r"""What a secret looks like, and how it is masked in bytes.

The law of this file: a rule finds a secret by a literal and a pattern behind it. The search for the
literals is one `in` each, which is the fastest that CPython offers; the pattern, linear by
construction, runs only where the literal stands in the text. Masking twice changes nothing more.

Names of headers and fields are those of the providers' own documentation.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

MASK = b"[redacted]"

HEADERS = (
    "*authorization",
    "api-key",
    "apikey",
    "*-api-key",
    "*-auth",
    "*-token",
    "*-functions-key",
    "*-secret",
    "ocp-apim-subscription-key",
    "cookie",
    "set-cookie",
    "openai-organization",
    "openai-project",
    "anthropic-organization-id",
)
"""Names of headers, in lower case; a leading `*` stands for any beginning."""

KEPT_HEADERS = ("x-ratelimit-", "ratelimit-", "anthropic-ratelimit-")
"""How names of headers begin that count tokens and tell none."""

QUERY = (
    "key",
    "api_key",
    "api-key",
    "x-api-key",
    "apikey",
    "access_token",
    "refresh_token",
    "id_token",
    "auth_token",
    "token",
    "client_secret",
    "password",
    "sig",
    "signature",
    "subscription-key",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-credential",
    "x-goog-signature",
)
"""Names in a query string or a form, in lower case."""

FIELDS = (
    "encrypted_content",
    "authorization",
    "api_key",
    "apikey",
    "api-key",
    "access_token",
    "refresh_token",
    "client_secret",
    "password",
)
"""Ends of names of JSON fields whose string values are secret, in any case (`x-goog-api-key`, `apiKey`)."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a provider's keys look like: their own beginning, which is kept, and a pattern of the rest."""

    provider: str
    prefix: str
    rest: str


WORDS = "[A-Za-z0-9]"
DASHED = "[A-Za-z0-9_-]"

KEYS = (
    Key("openai, anthropic, openrouter, deepseek", "sk-", DASHED + "{16,}"),
    Key("openai session", "sess-", WORDS + "{24,}"),
    Key("openai organisation", "org-", WORDS + "{16,}"),
    Key("openai project", "proj_", WORDS + "{16,}"),
    Key("groq", "gsk_", WORDS + "{16,}"),
    Key("xai", "xai-", WORDS + "{16,}"),
    Key("google", "AIza", DASHED + "{30,}"),
    Key("google oauth", "ya29.", "[A-Za-z0-9_.-]{16,}"),
    Key("hugging face", "hf_", WORDS + "{16,}"),
    Key("perplexity", "pplx-", WORDS + "{16,}"),
    Key("replicate", "r8_", WORDS + "{30,}"),
    Key("fireworks", "fw_", WORDS + "{20,}"),
    Key("cerebras", "csk-", WORDS + "{16,}"),
    Key("nvidia", "nvapi-", DASHED + "{16,}"),
    Key("together", "tgp_v1_", DASHED + "{16,}"),
    Key("langsmith", "lsv2_", "[A-Za-z0-9_]{20,}"),
    Key("aws", "AKIA", "[A-Z0-9]{16}"),
    Key("aws, temporary", "ASIA", "[A-Z0-9]{16}"),
    Key("github", "ghp_", WORDS + "{30,}"),
    Key("github, fine-grained", "github_pat_", "[A-Za-z0-9_]{20,}"),
    Key("json web token (RFC 7519)", "eyJ", DASHED + r"{8,}(?:\." + DASHED + "*){1,4}"),
)

BEFORE_KEY = (
    rb"(?<![A-Za-z0-9_-]%s)",
    rb"(?<=\\[bfnrt]%s)",
    rb"(?<=\\u[0-9A-Fa-f]{4}%s)",
    rb"(?<=%%[0-9A-Fa-f]{2}%s)",
)
"""What may stand before a key: no part of a word, unless that is an escape of JSON or of a URL."""

FIELD = (
    rb'((?i:%s)(?P<escape>\\*)"\s*+:\s*+(?P=escape)")('
    rb'(?<=[^\\]")(?:[^"\\]++|\\[\s\S])++'
    rb'|(?<=[^\\]\\")(?:[^"\\]++|\\[^"\\]|\\\\(?:[^"\\]|\\["\\]))++'
    rb'|(?<=[^\\]\\\\\\")(?:[^"\\]++|(?:\\{8})*+\\{7}"|\\++(?!"))++'
    rb'|(?<=\\\\")(?:[^"\\]++|\\++(?!"))++)'
)
"""A JSON field and its string value, also inside of a JSON string (its quotes are escaped as often).

The value ends at the quote that closes it; of strings that are nested four deep, at the first quote.
What is nested doubles its backslashes each time: a quote in a value has 1 before it, 3, then 7, and one
more of 2, 4, then 8 for each backslash that is itself in the value.
"""


QUERY_VALUE = rb"""((?i:(?:%s)(?:%s)=))((?:[^&#\s"':,;.)]|[:,;.)]++(?![&#\s"']|\Z))++)"""
"""A name and its value in a query; marks of punctuation at its end are those of the text around it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is secret: names of headers, in queries and of JSON fields, and the form of keys."""

    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()

    @classmethod
    def default(cls) -> Self:
        """The rules in force unless the user switches redaction off; `Rules()` masks nothing."""
        return cls(HEADERS, QUERY, FIELDS, KEYS)

    def __or__(self, other: Self) -> Self:
        """What either of two sets of rules calls secret."""
        return type(self)(
            *(
                tuple(dict.fromkeys((*getattr(self, one.name), *getattr(other, one.name))))
                for one in fields(self)
            )
        )

    def to_json(self) -> str:
        """The rules as JSON text, as a capture keeps them."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The rules that `to_json` wrote. ValueError: the text is something else."""
        try:
            data: dict[str, Any] = json.loads(text)
            keys = tuple(Key(**key) for key in data["keys"])
            return cls(tuple(data["headers"]), tuple(data["query"]), tuple(data["fields"]), keys)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"these are no redaction rules: {text[:60]!r}") from error


type Mask = Callable[[bytes], bytes]
"""Secret -> what stands in its place."""


def same_mask(_secret: bytes) -> bytes:
    """One mask for all secrets."""
    return MASK


def long_mask(secret: bytes) -> bytes:
    """A mask as long as the secret.

    >>> long_mask(b"0123456789abcde")
    b'[redacted]*****'
    """
    return MASK.ljust(len(secret), b"*") if len(secret) >= len(MASK) else b"*" * len(secret)


@dataclass(frozen=True, slots=True)
class Row:
    """A literal that must be there, and the pattern: what is kept (group 1), and the secret (the last group).

    With `any_case` the literal is in lower case and found in any. No literal has a comma, so that it may
    be looked for in each part between two of them.
    """

    literal: bytes
    pattern: re.Pattern[bytes]
    any_case: bool = False

    def mask(self, data: bytes, mask: Mask) -> tuple[bytes, int]:
        """The data with every secret masked, and how many there were that were not masked before."""
        if self.literal not in (data.lower() if self.any_case else data):
            return data, 0
        count = 0

        def masked(match: re.Match[bytes]) -> bytes:
            nonlocal count
            kept, secret = match[1], match[match.lastindex or 2]
            cover = mask(secret)
            count += cover != secret
            return kept + cover

        return self.pattern.sub(masked, data), count

    @classmethod
    def of_key(cls, key: Key) -> Self:
        """Finds keys of this form. ValueError: the form is no regular expression."""
        prefix = re.escape(key.prefix.encode())
        before = b"|".join(form % prefix for form in BEFORE_KEY)
        return cls(_literal(key.prefix), _pattern(b"(%s)(?:%s)(%s)" % (prefix, before, key.rest.encode())))

    @classmethod
    def of_field(cls, name: str) -> Self:
        """Finds the string values of a JSON field, its name in any case."""
        return cls(_literal(name.lower()), _pattern(FIELD % re.escape(name.encode())), any_case=True)

    @classmethod
    def of_query(cls, names: tuple[str, ...]) -> Self:
        """Finds values in a query string by their names, in any case and percent-encoded or not."""
        return cls(b"=", _pattern(QUERY_VALUE % (b"[?&]", _any_of(names))))

    @classmethod
    def of_form(cls, names: tuple[str, ...]) -> Self:
        """Finds values in a form (application/x-www-form-urlencoded) as `of_query` does in a query."""
        return cls(b"=", _pattern(QUERY_VALUE % (rb"\A|&", _any_of(names))))


CREDENTIALS = Row(
    b" ",
    re.compile(rb"(\b(?i:bearer +(?=\S)|basic +(?=\S{8})))([^\s,;\"']++)"),
)
"""Credentials behind their scheme, in the value of any header."""

STARS = Row(MASK, re.compile(rb"(\[redacted\])(\*+)"))
"""A long mask, as a client that got it in a response may send it back."""


def _literal(text: str) -> bytes:
    """What of the text has no comma."""
    return max(text.split(","), key=len).encode()


def _any_of(names: tuple[str, ...]) -> bytes:
    """A pattern of names in which every character may be percent-encoded (RFC 3986, 2.1)."""
    return b"|".join(b"".join(map(_character, name.encode())) for name in names) or b"(?!)"


def _character(code: int) -> bytes:
    return b"(?:%s|%%%02x)" % (re.escape(bytes((code,))), code)


def _pattern(source: bytes) -> re.Pattern[bytes]:
    try:
        return re.compile(source)
    except re.error as error:
        raise ValueError(f"a redaction rule is no regular expression: {error}") from error
