"""The site: what the replay server answers to each request, and what it remembers of it.

Recorded exchanges are answered as recorded; `/__admin/…` is harness's own; anything else is a miss,
which is a 404 in OpenAI's error form that names the nearest recording and the difference.
"""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from harness import __version__
from harness.core.exchange import header
from harness.core.visible import visible
from harness.replay.answers import Recorded, instant
from harness.replay.connection import Answer
from harness.replay.guard import Guard
from harness.replay.match import Entry, Library, Miss
from harness.replay.pacer import Lateness
from harness.replay.playback import Client, Playback
from harness.replay.reader import Incoming

CHOICE_HEADER = "x-harness-exchange"
"""A request with this header gets the exchange that it names, whatever else it asks."""
ADMIN = "/__admin/"
MISSES_KEPT = 100
SHOWN_DIFFERENCES = 5
ANY_CLIENT = Client()
REFUSALS = {
    400: "not a request that HTTP/1.1 allows",
    413: "the request's body is over the limit of 64 MiB",
    414: "the request's target is over the limit of 64 KiB",
    431: "the request's headers are over the limit of 64 KiB",
}


@dataclass(slots=True)
class Tally:
    """What happened so far: requests (without those to `/__admin`), answers, and the latest misses."""

    requests: int = 0
    answered: int = 0
    missed: int = 0
    misses: deque[Miss] = field(default_factory=lambda: deque(maxlen=MISSES_KEPT))


class Site:
    """Answers requests from a library of recorded exchanges, those that `guard` (if any) lets through.

    `on_miss` hears of every miss.
    """

    def __init__(
        self,
        library: Library[Recorded],
        lateness: Lateness,
        speed: float,
        on_miss: Callable[[Miss], None],
        guard: Guard | None = None,
    ) -> None:
        self.guard = guard
        self.library = library
        self.lateness = lateness
        self.speed = speed
        self.on_miss = on_miss
        self.tally = Tally()
        self.admin: dict[str, Callable[[], dict[str, Any]]] = {
            "health": self.health,
            "invalid": self.invalid,
            "timing": self.timing,
            "unmatched": self.unmatched,
            "unused": self.unused,
        }

    def answer(self, incoming: Incoming) -> Answer:
        """What a request gets."""
        if incoming.request.path.startswith(ADMIN):
            return self.administer(incoming)
        self.tally.requests += 1
        if self.guard and (wrong := self.guard.refuse(incoming.request)):
            return Answer(instant(400, wrong.body(), incoming.client), instant=True)
        found = self.find(incoming)
        if isinstance(found, Entry):
            self.tally.answered += 1
            return Answer(found.answer.playback(incoming.client), self.speed, label=found.label)
        if incoming.request.method == "OPTIONS":
            return Answer(preflight(incoming), instant=True)
        return self.missed(found, incoming.client)

    def find(self, incoming: Incoming) -> Entry[Recorded] | Miss:
        """The entry that the request names, or the one that matches; for HEAD, that of the GET will do."""
        label = header(incoming.request.headers, CHOICE_HEADER)
        if label is not None:
            return self.library.named(label, incoming.request)
        found = self.library.find(incoming.request)
        if isinstance(found, Miss) and incoming.client.head:
            as_get = self.library.find(replace(incoming.request, method="GET"))
            return as_get if isinstance(as_get, Entry) else found
        return found

    def missed(self, miss: Miss, client: Client) -> Answer:
        """Count a miss, tell of it, and answer 404."""
        self.tally.missed += 1
        self.tally.misses.append(miss)
        self.on_miss(miss)
        return Answer(instant(404, miss_body(miss), client), instant=True)

    def refuse(self, status: int) -> Answer:
        """The answer to a request that was not read to its end."""
        body = error_body(f"harness: {REFUSALS[status]}", "invalid_request_error", "harness_refused")
        return Answer(instant(status, body, ANY_CLIENT), instant=True)

    def administer(self, incoming: Incoming) -> Answer:
        """Answer a request to `/__admin/…`."""
        name = incoming.request.path.partition("?")[0].removeprefix(ADMIN)
        if name not in self.admin:
            known = ", ".join(ADMIN + known for known in self.admin)
            body = error_body(
                f"harness: no such page; there are {known}", "invalid_request_error", "harness_admin"
            )
            return Answer(instant(404, body, incoming.client), instant=True)
        body = json.dumps(self.admin[name](), indent=1).encode() + b"\n"
        return Answer(instant(200, body, incoming.client), instant=True)

    # ---- the pages of /__admin ----

    def health(self) -> dict[str, Any]:
        """That the server runs, and what it has."""
        exchanges = len(self.library.by_label)
        return {"status": "ok", "version": __version__, "exchanges": exchanges, "speed": self.speed}

    def invalid(self) -> dict[str, Any]:
        """How many requests broke their schema, and the latest of those."""
        guard = self.guard
        latest = [asdict(refused) for refused in guard.latest] if guard else []
        return {"count": guard.invalid if guard else 0, "requests": latest}

    def timing(self) -> dict[str, Any]:
        """How late this server wrote, in ms, over all writes so far."""
        return {**lateness_ms(self.lateness), "held_by_slow_readers": self.lateness.held}

    def unmatched(self) -> dict[str, Any]:
        """How many requests missed, and the latest of those."""
        return {"count": self.tally.missed, "misses": [miss_json(miss) for miss in self.tally.misses]}

    def unused(self) -> dict[str, Any]:
        """The recorded exchanges that answered nothing yet."""
        unused = list(self.library.unused())
        rows = [{"id": entry.label, "request": endpoint(entry)} for entry in unused]
        return {"count": len(rows), "exchanges": rows}


def preflight(incoming: Incoming) -> Playback:
    """The answer to an OPTIONS that nobody recorded: all is allowed that the page asks for (Fetch, 3.3)."""
    asked = header(incoming.request.headers, "access-control-request-headers") or "*"
    headers = (
        ("access-control-allow-origin", "*"),
        ("access-control-allow-methods", "*"),
        ("access-control-allow-headers", asked),
    )
    return instant(204, b"", incoming.client, headers)


def endpoint(entry: Entry[Recorded]) -> str:
    """Method and path of an entry, as people read them."""
    return f"{entry.request.method} {entry.request.path}"


def lateness_ms(lateness: Lateness) -> dict[str, Any]:
    """Count, p50, p99 and max of the lateness of writes, in ms (None: nothing was written)."""
    histogram = lateness.fold()
    figures = {
        "p50_ms": histogram.quantile(0.5),
        "p99_ms": histogram.quantile(0.99),
        "max_ms": histogram.worst,
    }
    return {"writes": histogram.count} | {
        name: None if value is None else round(value / 1e6, 4) for name, value in figures.items()
    }


def miss_text(miss: Miss) -> str:
    """A miss in one line: the request, why, and what differs from the nearest recording."""
    line = visible(f"{miss.request.method} {miss.request.path}: {miss.reason}")
    if miss.nearest is None:
        return line
    shown = "; ".join(map(str, miss.different[:SHOWN_DIFFERENCES]))
    more = len(miss.different) - SHOWN_DIFFERENCES
    return f"{line}; nearest is exchange {miss.nearest}: {shown}" + (f"; and {more} more" if more > 0 else "")


def miss_json(miss: Miss) -> dict[str, Any]:
    """A miss for machines."""
    return {
        "request": f"{miss.request.method} {miss.request.path}",
        "reason": miss.reason,
        "nearest": miss.nearest,
        "differences": [asdict(difference) for difference in miss.different],
    }


def miss_body(miss: Miss) -> bytes:
    """The body of a miss: OpenAI's error form, with the nearest recording and the differences beside it."""
    return error_body(f"harness: {miss_text(miss)}", "invalid_request_error", "harness_miss", miss_json(miss))


def error_body(message: str, kind: str, code: str, details: dict[str, Any] | None = None) -> bytes:
    """An error as OpenAI's API words it, so that SDKs raise it with its message."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return json.dumps({"error": error | ({"harness": details} if details else {})}).encode()
