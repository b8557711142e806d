"""Upstreams: the named APIs behind the recorder, as the user gives them.

The law of this file: pure; `[NAME=]URL` in, an `Upstream` out, one line of `BadInput` for anything
else. An upstream's URL has no credentials and no query; its path may still hold a key, so that it is
masked wherever it is stored or printed (`shown`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.core.errors import BadInput
from harness.core.hosts import provider_of
from harness.core.redaction import Redactor
from harness.core.url import PORTS, authority_of, origin

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
DEFAULT = "default"

VERSION = re.compile(r"/v\d+\w*$")
"""The end of a prefix that clients send themselves, as in `https://api.openai.com/v1`."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A named API. `host` is without brackets; `prefix` is empty, or a path without a slash at its end."""

    name: str
    scheme: str
    host: str
    port: int
    prefix: str = ""

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them: the scheme's own port is left out."""
        return authority_of(self.scheme, self.host, self.port)

    @property
    def url(self) -> str:
        """The upstream's own URL, without a slash at the end."""
        return f"{self.scheme}://{self.authority}{self.prefix}"

    def shown(self, redactor: Redactor) -> str:
        """The upstream's own URL without the keys that its path may hold."""
        return redactor.text(self.url)[0]

    def path(self, asked: str) -> str:
        """The path for the upstream, of the path that the client asked for.

        A version at the end of the prefix is not repeated, since clients send it or not, as they
        were set up.

        >>> parse("https://openrouter.ai/api").path("/v1/models")
        '/api/v1/models'
        >>> parse("https://api.openai.com/v1").path("/v1/models")
        '/v1/models'
        """
        version = VERSION.search(self.prefix)
        if version and asked.startswith(version[0] + "/"):
            return self.prefix[: version.start()] + asked
        return self.prefix + asked


def parse(text: str) -> Upstream:
    """An upstream from `URL` or `NAME=URL`; without a name, its host's provider or `default`."""
    name, equals, url = text.partition("=")
    if not equals or "/" in name or ":" in name:
        name, url = "", text
    elif not NAME.fullmatch(name):
        raise BadInput(f"--upstream {text!r}: the name before '=' must be letters, digits, '-' and '_'")
    try:
        scheme, host, port = origin(url)
    except ValueError as error:
        raise BadInput(f"--upstream {url!r} {error}: give it as https://HOST[:PORT][/PREFIX]") from None
    parts = urlsplit(url)
    if parts.netloc.endswith(":"):
        raise BadInput(f"--upstream {url!r}: there is no port behind the ':': add it, or leave the ':' away")
    refuse(url, {"a query": parts.query, "a fragment": parts.fragment, "credentials": parts.username})
    prefix = parts.path.rstrip("/")
    return Upstream(name or name_of(host), scheme, host, port or PORTS[scheme], prefix)


def refuse(url: str, parts: dict[str, str | None]) -> None:
    """BadInput, which does not repeat the part, if one of these is there."""
    for what, part in parts.items():
        if part is not None and part != "":
            raise BadInput(f"--upstream {url.partition('://')[0]}://...: the URL has {what}: leave it away")


def name_of(host: str) -> str:
    """The name of an upstream that was given none.

    >>> name_of("api.anthropic.com"), name_of("127.0.0.1")
    ('anthropic', 'default')
    """
    return provider_of(host) or DEFAULT


def parse_all(texts: Iterable[str]) -> tuple[Upstream, ...]:
    """All upstreams of a command line; BadInput if two share a name, in any case."""
    upstreams = tuple(map(parse, texts))
    seen: dict[str, Upstream] = {}
    for upstream in upstreams:
        other = seen.setdefault(upstream.name.lower(), upstream)
        if other is not upstream:
            raise BadInput(f"two upstreams are called {upstream.name!r}: name them, --upstream NAME=URL")
    return upstreams
