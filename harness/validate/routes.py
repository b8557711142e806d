"""Which schemas a message answers to, by method, path, status and content type.

The law of this file: a path is anchored at its end and at what may stand before a resource, so that
a neighbour (`/organization/usage/completions`) is not mistaken for it; the first row that fits counts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, field_validator

from harness.core import dialects

BASE = "{base}"
"""Stands in a row's path for what may come before a resource."""

DIALECTS = (
    *(row.name for row in dialects.DIALECTS),
    "anthropic.count_tokens",
    "local.detokenize",
    "local.health",
    "local.tokenize",
    "local.version",
    "models",
    "ollama.embed",
    "ollama.tags",
    "openai.audio",
    "openai.images",
    "openai.moderations",
)
"""The dialects that calls are of: those whose answers are read, and those that have schemas alone. A row of
an API of one's own takes the one whose form of errors it has."""


@dataclass(frozen=True, slots=True)
class Route:
    """The schemas of one kind of call; None where there is nothing that a schema could say.

    `request` and `response` are of whole JSON bodies (a request may be multipart: then none applies),
    `event` is of one event of a stream, whose member `dispatch` chooses among its alternatives, and
    `error` is of any error's body, whatever its status.
    """

    name: str
    dialect: str
    request: str | None
    response: str | None
    error: str
    event: str | None
    dispatch: str | None


class Row(BaseModel):
    """A row of the index. `path` is a regular expression without the query, of the whole path.

    `opaque`: how the media types begin whose bodies no schema describes; an empty one means that the
    body may be absent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    dialect: str
    method: str
    path: str
    request: str | None = None
    response: str | None = None
    event: str | None = None
    dispatch: str | None = None
    error: str = "errors"
    opaque: tuple[str, ...] = ()

    @field_validator("dialect")
    @classmethod
    def _known(cls, dialect: str) -> str:
        if dialect not in DIALECTS:
            raise ValueError(f"there is no dialect '{dialect}'; there are {', '.join(DIALECTS)}")
        return dialect

    @property
    def schemas(self) -> tuple[str, ...]:
        """The names of all schemas of the row."""
        names = (self.request, self.response, self.event, self.error)
        return tuple(name for name in names if name is not None)

    def is_opaque(self, media_type: str) -> bool:
        """Whether no schema describes a body of this type."""
        return any(media_type.startswith(kind) if kind else not media_type for kind in self.opaque)

    def route(self) -> Route:
        """What a row says of a good answer."""
        return Route(
            self.name, self.dialect, self.request, self.response, self.error, self.event, self.dispatch
        )


class Routes:
    """All rows, with their paths compiled. Raises `re.error` for a path that is no expression."""

    def __init__(self, base: str, rows: Sequence[Row]) -> None:
        self._rows = [(re.compile(row.path.replace(BASE, base)), row) for row in rows]

    def route(self, method: str, path: str, status: int | None, content_type: str | None) -> Route | None:
        """The schemas of a call; None for one that no row knows. A query in `path` is ignored.

        `response` and `event` are None where the answer is none of theirs: there is none (status None),
        its status is not a good one (2xx), or its content type says so.
        """
        bare = path.partition("?")[0].rstrip("/")
        wanted = method.upper()
        row = next((row for regex, row in self._rows if row.method == wanted and regex.search(bare)), None)
        if row is None:
            return None
        media_type = (content_type or "").partition(";")[0].strip().lower()
        good = status is not None and 200 <= status < 300
        if good and not row.is_opaque(media_type):
            return row.route()
        return replace(row.route(), response=None, event=None)
