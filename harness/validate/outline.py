"""The outline of a recording: which members, types, headers and orders of events its messages have.

The law of this file: an outline holds names and counts and never a value. Memory grows with the number
of different names; beyond `NAMES` of a part or `PARTS`, the rest counts as one. A message whose shape
was seen before is counted without being walked again (`harness.validate.shape`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.core.canonical import plain_body
from harness.core.exchange import Exchange, Response, State
from harness.core.json_text import parse
from harness.core.timeline import Content, Event, content_of
from harness.store.recording import Recording
from harness.validate.place import ANY, NAME, endpoint_of
from harness.validate.report import ELSEWHERE
from harness.validate.sequence import DONE, collapsed, named, step
from harness.validate.shape import Shape, shape

PARTS = 2_000
NAMES = 5_000
SHAPES = 200
"""Shapes that are remembered for one part: those of events are few, those of requests are large."""

REQUEST, SEQUENCE = "request", "sequence"
NO_JSON = "no JSON"
WHOLE = frozenset({State.COMPLETE, State.UNTERMINATED})
"""How an exchange ended whose response is all there."""

TYPES = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
}
PER_CONNECTION = frozenset(
    {
        "age",
        "alt-svc",
        "cf-cache-status",
        "cf-ray",
        "connection",
        "content-encoding",
        "content-length",
        "date",
        "etag",
        "expires",
        "keep-alive",
        "last-modified",
        "nel",
        "proxy-connection",
        "report-to",
        "reporting-endpoints",
        "server-timing",
        "set-cookie",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
        "via",
        "x-cache",
        "x-served-by",
        "x-timer",
    }
)
"""Headers that come and go with a connection, a cache or a length, and say nothing about the API."""

type Progress = Callable[[int, int | None], None]
"""Is told how many exchanges are done, and how many there are (None: nobody knows yet)."""

type Fields = dict[str, set[str]]
"""Pointer with `*` for the elements of lists -> JSON types."""


@dataclass(slots=True)
class Seen:
    """In how many messages of its part a name was seen, and with which types (none: it has no value)."""

    messages: int = 0
    types: set[str] = field(default_factory=set)


@dataclass(slots=True)
class PartOutline:
    """A kind of message: how many there were, and what they had."""

    messages: int = 0
    names: dict[str, Seen] = field(default_factory=dict)
    shapes: dict[Shape, tuple[Seen, ...]] = field(default_factory=dict)

    def add(self, value: Any) -> None:
        """Count a JSON message."""
        key = shape(value, frozenset())
        found = self.shapes.get(key)
        if found is None:
            found = tuple(self.seen(pointer, types) for pointer, types in fields_of(value).items())
            if len(self.shapes) < SHAPES:
                self.shapes[key] = found
        self.messages += 1
        for seen in found:
            seen.messages += 1

    def add_names(self, fields: Fields) -> None:
        """Count a message that has these names."""
        self.messages += 1
        for name, types in fields.items():
            self.seen(name, types).messages += 1

    def seen(self, name: str, types: set[str]) -> Seen:
        """What is known of a name, these types included."""
        if name not in self.names and len(self.names) >= NAMES:
            name = ELSEWHERE
        seen = self.names.setdefault(name, Seen())
        seen.types |= types
        return seen


class Outline:
    """What the exchanges so far look like: endpoint -> part -> its outline.

    Parts are `request`, `response STATUS` and its headers, `event TYPE` and `sequence`.
    """

    def __init__(self) -> None:
        self.exchanges = 0
        self.endpoints: dict[str, dict[str, PartOutline]] = {}
        self._parts = 0

    def add(self, exchange: Exchange) -> None:
        """Count an exchange."""
        self.exchanges += 1
        endpoint = endpoint_of(exchange.request)
        body = plain_body(exchange.request.body, exchange.request.headers)
        if body:
            self._add_json(endpoint, REQUEST, parsed(body))
        if exchange.response is not None:
            self._add_response(endpoint, exchange.response, whole=exchange.state in WHOLE)

    def _add_response(self, endpoint: str, response: Response, *, whole: bool) -> None:
        part = f"response {response.status}"
        headers = {name.lower() for name, _ in response.headers if NAME.fullmatch(name)} - PER_CONNECTION
        self._part(endpoint, f"{part} headers").add_names({name: set() for name in headers})
        content = content_of(response)
        if content.framing:
            self._part(endpoint, part).add_names({"": {content.framing.value}})
            self._add_events(endpoint, content, whole=whole)
        elif whole:
            self._add_json(endpoint, part, parsed(content.body))

    def _add_events(self, endpoint: str, content: Content, *, whole: bool) -> None:
        steps = []
        for event in content.events:
            value = parsed(event.data)
            steps.append(step(value, event.name, event.data))
            if event.data != DONE and (whole or value is not NO_JSON):
                self._add_json(endpoint, part_of(event, value), value)
        if whole:
            self._part(endpoint, SEQUENCE).add_names({collapsed(steps): set()})

    def _add_json(self, endpoint: str, part: str, value: Any) -> None:
        try:
            if value is NO_JSON:
                self._part(endpoint, part).add_names({"": {NO_JSON}})
            else:
                self._part(endpoint, part).add(value)
        except RecursionError:  # nested too deeply to be walked
            self._part(endpoint, part).add_names({"": {NO_JSON}})

    def _part(self, endpoint: str, part: str) -> PartOutline:
        known = self.endpoints.get(endpoint, {}).get(part)
        if known is not None:
            return known
        if self._parts >= PARTS:
            endpoint = part = ELSEWHERE
        self._parts += 1
        return self.endpoints.setdefault(endpoint, {}).setdefault(part, PartOutline())


def outline_of(recording: Recording, progress: Progress = lambda _done, _all: None) -> Outline:
    """The outline of a recording, one exchange in memory at a time."""
    outline, total = Outline(), recording.count()
    for exchange in recording.exchanges():
        outline.add(exchange)
        progress(outline.exchanges, total)
    return outline


def part_of(event: Event, value: Any) -> str:
    """The part that an event belongs to: by its `type`, its SSE name, or its `object`."""
    typed = value if isinstance(value, dict) else {}
    kind = named(typed.get("type")) or named(event.name) or named(typed.get("object"))
    return f"event {kind}" if kind else "event"


def parsed(data: bytes) -> Any:
    """A JSON value; `NO_JSON` itself where there is none."""
    try:
        return parse(data)
    except ValueError:
        return NO_JSON


def fields_of(value: Any) -> Fields:
    """The types that stand at each place of a JSON value."""
    found: Fields = {}
    for pointer, kind in walk(value, ""):
        found.setdefault(pointer, set()).add(kind)
    return found


def walk(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Every place of a JSON value with the type of what stands there."""
    yield pointer, TYPES[type(value)]
    if isinstance(value, dict):
        for name, item in value.items():
            yield from walk(item, f"{pointer}/{name if NAME.fullmatch(name) else ANY}")
    elif isinstance(value, list):
        for item in value:
            yield from walk(item, f"{pointer}/{ANY}")
