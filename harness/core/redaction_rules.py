r"""What is secret: the rules as data, as a capture keeps them.

The law of this file: names and forms alone. How a rule finds a secret and what is put in its place is the
business of `harness.core.masks`. Names of headers and fields are those of the providers' own documentation.
"""

import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from harness.core.json_path import parse_path

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
    "secret",
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
    "accesstoken",
    "refresh_token",
    "refreshtoken",
    "id_token",
    "session_token",
    "sessiontoken",
    "client_secret",
    "clientsecret",
    "secret_access_key",
    "secretaccesskey",
    "private_key",
    "password",
)
"""Ends of names of JSON fields whose string values are secret, in any case (`x-goog-api-key`, `apiKey`)."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a provider's keys look like: their own beginning, which is kept, and a pattern of the rest.

    With `before`, a pattern, the literal `prefix` stands inside of the key, all of which is masked.
    """

    provider: str
    prefix: str
    rest: str
    before: str = ""


WORDS = "[A-Za-z0-9]"
DASHED = "[A-Za-z0-9_-]"

KEYS = (
    Key("openai, anthropic, openrouter, deepseek", "sk-", DASHED + "{16,}"),
    Key("openai session", "sess-", WORDS + "{24,}"),
    Key("openai ephemeral", "ek_", WORDS + "{24,}"),
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
    Key("langfuse", "pk-lf-", DASHED + "{20,}"),
    Key("tavily", "tvly-", DASHED + "{16,}"),
    Key("databricks", "dapi", "[0-9a-f]{32}"),
    Key("elevenlabs", "sk_", WORDS + "{24,}"),
    Key("voyage", "pa-", DASHED + "{40,}"),
    Key("azure", "JQQJ99", WORDS + "{20,40}", before=WORDS + "{40,60}"),
    Key("aws", "AKIA", "[A-Z0-9]{16}"),
    Key("aws, temporary", "ASIA", "[A-Z0-9]{16}"),
    Key("github", "ghp_", WORDS + "{30,}"),
    Key("github, oauth", "gho_", WORDS + "{30,}"),
    Key("github, server", "ghs_", WORDS + "{30,}"),
    Key("github, fine-grained", "github_pat_", "[A-Za-z0-9_]{20,}"),
    Key("gitlab", "glpat-", DASHED + "{20,}"),
    Key("slack", "xoxb-", "[A-Za-z0-9-]{20,}"),
    Key("slack, user", "xoxp-", "[A-Za-z0-9-]{20,}"),
    Key("stripe", "sk_live_", WORDS + "{16,}"),
    Key("npm", "npm_", WORDS + "{30,}"),
    Key("private key (RFC 7468)", "PRIVATE KEY-----", r"(?:[A-Za-z0-9+/=\s]|\\+[nr]){40,}"),
    Key("json web token (RFC 7519)", "eyJ", DASHED + r"{8,}(?:\." + DASHED + "*){1,4}"),
)

FORMS = ("bearer", "basic", "userinfo")
"""Forms of secrets that are masked by default (`harness.core.masks.FORM_ROWS`); `email` is on request."""

EMAIL = "email"

HEADER_NAME = re.compile(r"\*?[!#$%&'+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2; a leading `*` stands for any beginning."""

FRAMING = frozenset({"content-type", "content-encoding", "content-length", "transfer-encoding", "host"})
"""Headers that say how to read a message, and hold no secret; they are never masked."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is secret.

    - `headers`: names in lower case; a leading `*` stands for any beginning.
    - `query`: names in a query string or a form, in lower case.
    - `fields`: ends of names of JSON fields; `names`: whole names of fields in JSON, forms and multipart
      bodies, all of them in any case.
    - `keys`: what the keys of providers look like; `forms`: names of other forms (`FORMS`, `EMAIL`).
    - `paths`: JSON paths (`harness.core.json_path`); `patterns`: regular expressions.
    """

    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    forms: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    @classmethod
    def default(cls) -> Self:
        """The rules in force unless the user switches redaction off; `Rules()` masks nothing."""
        return cls(HEADERS, QUERY, FIELDS, KEYS, FORMS)

    def __or__(self, other: Self) -> Self:
        """What either of two sets of rules calls secret."""
        return type(self)(
            *(
                tuple(dict.fromkeys((*getattr(self, one.name), *getattr(other, one.name))))
                for one in fields(self)
            )
        )

    def check(self) -> None:
        """ValueError for a rule that cannot work: its kind, what is wrong, and never a pattern itself."""
        for name in self.headers:
            if not HEADER_NAME.fullmatch(name):
                raise ValueError(f"header {name!r} is no name of a header: write it like x-tenant or *-id")
            if name in FRAMING:
                raise ValueError(f"header {name!r} says how to read a message: it is never masked")
        if "" in self.query or "" in self.names:
            raise ValueError(f"{'query' if '' in self.query else 'field'} needs a name, and got an empty one")
        for path in self.paths:
            check_path(path)
        for number, pattern in enumerate(self.patterns, 1):
            check_pattern(pattern, number)

    def to_json(self) -> str:
        """The rules as JSON text, as a capture keeps them."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The rules that `to_json` wrote, also an older one. ValueError: the text is something else."""
        try:
            data: dict[str, Any] = json.loads(text)
            keys = tuple(Key(**key) for key in data["keys"])
            named = {name: tuple(data[name]) for name in ("headers", "query", "fields")}
            newer = {name: tuple(data.get(name, ())) for name in ("forms", "names", "paths", "patterns")}
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"these are no redaction rules: {text[:60]!r}") from error
        return cls(keys=keys, **named, **newer)


def check_path(path: str) -> None:
    """ValueError for what is no JSON path."""
    try:
        parse_path(path)
    except ValueError as error:
        raise ValueError(f"json {error}") from None


def check_pattern(pattern: str, number: int) -> None:
    """ValueError for what is no regular expression, or one that also finds nothing."""
    try:
        finds_nothing = re.compile(pattern.encode()).search(b"") is not None
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"pattern (number {number}) is no regular expression: {error}") from None
    except UnicodeEncodeError:
        raise ValueError(f"pattern (number {number}) is no Unicode text") from None
    if finds_nothing:
        raise ValueError(
            f"pattern (number {number}) finds the empty text as well: have it ask for a character"
        )
