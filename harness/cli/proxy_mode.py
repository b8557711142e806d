"""`--mode proxy`: its options, its CA, and the variables by which clients find it and trust it.

The law of this file: a client must reach the recorded hosts through us, trust us as well as what it
trusted before, and reach everything else as ever. Some clients read a variable in capitals, some in
small letters, so both are set.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from harness.core.errors import BadInput, MissingExtra
from harness.core.hosts import Hosts, provider_of
from harness.core.variables import with_loopback

if TYPE_CHECKING:
    from harness.authority import Authority

AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST[:PORT]",
        show_default=False,
        help="With --mode proxy: a host to take in beside the known providers; * stands for any part.",
    ),
]
CaDir = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        show_default=False,
        help="With --mode proxy: folder of the private CA, made on first use. [default: the user's own]",
    ),
]


class Mode(StrEnum):
    """How clients reach us."""

    REVERSE = "reverse"
    PROXY = "proxy"


NEEDED = ("certifi", "cryptography", "platformdirs")
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY")
BUNDLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
)
"""Variables that replace a client's list of trusted certificates."""
EXTRA = "NODE_EXTRA_CA_CERTS"
"""The one that adds to it."""
NODE = "NODE_USE_ENV_PROXY"
"""Tells Node (22.21, 24 and later) to read the variables of proxies for `fetch` and `http`."""


@dataclass(frozen=True, slots=True)
class WayIn:
    """A forward proxy: its CA, the user's list of hosts, and the names of others that it takes in.

    `plain`: it takes in what has no TLS as well.
    """

    authority: "Authority"
    hosts: tuple[Hosts, ...]
    named: frozenset[str]
    plain: bool = True

    def variables(self, url: str, environment: Mapping[str, str]) -> dict[str, str]:
        """The variables for a client that has this environment; `url` is the proxy's."""
        proxies = PROXIES if self.plain else PROXIES[:1]
        made = dict.fromkeys(proxies, url)
        for name in BUNDLES:
            made[name] = str(self.authority.bundle(environment.get(name)))
        made |= {EXTRA: str(self.authority.with_ours(environment.get(EXTRA))), NODE: "1"}
        made["NO_PROXY"] = self.direct(environment.get("NO_PROXY") or environment.get("no_proxy") or "")
        small = {name.lower(): made[name] for name in (*proxies, "NO_PROXY")}
        return made | small

    def environment(self, url: str) -> dict[str, str]:
        """Our environment with the variables for a client."""
        return {**os.environ, **self.variables(url, os.environ)}

    def exports(self, url: str) -> Iterator[str]:
        """The variables as lines for a shell."""
        return (f"export {name}={quote(value)}" for name, value in self.variables(url, os.environ).items())

    def direct(self, listed: str) -> str:
        """The hosts that need no proxy: those on a list and loopback, but none that is to be recorded."""
        return ",".join(entry for entry in with_loopback(listed).split(",") if not self.takes(entry))

    def takes(self, entry: str) -> bool:
        """Whether an entry of NO_PROXY speaks of a host that goes through us."""
        host = entry.rpartition(":")[0] if entry.count(":") == 1 else entry
        bare = host.strip("[]").lstrip("*.").lower()
        named = {*(one.pattern for one in self.hosts), *self.named}
        beneath = any(one == bare or one.endswith(f".{bare}") or fnmatch(bare, one) for one in named)
        return not bare or beneath or provider_of(bare) is not None


def way_in(
    command: str,
    allow_host: Sequence[str] | None,
    ca_dir: Path | None,
    named: Iterable[str],
    *,
    plain: bool = True,
) -> WayIn:
    """The way in of a command. MissingExtra, or BadInput for a host or a CA that cannot be."""
    if any(find_spec(name) is None for name in NEEDED):
        raise MissingExtra(f"{command} --mode proxy", "proxy")
    from harness.authority import Authority, default_folder  # noqa: PLC0415

    hosts = tuple(map(parsed, allow_host or ()))
    return WayIn(Authority(ca_dir or default_folder()), hosts, frozenset(named), plain)


def parsed(text: str) -> Hosts:
    """A host of the command line."""
    try:
        return Hosts.parse(text)
    except ValueError as error:
        raise BadInput(f"--allow-host {text!r} {error}") from None


def refuse_options(**given: object) -> None:
    """BadInput for options that only mean something with --mode proxy."""
    for name, value in given.items():
        if value:
            raise BadInput(f"--{name.replace('_', '-')} needs --mode proxy")
