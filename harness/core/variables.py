"""Variables that lead programs, and the SDKs in them, to the servers of harness.

The law of this file: a program gets the base URLs of the upstreams that exist and of no other, so that
no key travels to another provider. Pure: what is in the environment already is handed in.
"""

from collections.abc import Mapping, Sequence

from harness.core.hosts import PROVIDERS, provider_of

BASE_URLS: dict[str, Mapping[str, str]] = {
    "openai": {"OPENAI_BASE_URL": "/v1"},
    "anthropic": {"ANTHROPIC_BASE_URL": ""},
    "ollama": {"OLLAMA_HOST": ""},
    "default": {"OPENAI_BASE_URL": "/v1", "ANTHROPIC_BASE_URL": ""},
}
"""Upstream -> the variables that its SDKs read, and what follows the server's URL in them.

`default` is an upstream that nobody named, such as a local server, which may speak both protocols.
Any other NAME becomes `NAME_BASE_URL`. The host of a known provider counts as its name, any other host as
`default`: imports name upstreams after hosts (`upstream_of`).
"""

NOBODY = BASE_URLS["default"]

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
PLACEHOLDER = "placeholder-for-replay"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PROXY_EXEMPT = ("NO_PROXY", "no_proxy")


def base_urls(upstreams: Sequence[str], url: str) -> dict[str, str]:
    """Where a replay serves each upstream: at `/NAME` where there are several, so that none is mistaken."""
    if len(upstreams) <= 1:  # of an empty recording, too: its program must not reach the real API
        return {"".join(upstreams) or "default": url}
    return {name or "default": f"{url}/{name}" if name else url for name in upstreams}


def variables_of(urls: Mapping[str, str]) -> dict[str, str]:
    """The variables of these upstreams (name -> URL).

    >>> variables_of({"openai": "http://127.0.0.1:1/"})
    {'OPENAI_BASE_URL': 'http://127.0.0.1:1/v1'}
    """
    made: dict[str, str] = {}
    read = {name: read_of(name) for name in urls}
    for name in sorted(urls, key=lambda name: read[name] is not NOBODY):  # a named upstream knows better
        for variable, path in read[name].items():
            made[variable] = urls[name].rstrip("/") + path
    return made


def read_of(name: str) -> Mapping[str, str]:
    """The variables that the SDKs of an upstream read, and what follows the server's URL in them."""
    known = (provider_of(name) or name).lower()
    is_host = "." in known or ":" in known or known == "localhost"
    return BASE_URLS.get(known) or (NOBODY if is_host else {base_url_of(known): ""})


def upstream_of(host: str) -> str:
    """The name of an upstream that only its host is known of: that of the SDKs for it, else the host.

    >>> upstream_of("api.openai.com"), upstream_of("127.0.0.1")
    ('openai', '127.0.0.1')
    """
    provider = PROVIDERS.get(host.lower(), "")
    return provider if provider in BASE_URLS else host


def without_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables by which loopback is never reached through a proxy."""
    return {name: with_loopback(environment.get(name, "")) for name in PROXY_EXEMPT}


def with_placeholders(environment: Mapping[str, str], key: str = PLACEHOLDER) -> dict[str, str]:
    """An environment with a value for the API keys that are missing."""
    return {**dict.fromkeys(KEYS, key), **environment}


def base_url_of(name: str) -> str:
    """The variable of an upstream that we know nothing about.

    >>> base_url_of("my-gateway")
    'MY_GATEWAY_BASE_URL'
    """
    return name.upper().replace("-", "_") + "_BASE_URL"


def with_loopback(hosts: str) -> str:
    """A list of hosts that need no proxy, with loopback at its end.

    >>> with_loopback("intra.example,localhost")
    'intra.example,localhost,127.0.0.1,::1'
    """
    listed = [host for raw in hosts.split(",") if (host := raw.strip())]
    return ",".join([*listed, *(host for host in LOOPBACK if host not in listed)])
