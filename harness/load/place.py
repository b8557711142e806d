"""The target as the user names it: its address, and where the paths of requests go below it.

The law of this file: pure. `http://HOST/v1` and `http://HOST` are the same target: the version at the
end of a base URL is part of the paths below it, as SDKs have it. Another version (`/v4`) stands in place
of `/v1`; where a version stands inside of the base URL (`/v1beta/openai`), none is added below.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.core.errors import BadInput
from harness.core.url import PORTS, authority_of, origin

VERSION = re.compile(r"/v\d+\w*$")
LEADING_VERSION = re.compile(r"/v\d+\w*(?=/)")
INNER_VERSION = re.compile(r"/v\d+\w*/")


@dataclass(frozen=True, slots=True)
class Place:
    """A target. `host` is without brackets; `prefix` is empty or a path without a slash at its end.

    `version` stands before the paths of the APIs that have one: `/v1`, another, or nothing.
    """

    scheme: str
    host: str
    port: int
    prefix: str = ""
    version: str = "/v1"

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them: the scheme's own port is left out."""
        return authority_of(self.scheme, self.host, self.port)

    @property
    def url(self) -> str:
        """The base of all paths, without a slash at its end."""
        return f"{self.scheme}://{self.authority}{self.prefix}"

    def api_path(self, path: str) -> str:
        """The path of an API's endpoint that follows the version.

        >>> place_of("http://h:1/v1").api_path("/chat/completions")
        '/v1/chat/completions'
        """
        return self.version + path

    def path(self, asked: str) -> str:
        """A path that a client of `http://HOST` asked for, as it is asked for below this target.

        >>> place_of("https://h/paas/v4").path("/v1/chat/completions")
        '/v4/chat/completions'
        """
        found = LEADING_VERSION.match(asked)
        return asked if found is None or self.version == found[0] else self.version + asked[found.end() :]


def place_of(text: str) -> Place:
    """The target of a URL. BadInput, which repeats no credentials."""
    try:
        scheme, host, port = origin(text)
    except ValueError as error:
        raise BadInput(f"--target {text!r} {error}: give it as http://HOST:PORT or https://HOST") from None
    if not text.isascii() or not text.isprintable():
        raise BadInput(f"--target {text!r} is no URL: write other letters than ASCII as %XX or in punycode")
    try:
        host.encode("idna")
    except UnicodeError:
        raise BadInput(f"--target {text!r} is no URL: its host is malformed") from None
    parts = urlsplit(text)
    for what, part in {
        "a query": parts.query,
        "a fragment": parts.fragment,
        "credentials": parts.username,
    }.items():
        if part:
            raise BadInput(f"--target {scheme}://...: the URL has {what}: leave it away")
    prefix = parts.path.rstrip("/")
    found = VERSION.search(prefix)
    version = found[0] if found else "" if INNER_VERSION.search(f"{prefix}/") else "/v1"
    return Place(scheme, host, port or PORTS[scheme], prefix[: found.start()] if found else prefix, version)


def has_version(path: str) -> bool:
    """Whether a path has a version somewhere."""
    return INNER_VERSION.search(path) is not None
