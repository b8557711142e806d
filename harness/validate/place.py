"""Where something is, as reports say it: places that many exchanges share, free of what they hold.

The law of this file: a step of a pointer or path that does not look like a name (a number, an id, a
model, a sentence) becomes `*`. Names of members stay: they are what drift is about.
"""

import re
from functools import lru_cache
from urllib.parse import urlsplit

from harness.core.exchange import Request

ANY = "*"
NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.-]{0,63}")
"""A member's name as APIs choose them; text of people has blanks, other letters, or more of them."""
INDEX = re.compile(r"[0-9]{1,9}")
SEGMENT = re.compile(r"v[0-9]+[a-z0-9]{0,8}|[A-Za-z_.:-]{1,40}")
"""A segment of a path that says which call it is: a version, or words without digits."""
NAMED_BY_USERS = frozenset({"deployments", "engines", "models"})
"""Segments behind which stands a name of the user's, or a model's."""
REMEMBERED = 4096


@lru_cache(REMEMBERED)
def shown(pointer: str) -> str:
    """A JSON pointer whose steps are names of an API or indexes; others become `*`.

    >>> shown("/tools/0/parameters/how are you")
    '/tools/0/parameters/*'
    """
    return "/".join(step if is_name(step) or INDEX.fullmatch(step) else ANY for step in pointer.split("/"))


@lru_cache(REMEMBERED)
def general(pointer: str) -> str:
    """A JSON pointer that is the same for all elements of a list.

    >>> general("/choices/0/delta/content")
    '/choices/*/delta/content'
    """
    return "/".join(step if is_name(step) else ANY for step in pointer.split("/"))


def is_name(step: str) -> bool:
    """Whether a step is a name, or the empty one before the first slash."""
    return not step or NAME.fullmatch(step) is not None


@lru_cache(REMEMBERED)
def endpoint(method: str, path: str) -> str:
    """A call without what varies: no query, no ids, no names of models or deployments.

    >>> endpoint("GET", "/v1/responses/resp_68b1?after=3")
    'GET /v1/responses/*'
    """
    segments = path.partition("?")[0].split("/")
    before = ["", *segments]
    kept = [
        segment if not segment or (last not in NAMED_BY_USERS and SEGMENT.fullmatch(segment)) else ANY
        for last, segment in zip(before, segments, strict=False)
    ]
    return f"{method.upper() if NAME.fullmatch(method) else ANY} {'/'.join(kept)}"


def endpoint_of(request: Request) -> str:
    """The endpoint that a client called."""
    return endpoint(request.method, request.path)


@lru_cache(REMEMBERED)
def host_of(url: str) -> str:
    """The host of a URL, without its port; empty where there is none.

    >>> host_of("https://api.openai.com:443/v1/models")
    'api.openai.com'
    """
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
