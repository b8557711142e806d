"""Headers of requests by what they belong to: which of them say nothing about the content.

The law of this file: pure. Patterns are those of `fnmatch`, names in lower case.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

OF_CONNECTION = (
    "host",
    "connection",
    "keep-alive",
    "proxy-*",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "content-length",
)
"""Hop by hop (RFC 9110, 7.6.1), and what a client works out for each request anew."""

OF_TRACE = ("x-stainless-*", "traceparent", "tracestate", "baggage", "x-harness-*")
"""What an SDK tells of itself, and of the trace that a request is part of."""


def is_named(name: str, patterns: Iterable[str]) -> bool:
    """Whether a header of this name, in lower case, is one of these.

    >>> is_named("proxy-authorization", OF_CONNECTION)
    True
    """
    return any(fnmatchcase(name, pattern) for pattern in patterns)
