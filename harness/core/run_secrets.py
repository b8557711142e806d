r"""The secrets of this very run: values that are known, masked wherever they stand and however written.

The law of this file: a value is kept in memory alone, never with the rules. It is found as it is, with
its marks escaped as JSON or a URL has them, percent-encoded character by character, and in base64 of
anything that holds it (RFC 4648, both alphabets; three ways, by where in a group of three bytes it
begins). What is base64 stays base64, of as many stars.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from harness.core.masks import MASK, Cover, Finder, Mask, long_mask, same_mask

LEAST = 8
"""Characters of a secret: what is shorter cannot be told from words."""

LEAST_OF_VARIABLE = 16
"""The same for variables whose names tell less, and for cookies, which often hold settings."""

MOST = 100
"""Seen secrets that are remembered, the latest; a gateway may see one for each user."""

API_KEY = re.compile(r"(?:\A|_)API_?KEY\Z", re.IGNORECASE)
SECRET_VARIABLE = re.compile(r"(?:\A|_)(?:KEY|TOKEN|SECRET|PASSWORD)\Z", re.IGNORECASE)

NO_SECRETS = ("organization", "project")
"""In names of headers that are masked but tell who somebody is, which a text may say as well."""

PATH = re.compile(r"\A(?:~|\.{1,2})?/\w[^/]*/")
"""How the path of a file that holds a key begins."""

PLACEHOLDERS = frozenset(
    ("placeholder", "placeholder-for-replay", "not-needed", "not_needed", "no-key-needed", "no-key-required")
) | {
    "sk-no-key-required",
    "dummy-key",
    "fake-key",
    "test-key",
    "local-key",
    "lm-studio",
    "your-api-key",
    "undefined",
}
"""What is written where a key is wanted and none is needed, or by JavaScript where none was set."""

PLAIN = re.compile(rb"[A-Za-z0-9_.~-]+")
"""Characters that no URL and no JSON escapes (RFC 3986, 2.3)."""

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
VALUES = {**{code: value for value, code in enumerate(ALPHABET)}, ord("-"): 62, ord("_"): 63}
STAR = ord("*")


class RunSecrets:
    """What is known to be secret, as rows that find it; the first ones for good, of seen ones the latest."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._given: dict[str, tuple[Finder, ...]] = {
            value: tuple(rows_of(value)) for value in values if not is_mask(value)
        }
        self._seen: dict[str, tuple[Finder, ...]] = {}
        self.rows: tuple[Finder, ...] = ()
        self._gather()

    def learn(self, values: Iterable[str]) -> None:
        """Know these as well."""
        changed = False
        for value in values:
            if value in self._given or is_mask(value):
                continue
            changed |= value not in self._seen
            self._seen[value] = self._seen.pop(value, ()) or tuple(rows_of(value))
        if changed:
            while len(self._seen) > MOST:
                del self._seen[next(iter(self._seen))]
            self._gather()

    def _gather(self) -> None:
        known = sorted({**self._given, **self._seen}.items(), key=lambda item: -len(item[0]))
        self.rows = tuple(row for _, rows in known for row in rows)


def is_mask(value: str) -> bool:
    """Whether a value is (a part of) what stands for a secret, or says that there is none."""
    return value in MASK.decode() or not value.strip("*") or value.lower() in PLACEHOLDERS


def secrets_of(environment: Mapping[str, str]) -> Iterator[str]:
    """The values of API keys in an environment, and of other secrets that are long enough to be sure."""
    for name, raw in environment.items():
        value = raw.strip()
        least = LEAST if API_KEY.search(name) else LEAST_OF_VARIABLE if SECRET_VARIABLE.search(name) else None
        if least and len(value) >= least and not (re.search(r"\s", value) or PATH.match(value)):
            yield value


def credentials_of(name: str, value: str) -> Iterator[str]:
    """The secrets in the value of a header whose name (in lower case) says that it has some."""
    if not any(word in name for word in NO_SECRETS):
        for part in _parts(name, value):
            if len(part) >= LEAST and not re.search(r"\s|\[redacted\]", part):
                yield part


def _parts(name: str, value: str) -> Iterator[str]:
    if name == "set-cookie":
        value = value.partition(";")[0]
    if name in {"cookie", "set-cookie"}:
        pairs = (pair.strip().partition("=")[2].strip('"') for pair in value.split(";"))
        yield from (part for part in pairs if len(part) >= LEAST_OF_VARIABLE or re.search(r"\d", part))
        return
    scheme, _, rest = value.strip().partition(" ")
    yield rest.strip() or scheme
    if scheme.lower() == "basic":
        yield _password(rest.strip())


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def rows_of(value: str) -> Iterator[Finder]:
    """What finds a secret however it is written."""
    secret = value.encode("utf-8", "surrogateescape")
    yield _Plain(secret)
    yield _Percent(secret)
    for before in range(3):
        yield _Base64(secret, before)


class _Plain:
    """A secret as it is, but for marks that are escaped; of a provider's key the beginning is kept."""

    rule, any_case = "secret of this run", False
    start: re.Pattern[bytes] = re.compile(rb"sk-|gsk_|xai-|hf_|r8_|AIza|pplx-|csk-|nvapi-")

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.literal = max(PLAIN.findall(secret), key=len, default=b"")

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """What finds it; made when its literal is seen for the first time."""
        start = self.start.match(self.secret)
        kept = start[0] if start else b""
        rest = b"".join(_written(code) for code in self.secret[len(kept) :])
        return re.compile(b"(%s)(%s)" % (re.escape(kept), rest))

    def covers(self, data: bytes, mask: Mask) -> Iterator[Cover]:
        if self.literal in data:
            yield from ((*match.span(2), mask(match[2])) for match in self.pattern.finditer(data))


class _Percent:
    """A secret with every character percent-encoded."""

    rule, any_case = "secret of this run", True

    def __init__(self, secret: bytes) -> None:
        self.literal = b"".join(b"%%%02x" % code for code in secret)

    def covers(self, data: bytes, mask: Mask) -> Iterator[Cover]:
        at = (low := data.lower()).find(self.literal)
        while at >= 0:
            end = at + len(self.literal)
            yield at, end, mask(data[at:end])
            at = low.find(self.literal, end)


class _Base64:
    """A secret in base64 of something in which so many bytes (modulo 3) stand `before` it."""

    rule, any_case = "secret of this run", False

    def __init__(self, secret: bytes, before: int) -> None:
        self.before, self.after = before, (before + len(secret)) % 3
        text = base64.b64encode(b"\0" * before + secret).rstrip(b"=")
        self.text = text[before + 1 if before else 0 : -1 if self.after else None]
        self.literal = max(re.findall(rb"[A-Za-z0-9]+", self.text), key=len, default=b"")

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """What finds it, with the characters at its ends that hold bits of it and of something else."""
        text, edge = b"".join(map(_in_base64, self.text)), rb"[A-Za-z0-9+/_-]"
        left, right = edge if self.before else b"", edge + b"?" if self.after else b""
        return re.compile(left + text + right)

    def covers(self, data: bytes, mask: Mask) -> Iterator[Cover]:
        if self.literal in data:
            for match in self.pattern.finditer(data):
                yield *match.span(), MASK if mask is same_mask else self._stars(match[0])

    def _stars(self, found: bytes) -> bytes:
        """As many stars in base64 as there were characters, with the bits of others kept."""
        whole = len(self.text) + bool(self.before)
        if len(found) not in {whole, whole + bool(self.after)}:  # percent-encoded, or escaped
            return long_mask(found)
        first = self.before  # a character's place in its group of four
        stars = [STARS_IN_BASE64[(first + place) % 4] for place in range(len(found))]
        if self.before:
            stars[0] = _mixed(found[0], stars[0], 0b110000 if self.before == 1 else 0b111100)
        if self.after and len(found) > whole:
            stars[-1] = _mixed(found[-1], stars[-1], 0b001111 if self.after == 1 else 0b000011)
        return bytes(stars)


STARS_IN_BASE64 = base64.b64encode(b"***")


def _mixed(code: int, star: int, others: int) -> int:
    """A character of base64 with some bits of one and the rest of another."""
    return ALPHABET[VALUES[code] & others | VALUES[star] & ~others]


def _written(code: int) -> bytes:
    """A character as it is; one that URLs or JSON escape, also percent-encoded (or twice so) or escaped."""
    raw = bytes((code,))
    if PLAIN.fullmatch(raw):
        return re.escape(raw)
    return rb"(?:\\*%s|%%(?:25)*(?i:%02x)|\\+u(?i:%04x))" % (re.escape(raw), code, code)


def _in_base64(code: int) -> bytes:
    """A character of base64 in either alphabet, percent-encoded or escaped."""
    marks = {ord("+"): rb"(?:[+-]|%2[Bb]|\\u002[Bb])", ord("/"): rb"(?:\\?/|_|%2[Ff])"}
    return marks.get(code, bytes((code,)))
