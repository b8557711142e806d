"""URLs as the tools need them: taken apart, and as text that every file and table can hold.

The law of this file: header values and paths come off the wire as UTF-8 with surrogate escapes
(`harness.core.exchange.Headers`); what leaves here is plain Unicode.
"""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from harness.core.json_text import healed

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  nothing is bound here
PORTS = {"http": 80, "https": 443}
"""The schemes' own ports."""
ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


class Origin(NamedTuple):
    """Where a URL points to. `host` is without brackets; `port` None: the scheme's own."""

    scheme: str
    host: str
    port: int | None


def origin(url: str) -> Origin:
    """Scheme, host and port of an absolute http(s) URL.

    Raises ValueError, which never repeats the URL, for anything else.

    >>> origin("http://127.0.0.1:8080/v1/models")
    Origin(scheme='http', host='127.0.0.1', port=8080)
    """
    try:
        parts = urlsplit(url)
        found = Origin(parts.scheme.lower(), parts.hostname or "", parts.port)
    except ValueError:
        raise ValueError("is no URL: its host or port is malformed") from None
    if found.scheme not in ("http", "https") or not found.host:
        raise ValueError("is no absolute http or https URL")
    if any(character.isspace() for character in url):
        raise ValueError("is no URL: it holds white space")
    return found


def authority_of(scheme: str, host: str, port: int) -> str:
    """Host and port as a Host header has them: the scheme's own port is left out (RFC 9110, 4.2.1).

    >>> authority_of("https", "::1", 443), authority_of("http", "a", 443)
    ('[::1]', 'a:443')
    """
    bare = f"[{host}]" if ":" in host else host
    return bare if port == PORTS[scheme] else f"{bare}:{port}"


def origin_text(url: str) -> str:
    """The origin of a URL as text, always written alike. Raises ValueError as `origin` does.

    >>> origin_text("HTTPS://API.OpenAI.com:443/v1/models?limit=2")
    'https://api.openai.com'
    """
    scheme, host, port = origin(url)
    return f"{scheme}://{authority_of(scheme, host, port or PORTS[scheme])}"


def plain_url(text: str) -> str:
    """A URL or path with its bytes that are no UTF-8 percent-encoded, which names the same resource.

    >>> plain_url("/caf" + chr(0xDCE9))
    '/caf%E9'
    """
    return healed(ESCAPED_BYTE.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", text))


def server_url(host: str, port: int) -> str:
    """The URL of a server that listens on a host; one that listens everywhere is also here.

    >>> server_url("0.0.0.0", 8080), server_url("::1", 8080)
    ('http://127.0.0.1:8080', 'http://[::1]:8080')
    """
    host = EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
