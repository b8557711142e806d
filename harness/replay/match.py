"""Matching: a request is a recorded one, exactly, after declared rules; or a miss that says why.

The table of matchers is the canonical form (`harness.core.canonical`): method, path, query, body. The
redaction rules of a recording are applied to both requests first: the recorded one went through them
when it was recorded, and a file from elsewhere goes through them now. Equal requests are answered in
recorded order, and then the last answer repeats. What a client aborted is given only where nothing
better was recorded.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from harness.core.canonical import match_key
from harness.core.difference import Difference, differences, fields, similarity
from harness.core.exchange import Exchange, Request, State, header
from harness.core.redaction import Redactor, Rules

COMPARED = 200
"""Recorded requests that are compared in full for a miss: of the same endpoint and about the same size."""
KNOWN_KEYS = 100_000
"""Match keys that are remembered by the digest of the request, recorded ones first."""


@dataclass(slots=True, eq=False)
class Entry[T]:
    """A recorded request and what it is answered with. `label` is what people call it: its id."""

    label: str
    request: Request
    upstream: str
    state: State
    answer: T
    uses: int = 0


@dataclass(slots=True)
class Group[T]:
    """The entries with equal requests at one upstream, and which of them is next."""

    entries: list[Entry[T]] = field(default_factory=list)
    cursor: int = 0

    def add(self, entry: Entry[T]) -> None:
        """Take in an entry; what a client aborted counts only until there is something better."""
        aborted = entry.state is State.CLIENT_ABORT
        if self.entries and aborted != (self.entries[0].state is State.CLIENT_ABORT):
            if aborted:
                return
            self.entries.clear()
        self.entries.append(entry)

    def next(self) -> Entry[T]:
        """The next answer in recorded order; the last one repeats."""
        entry = self.entries[min(self.cursor, len(self.entries) - 1)]
        self.cursor += 1
        entry.uses += 1
        return entry


@dataclass(frozen=True, slots=True)
class Miss:
    """No answer: why, the label of the nearest recorded exchange (if any), and the fields that differ."""

    reason: str
    request: Request
    nearest: str | None = None
    nearest_request: Request | None = None
    different: tuple[Difference, ...] = ()


class Matcher[T]:
    """Finds the entry for a request. All entries share one set of redaction rules."""

    def __init__(self, rules: Rules) -> None:
        self.redactor = Redactor(rules)
        self.entries: list[Entry[T]] = []
        self.groups: dict[str, dict[str, Group[T]]] = {}
        self.upstreams: set[str] = set()
        self.known_keys: dict[bytes, str] = {}

    def add(self, entry: Entry[T]) -> None:
        """Index an entry, in recorded order. What the recorder's own end interrupted never answers."""
        if entry.state is State.INTERRUPTED:
            return
        entry.request = self.redactor.request(entry.request)
        self.entries.append(entry)
        self.upstreams.add(entry.upstream)
        self.groups.setdefault(self.key(entry.request), {}).setdefault(entry.upstream, Group()).add(entry)

    def find(self, request: Request) -> Entry[T] | Miss:
        """The next recorded entry for this request, or a miss."""
        groups = self.groups.get(self.key(request)) or {}
        name, bare = self.without_name(request)
        if not groups and name:
            request, groups = bare, self.groups.get(self.key(bare), {})
            groups = {name: groups[name]} if name in groups else {}
        if len(groups) > 1:
            names = " and ".join(sorted(groups))
            reason = f"recorded at the upstreams {names}: ask at /{min(groups)}{request.path}"
            return Miss(reason, self.redactor.request(request))
        return next(iter(groups.values())).next() if groups else self.miss(self.redactor.request(request))

    def key(self, request: Request) -> str:
        """The match key after redaction. Most requests are byte for byte a recorded one: those are known."""
        digest = digest_of(request)
        key = self.known_keys.get(digest)
        if key is None:
            masked = self.redactor.request(request)
            key = match_key(masked.method, masked.path, masked.body, masked.headers)
            if len(self.known_keys) < KNOWN_KEYS:
                self.known_keys[digest] = key
        return key

    def without_name(self, request: Request) -> tuple[str, Request]:
        """The upstream that a request at `/NAME/…` asks for ("": none), and the request without it."""
        _, name, *rest = request.path.split("/", 2)
        if not rest or name not in self.upstreams:
            return "", request
        return name, replace(request, path=f"/{rest[0]}")

    def miss(self, request: Request) -> Miss:
        """A miss with the nearest recorded request, by the share of equal fields."""
        if not self.entries:
            return Miss("nothing is recorded", request)
        wanted = fields(request)
        scored = [(similarity(fields(entry.request), wanted), entry) for entry in self.candidates(request)]
        nearest = max(scored, key=lambda pair: pair[0])[1]
        different = tuple(differences(fields(nearest.request), wanted))
        return Miss("no recorded exchange matches", request, nearest.label, nearest.request, different)

    def candidates(self, request: Request) -> Iterable[Entry[T]]:
        """The entries worth comparing: of the same method and path where there are such, nearest in size."""
        endpoint = endpoint_of(request)
        alike = [entry for entry in self.entries if endpoint_of(entry.request) == endpoint] or self.entries
        size = len(request.body)
        return sorted(alike, key=lambda entry: abs(len(entry.request.body) - size))[:COMPARED]


def digest_of(request: Request) -> bytes:
    """The SHA-256 of everything that the match key is made from, as it came."""
    head = f"{request.method}\n{request.path}\n{header(request.headers, 'content-encoding')}\n"
    return hashlib.sha256(head.encode("utf-8", "surrogateescape") + request.body).digest()


def endpoint_of(request: Request) -> tuple[str, str]:
    """Method and path without the query."""
    return request.method.upper(), request.path.partition("?")[0]


class Library[T]:
    """All that a server can answer with: a matcher for each set of redaction rules, and all by label."""

    def __init__(self) -> None:
        self.matchers: dict[str, Matcher[T]] = {}
        self.by_label: dict[str, Entry[T]] = {}

    def add(self, label: str, exchange: Exchange, rules: Rules, answer: T) -> None:
        """Index an exchange, in recorded order."""
        entry = Entry(label, exchange.request, exchange.upstream, exchange.state, answer)
        self.by_label[label] = entry
        matcher = self.matchers.setdefault(rules.to_json(), Matcher(rules))
        matcher.add(entry)

    def find(self, request: Request) -> Entry[T] | Miss:
        """The entry for a request from whichever matcher has one; else the nearest of their misses."""
        misses: list[Miss] = []
        for matcher in self.matchers.values():
            found = matcher.find(request)
            if isinstance(found, Entry):
                return found
            misses.append(found)
        return min(misses, key=nearness) if misses else Miss("nothing is recorded", request)

    def unused(self) -> Iterator[Entry[T]]:
        """Entries that answered nothing, though they could have."""
        playable = (entry for entry in self.by_label.values() if entry.state is not State.INTERRUPTED)
        return (entry for entry in playable if not entry.uses)

    def upstreams(self) -> tuple[str, ...]:
        """The names of all upstreams, in the order of their first exchange."""
        return tuple(dict.fromkeys(entry.upstream for entry in self.by_label.values()))


def nearness(miss: Miss) -> tuple[bool, int]:
    """Order of misses: one that names a nearest exchange first, and of those the one with least to change."""
    return miss.nearest is None, len(miss.different)
