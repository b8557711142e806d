"""The client's side: a conversation for each trial, and a client that can leave before its end."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from harness.client import Conversation, converse
from harness.core.encoding import Chunk
from harness.core.exchange import Headers, Request
from harness.core.sse import SseDecoder
from harness.core.url import authority_of
from harness.probe.behaviours import DEPARTURES, MS, Behaviour
from harness.probe.trials import Trial

PATIENCE_NS = 10_000 * MS
"""A response may take this long beyond its recorded end."""
LEAVE_AFTER = 5
"""Events after which a client leaves."""
LEAVE_NS = 1_000 * MS
"""When it leaves at the latest: a gateway that holds everything back gives it nothing to count."""
OWN_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "expect", "accept-encoding", "upgrade"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests go: host, port, and what stands before their path; `headers` are sent with each."""

    host: str
    port: int
    prefix: str = ""
    headers: Headers = ()

    @property
    def authority(self) -> str:
        """Host and port, as a Host header and a person have them."""
        return authority_of("http", self.host, self.port)

    @classmethod
    def of(cls, url: str, headers: Headers = ()) -> "Place":
        """The place of an http URL."""
        parts = urlsplit(url)
        return cls(parts.hostname or "", parts.port or 80, parts.path.rstrip("/"), headers)


class Talk(Conversation):
    """A conversation of a trial; `key` is the request's mark. `leaves`: it goes before the end.

    `asked` is the request as the provider should see it, but for `aside`: headers that are the gateway's.
    `left`: it has gone, of its own will, at `end_ns`.
    """

    def __init__(self, mark: int, trial: Trial, place: Place) -> None:
        leaves = [one for one in trial.behaviours if one in DEPARTURES]
        limit_ns = LEAVE_NS if leaves else trial.exchange.end_ns + PATIENCE_NS
        self.asked = asked_of(trial, mark, place)
        super().__init__(mark, wire_of(self.asked, place.prefix), limit_ns)
        self.trial = trial
        self.aside = frozenset(name.lower() for name, _ in place.headers)
        self.leaves = bool(leaves)
        self.breaks = Behaviour.BROKE in leaves
        self.decoder = SseDecoder()
        self.counted = 0
        self.events = 0

    @property
    def left(self) -> bool:
        """Whether it left before the answer was over, having heard enough or waited long enough."""
        heard = self.events >= LEAVE_AFTER or self.failure is not None
        return self.leaves and not self.complete and heard

    def take(self, data: bytes, arrived_ns: int) -> bool:
        """As any conversation, but for one that has heard enough."""
        over = super().take(data, arrived_ns)
        return over or (self.leaves and self.heard_enough())

    def heard_enough(self) -> bool:
        """Whether so many events have come."""
        fresh = self.pieces[self.counted :]
        self.counted = len(self.pieces)
        self.events += sum(len(self.decoder.feed(data)) for _, data in fresh)
        return self.events >= LEAVE_AFTER

    def head(self) -> Headers:
        """The headers as text."""
        return tuple(
            (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
            for name, value in self.headers
        )

    def chunks(self) -> tuple[Chunk, ...]:
        """The body as it came, each piece at its moment in ns."""
        return tuple(self.pieces)


def asked_of(trial: Trial, mark: int, place: Place) -> Request:
    """The recorded request, once more, marked, and asking for this very exchange."""
    request = trial.exchange.request
    own = OWN_HEADERS | {name.lower() for name, _ in place.headers}
    headers = (
        *(pair for pair in request.headers if pair[0].lower() not in own),
        *place.headers,
        ("host", place.authority),
        ("content-length", str(len(request.body))),
        ("accept-encoding", "identity"),
        ("x-harness-exchange", str(trial.number)),
        ("x-harness-request", str(mark)),
    )
    return replace(request, headers=headers)


def wire_of(request: Request, prefix: str) -> bytes:
    """A request as it is sent, its path behind the gateway's own."""
    first = f"{request.method} {prefix}{request.path} HTTP/1.1"
    head = "\r\n".join([first, *(f"{name}: {value}" for name, value in request.headers)]) + "\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + request.body


class Marks:
    """Numbers for requests, no two alike."""

    def __init__(self) -> None:
        self.last = 0

    def talks(self, trials: Iterable[Trial], place: Place) -> list[Talk]:
        """Conversations for these trials."""
        found = []
        for trial in trials:
            self.last += 1
            found.append(Talk(self.last, trial, place))
        return found


def hold(
    talks: Sequence[Talk], place: Place, concurrency: int, done: Callable[[], None] = lambda: None
) -> Sequence[Talk]:
    """Hold conversations, so many at once; `done` is called after each."""
    converse(place.host, place.port, talks, concurrency, lambda _: done())
    return talks
