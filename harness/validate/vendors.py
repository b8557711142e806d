"""Who answered: the overlay of a vendor by the host, the headers, or what the body shows.

The law of this file: the host of a known vendor decides; a body is only looked into where neither host
nor headers say who it was, and its bytes are searched, not parsed. Nobody known is `compatible`.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from harness.core.encoding import decode_body, encoding_of
from harness.core.exchange import Exchange, Response
from harness.core.url import origin

UNKNOWN = "compatible"

LOOKED_AT = 8192
"""Bytes at either end of a body that are searched."""


class Signs(BaseModel):
    """A row of the index: the overlay of those who show one of these signs, as regular expressions.

    `host` is of the upstream's URL, `headers` of the response's (name -> value), `body` of a member of
    its decoded body: name, colon and how its value begins.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    overlay: str
    host: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class Vendor:
    """A row with its expressions compiled."""

    overlay: str
    host: re.Pattern[str] | None
    headers: tuple[tuple[str, re.Pattern[str]], ...]
    body: re.Pattern[bytes] | None

    @classmethod
    def of(cls, signs: Signs) -> Self:
        """Compiles a row. Raises `re.error` for what is no expression."""
        headers = tuple((name.lower(), re.compile(value)) for name, value in signs.headers.items())
        body = re.compile(rb'(?<!\\)"(?:%s)' % signs.body.encode()) if signs.body else None
        return cls(signs.overlay, re.compile(signs.host) if signs.host else None, headers, body)

    def owns(self, host: str) -> bool:
        """Whether a host is the vendor's own."""
        return self.host is not None and self.host.search(host) is not None

    def sends(self, sent: Mapping[str, str]) -> bool:
        """Whether one of its headers is among these (name in lower case -> value)."""
        return any(name in sent and value.search(sent[name]) for name, value in self.headers)


def overlay_of(vendors: Sequence[Vendor], exchange: Exchange) -> str:
    """The overlay of the first vendor whose host was asked; else whose headers, else whose body it was."""
    host = _host(exchange.request.url)
    found = next((vendor for vendor in vendors if vendor.owns(host)), None)
    response = exchange.response
    if found is None and response is not None:
        sent = {name.lower(): value for name, value in reversed(response.headers)}  # the first one counts
        found = next((vendor for vendor in vendors if vendor.sends(sent)), None)
    if found is None and response is not None:
        shown = _shown(response)
        found = next((vendor for vendor in vendors if vendor.body and vendor.body.search(shown)), None)
    return found.overlay if found else UNKNOWN


def _host(url: str) -> str:
    with suppress(ValueError):
        return origin(url).host
    return ""


def _shown(response: Response) -> bytes:
    """How a decoded body begins and ends: signs of a vendor are in every event, the first or the last."""
    with suppress(ValueError):
        body = decode_body(encoding_of(response.headers), response.body)
        return body if len(body) <= 2 * LOOKED_AT else body[:LOOKED_AT] + b"\n" + body[-LOOKED_AT:]
    return b""
