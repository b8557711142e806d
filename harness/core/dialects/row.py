"""The form of a dialect's row."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.core.dialects.answer import Answer
from harness.core.dialects.fields import JsonObject, Path, at

type Reader = Callable[[Answer, JsonObject], str]
"""Reads one parsed object into the answer; returns the generated content that it carried."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method and the end of a path (without query), as a regular expression that is searched for."""

    method: str
    path: re.Pattern[str]

    def fits(self, method: str, path: str) -> bool:
        """Whether a request of this method and path (no query, no slash at its end) is meant."""
        return method == self.method and self.path.search(path) is not None


@dataclass(frozen=True, slots=True)
class Places:
    """Where an event or body says what it says once; the first place that has it counts.

    `usage_keys` are pairs of a field of `Usage` and its path inside the object of `usage`; of several
    for one field the last that is there counts. Values of `finish` in `unfinished` are no reasons.
    """

    model: tuple[Path, ...] = (("model",),)
    usage: tuple[Path, ...] = (("usage",),)
    usage_keys: tuple[tuple[str, Path], ...] = ()
    finish: tuple[Path, ...] = ()
    unfinished: frozenset[str] = frozenset()
    _first_keys: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        counts = [place + key for place in self.usage for _, key in self.usage_keys]
        object.__setattr__(self, "_first_keys", frozenset(path[0] for path in (*counts, *self.finish)))

    def read(self, answer: Answer, value: JsonObject) -> None:
        """Notes model, usage and finish reason as far as this object says them."""
        if answer.model is None:
            answer.model = next(
                (m for path in self.model if (m := at(value, path)) and isinstance(m, str)), None
            )
        if self._first_keys.isdisjoint(value):  # most events of a stream say none of it
            return
        for path in self.usage:
            counts = at(value, path)
            if isinstance(counts, dict):
                answer.add_usage(counts, self.usage_keys)
                break
        for path in self.finish:
            reason = at(value, path)
            if isinstance(reason, str) and reason not in self.unfinished:
                answer.add_finish(reason)
                break


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends a stream: literal data, an event of one of these `type`s, or a field that is true.

    An error event ends every stream, whatever its dialect.
    """

    data: bytes | None = None
    types: frozenset[str] = frozenset()
    flag: str | None = None

    def is_end(self, value: JsonObject) -> bool:
        """Whether this parsed event ends its stream."""
        kind = value.get("type")
        if self.types and isinstance(kind, str) and kind in self.types:
            return True
        return self.flag is not None and value.get(self.flag) is True


@dataclass(frozen=True, slots=True)
class Dialect:
    """One protocol: how to know it, and how to read its streams and its plain bodies."""

    name: str
    routes: tuple[Route, ...]
    places: Places
    ending: Ending
    event: Reader
    body: Reader

    def fits(self, method: str, path: str) -> bool:
        """Whether a request of this method and path speaks this dialect."""
        return any(route.fits(method, path) for route in self.routes)


def reads_nothing(_answer: Answer, _value: JsonObject) -> str:
    """The reader of what has no generated text."""
    return ""
