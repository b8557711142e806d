"""Which origins a forward proxy records, and under which names.

The law of this file: pure. An origin is recorded if an upstream of the command line has it, if its host
belongs to a known provider, or if it is on the user's list. It has one name for the whole run: that of
its upstream, its provider, or its host; a second origin with the same name gets a number behind it.
"""

import re
from collections.abc import Iterable

from harness.core.hosts import Hosts, provider_of
from harness.record.upstream import Upstream

UNFIT = re.compile("[^a-z0-9]+")
LONGEST = 36
"""Characters of a name made from a host: room for a number is left."""


class Origins:
    """The origins of one run. `upstreams` are the named ones, `hosts` the user's list."""

    def __init__(self, upstreams: Iterable[Upstream], hosts: Iterable[Hosts]) -> None:
        self.upstreams = tuple(upstreams)
        self.hosts = tuple(hosts)
        self.found: dict[tuple[str, str, int], str] = {}
        self.taken = {upstream.name.lower() for upstream in self.upstreams}

    def records(self, host: str, port: int) -> bool:
        """Whether what is asked of this host is recorded."""
        named = any((one.host, one.port) == (host.lower(), port) for one in self.upstreams)
        return named or provider_of(host) is not None or any(one.fit(host, port) for one in self.hosts)

    def name(self, scheme: str, host: str, port: int, path: str) -> str:
        """The name of a recorded origin; of upstreams that share one, that with the longest prefix."""
        origin = (scheme, host.lower(), port)
        named = [one for one in self.upstreams if (one.scheme, one.host, one.port) == origin]
        if named:
            return max(named, key=lambda one: len(one.prefix) if is_below(path, one.prefix) else -1).name
        if origin not in self.found:
            self.found[origin] = self.new_name(host)
        return self.found[origin]

    def new_name(self, host: str) -> str:
        """A name that no other origin has yet."""
        base = provider_of(host) or slug(host)
        name, number = base, 1
        while name in self.taken:
            number += 1
            name = f"{base}-{number}"
        self.taken.add(name)
        return name


def is_below(path: str, prefix: str) -> bool:
    """Whether a path is a prefix's own or one beneath it."""
    return path == prefix or path.startswith((f"{prefix}/", f"{prefix}?"))


def slug(host: str) -> str:
    """A host as a name.

    >>> slug("Gateway.corp"), slug("127.0.0.2")
    ('gateway-corp', 'host-127-0-0-2')
    """
    name = UNFIT.sub("-", host.lower()).strip("-")
    return (name if name[:1].isalpha() else f"host-{name}")[:LONGEST]
