"""A recorded request as a curl command for a POSIX shell, without secrets.

The law of this file: pure. What is printed is redacted anew, whatever the recording holds; each mask
becomes a variable of the environment, as the SDKs call it. Nothing is printed that a terminal would
obey. Options are those of curl's own manual (https://curl.se/docs/manpage.html).
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from harness.core.encoding import encoding_of
from harness.core.exchange import Request, header, path_of
from harness.core.headers import OF_CONNECTION, OF_TRACE, is_named
from harness.core.interchange import TOKEN
from harness.core.masks import MASK
from harness.core.redaction import Redactor, Rules
from harness.core.url import origin, plain_url
from harness.core.visible import visible
from harness.record.upstream import DEFAULT, name_of

INLINE_BYTES = 100_000
"""The longest body that stands in the command: Linux takes 128 KiB as one argument (MAX_ARG_STRLEN)."""

MASKED = re.compile(r"[\w.-]*" + re.escape(MASK.decode()) + r"\**", re.ASCII)
"""A mask, with what a rule leaves of a key before it (`sk-`)."""

PRINTED = "!#$%&'()*+,/:;=?@[]{}|~^`\\\"<>"
"""What stays as it is in a URL beside letters, digits and `_.-`: all that is visible."""
IN_QUOTES = re.compile(r"[\w :;,./=+@%&?*()<>{}|~^#'\[\]\-]*", re.ASCII)
"""What means itself between double quotes, in a script and at a prompt."""

VARIABLES = {
    "azure": "AZURE_OPENAI_API_KEY",
    "x-api-key": "ANTHROPIC_API_KEY",
    "x-goog-api-key": "GEMINI_API_KEY",
    "api-key": "AZURE_OPENAI_API_KEY",
    "openai-organization": "OPENAI_ORG_ID",
    "openai-project": "OPENAI_PROJECT_ID",
}
"""Provider, or header in lower case, -> the variable of its secret, where no rule tells."""

KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
UNPACKED = ("gzip", "deflate", "br", "zstd")
"""Content codings that curl undoes with `--compressed`."""


@dataclass(frozen=True, slots=True)
class Curl:
    """A command: its lines, the variables it needs, and what it lacks of the request, in words."""

    lines: tuple[str, ...]
    variables: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def text(self) -> str:
        """The command, an option a line."""
        return " \\\n  ".join(self.lines)


def curl_of(request: Request, *, stream: bool, recording: Path, exchange_id: int) -> Curl:
    """The command that makes a request again. A body that is no text is piped out of the recording."""
    bare = Redactor(Rules.default()).request(replace(request, body=b""))
    body = body_of(request)
    headers, left_out = kept_headers(bare)
    options = [
        *url_options(bare.url),
        *method_options(request.method, has_body=bool(request.body)),
        *(["--no-buffer"] if stream else []),
        *(["--compressed"] if asks_compressed(bare) else []),
        *(f"-H {with_variables(line, variable_of(name, bare.url))}" for name, line in headers),
        *body_options(request, body),
    ]
    command = f"curl {with_variables(shown_url(bare.url), variable_of('authorization', bare.url))}"
    if request.body and body is None:
        command = f"harness show {shlex.quote(str(recording))} {exchange_id} --raw --request | {command}"
    lines = (command, *options)
    return Curl(lines, variables_in(bare, headers), tuple(notes_of(request, body, left_out)))


def body_of(request: Request) -> str | None:
    """The body as text without secrets; None: it is none, or none that an argument can hold."""
    masked = Redactor(Rules.default()).request(request).body
    if encoding_of(request.headers) or len(masked) > INLINE_BYTES:
        return None
    try:
        text = masked.decode()
    except UnicodeDecodeError:
        return None
    return text if visible(text, keep="\n\t") == text else None


def kept_headers(request: Request) -> tuple[list[tuple[str, str]], int]:
    """The headers that say something, as name and line, and how many a shell cannot be given."""
    lines, left_out = [], 0
    dropped = (*OF_CONNECTION, *OF_TRACE, *(["accept-encoding"] if asks_compressed(request) else []))
    for name, value in request.headers:
        low = name.lower()
        if is_named(low, dropped):
            continue
        if re.fullmatch(TOKEN, name) is None or visible(value, keep="\t") != value:
            left_out += 1
        else:
            lines.append((low, f"{name}: {value}" if value else f"{name};"))
    return lines, left_out


def asks_compressed(request: Request) -> bool:
    """Whether the client took content codings that curl undoes too."""
    accepted = (header(request.headers, "accept-encoding") or "").lower()
    return any(coding in accepted for coding in UNPACKED)


def url_options(url: str) -> Iterator[str]:
    """What keeps curl from reading more into a URL than is there."""
    if set("[]{}") & set(MASKED.sub("", url)):
        yield "--globoff"
    if "/." in path_of(url).partition("?")[0]:
        yield "--path-as-is"


def method_options(method: str, *, has_body: bool) -> Iterator[str]:
    """The method, where curl would take another one."""
    if method == "HEAD":
        yield "--head"
    elif method != ("POST" if has_body else "GET"):
        yield f"-X {shlex.quote(visible(method))}"


def body_options(request: Request, body: str | None) -> Iterator[str]:
    """The body, and no content type that the client did not give it."""
    if not request.body:
        return
    if header(request.headers, "content-type") is None:
        yield "-H Content-Type:"
    yield "--data-binary @-" if body is None else f"--data-raw {shlex.quote(body)}"


def shown_url(url: str) -> str:
    """A URL in which everything can be seen."""
    return quote(plain_url(url), safe=PRINTED)


def variable_of(name: str, url: str) -> str:
    """The variable of the secret in a header, or in a URL (which is as that in `authorization`)."""
    if name not in KEY_HEADERS:
        return VARIABLES.get(name) or re.sub("[^A-Z0-9]", "_", name.upper())
    provider = name_of(host_of(url))
    if provider != DEFAULT:
        return VARIABLES.get(provider) or f"{provider.upper()}_API_KEY"
    return VARIABLES.get(name, "OPENAI_API_KEY")


def host_of(url: str) -> str:
    """The host of a URL; empty where it is malformed."""
    try:
        return origin(url).host
    except ValueError:
        return ""


def with_variables(text: str, variable: str) -> str:
    """A word for the shell, with a variable in place of each mask.

    >>> print(with_variables("Authorization: Bearer [redacted]", "OPENAI_API_KEY"))
    "Authorization: Bearer $OPENAI_API_KEY"
    >>> print(with_variables("it's", "A"), with_variables("$a [redacted]", "A"))
    'it'"'"'s' '$a '"$A"
    """
    parts = MASKED.split(text)
    if len(parts) == 1:
        return shlex.quote(text)
    if all(map(IN_QUOTES.fullmatch, parts)):
        return f'"{f"${{{variable}}}".join(parts)}"' if glued(parts) else f'"{f"${variable}".join(parts)}"'
    return f'"${variable}"'.join(shlex.quote(part) if part else "" for part in parts)


def glued(parts: list[str]) -> bool:
    """Whether a part behind a variable would be read as the end of its name."""
    return any(re.match(r"[\w\[]", part) for part in parts[1:])


def variables_in(request: Request, headers: list[tuple[str, str]]) -> tuple[str, ...]:
    """The variables that the command needs, each once."""
    masked = [name for name, line in headers if MASKED.search(line)]
    if MASKED.search(request.url):
        masked.append("authorization")
    return tuple(dict.fromkeys(variable_of(name, request.url) for name in masked))


def notes_of(request: Request, body: str | None, left_out: int) -> Iterator[str]:
    """What the command is not, of the request."""
    if body is not None and MASKED.search(body):
        yield "secrets in the body are masked, and would be sent so"
    if left_out:
        yield f"{left_out} of its headers hold what no shell can be given, and are left out"
    if body is None and request.body:
        yield "the body is no text that a command line can hold: 'harness show --raw --request' gives it"
