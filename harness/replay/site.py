"""The site: what the replay server answers to each request, and what it remembers of it.

Recorded exchanges are answered as recorded; anything else is a miss, which is a 404 in the API's error form
that names the nearest recording and the difference.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from harness.core.admin import Result
from harness.core.api_forms import Api, api_of, own_error
from harness.core.exchange import REQUEST_LIMIT, header
from harness.core.miss import Miss, miss_line, missed_request
from harness.core.visible import visible
from harness.replay.answers import Recorded, instant
from harness.replay.connection import Answer
from harness.replay.cursors import SessionOf, everybody
from harness.replay.guard import Guard
from harness.replay.instead import Instead
from harness.replay.match import Entry, Library
from harness.replay.pacer import Lateness
from harness.replay.playback import Client, Playback
from harness.replay.reader import Incoming

CHOICE_HEADER = "x-harness-exchange"
"""A request with this header gets the exchange that it names, whatever else it asks."""
MISSES_KEPT = 100
ANY_CLIENT = Client()
REFUSALS = {
    400: "not a request that HTTP/1.1 allows",
    405: "a CONNECT is for proxies, which `harness replay --mode proxy` is",
    413: f"the request's body is over the limit of {REQUEST_LIMIT // 2**20} MiB",
    414: "the request's target is over the limit of 64 KiB",
    431: "the request's headers are over the limit of 64 KiB",
    502: "the host that was asked for cannot be reached",
}


@dataclass(slots=True)
class Tally:
    """What happened so far: requests (without those to `/__admin`), answers, and the latest misses.

    `instead`: what came in place of misses, by its word.
    """

    requests: int = 0
    answered: int = 0
    missed: int = 0
    misses: deque[Miss] = field(default_factory=lambda: deque(maxlen=MISSES_KEPT))
    instead: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed beside matching: which session a request belongs to, and what comes in place of misses.

    The first of `instead` that has an answer gives it, and `on_instead` hears of it in one line.
    """

    session_of: SessionOf = everybody
    instead: Sequence[Instead] = ()
    on_instead: Callable[[str], None] = lambda _: None


class Site:
    """Answers requests from a library of recorded exchanges, those that `guard` (if any) lets through.

    `on_miss` hears of every miss. `terms` may be set before the first request.
    """

    def __init__(
        self,
        library: Library[Recorded],
        lateness: Lateness,
        speed: float,
        on_miss: Callable[[Miss], None],
        guard: Guard | None = None,
    ) -> None:
        self.terms = Terms()
        self.guard = guard
        self.latest: deque[Incoming] = deque(maxlen=0)
        self.library = library
        self.lateness = lateness
        self.speed = speed
        self.on_miss = on_miss
        self.tally = Tally()

    def keep_requests(self, most: int) -> None:
        """From now on, keep the latest so many as they came in, in memory alone."""
        self.latest = deque(maxlen=most)

    def answer(self, incoming: Incoming) -> Answer:
        """What a request gets."""
        self.tally.requests += 1
        self.latest.append(incoming)
        if self.guard and (wrong := self.guard.refuse(incoming.request)):
            return Answer(
                instant(400, wrong.body(api_of(incoming.request)), incoming.client),
                instant=True,
                result=Result.INVALID,
            )
        found = self.find(incoming)
        if isinstance(found, Entry):
            self.tally.answered += 1
            return Answer(found.answer.playback(incoming.client), self.speed, label=found.label)
        if incoming.request.method == "OPTIONS":
            return Answer(preflight(incoming), instant=True, result=Result.PREFLIGHT)
        return self.missed(found, incoming)

    def find(self, incoming: Incoming) -> Entry[Recorded] | Miss:
        """The entry that the request names, or the one that matches; for HEAD, that of the GET will do."""
        label = header(incoming.request.headers, CHOICE_HEADER)
        if label is not None:
            return self.library.named(label, incoming.request)
        session = self.terms.session_of(incoming.request)
        found = self.library.find(incoming.request, session, incoming.origin)
        if isinstance(found, Miss) and incoming.client.head:
            as_get = self.library.find(replace(incoming.request, method="GET"), session, incoming.origin)
            return as_get if isinstance(as_get, Entry) else found
        return found

    def missed(self, miss: Miss, incoming: Incoming) -> Answer:
        """What comes in place of a miss; else count it, tell of it, and answer 404."""
        session = self.terms.session_of(incoming.request)
        given = next(filter(None, (give(miss, incoming, session) for give in self.terms.instead)), None)
        if given is not None:
            self.tally.instead[given.word] += 1
            self.terms.on_instead(visible(f"{given.word}: {miss.asked}: {given.words}"))
            return replace(given.answer, speed=self.speed, result=Result(given.word))
        self.tally.missed += 1
        self.tally.misses.append(miss)
        self.on_miss(miss)
        return Answer(
            instant(404, miss_body(miss, api_of(incoming.request)), incoming.client),
            instant=True,
            result=Result.MISSED,
        )


def refused(status: int) -> Answer:
    """The answer to a request that was not read to its end."""
    body = own_error(Api.OPENAI, status, REFUSALS[status], "harness_refused")
    return Answer(instant(status, body, ANY_CLIENT), instant=True)


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


def miss_body(miss: Miss, api: Api) -> bytes:
    """The body of a miss: the API's error form, with the nearest recordings and the differences beside it."""
    details = missed_request(miss).model_dump(mode="json")
    return own_error(api, 404, miss_line(miss), "harness_miss", details)
