"""Matching: a request is a recorded one, exactly, after declared rules; or a miss that says why.

The table of matchers is the canonical form (`harness.core.canonical`): method, path, query, body. The
redaction rules of all recordings are applied to both requests first: the recorded one went through
its own when it was recorded, and masking more of both keeps equal what was equal. Equal requests are
answered in recorded order, and then the last answer repeats. What a client aborted is given only
where nothing better was recorded.
"""

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from harness.core.canonical import match_key
from harness.core.difference import Difference, differences, fields, fingerprint, similarity
from harness.core.encoding import encoding_of
from harness.core.exchange import Exchange, Request, State
from harness.core.redaction import Redactor, Rules
from harness.core.run_secrets import RunSecrets

COMPARED = 200
"""Recorded requests that are compared for a miss: of the same endpoint and about the same size."""
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
    fields: "array[int]"
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
        return entry


@dataclass(frozen=True, slots=True)
class Miss:
    """No answer: why, the label of the nearest recorded exchange (if any), and the fields that differ."""

    reason: str
    request: Request
    nearest: str | None = None
    different: tuple[Difference, ...] = ()


class Library[T]:
    """All that a server can answer with: by match key and upstream, and by label.

    `upstreams` are the names of all upstreams, in the order of their first exchange.
    """

    def __init__(self, rules: Rules, known: RunSecrets | None = None) -> None:
        self.redactor = Redactor(rules)
        self.knowing = Redactor(rules, known or RunSecrets())
        self.by_label: dict[str, Entry[T]] = {}
        self.groups: dict[str, dict[str, Group[T]]] = {}
        self.known_keys: dict[bytes, str] = {}
        self.upstreams: dict[str, None] = {}

    def add(self, label: str, exchange: Exchange, answer: T) -> None:
        """Index an exchange, in recorded order. What the recorder's own end interrupted never answers."""
        request = self.redactor.request(exchange.request)
        numbers = fingerprint(fields(request))
        entry = Entry(label, request, exchange.upstream, exchange.state, answer, numbers)
        self.by_label[label] = entry
        self.upstreams[exchange.upstream] = None
        if entry.state is not State.INTERRUPTED:
            groups = self.groups.setdefault(self.key(request), {})
            groups.setdefault(entry.upstream, Group()).add(entry)

    def find(self, request: Request) -> Entry[T] | Miss:
        """The next recorded entry for this request, or a miss."""
        groups = self.groups.get(self.key(request), {})
        if not groups:
            name, bare = self.without_name(request)
            groups = self.groups.get(self.key(bare), {}) if name else {}
            groups = {name: groups[name]} if name in groups else {}
            request = bare
        if not groups:
            masked = self.knowing.request(request)
            if masked != self.redactor.request(
                request
            ):  # it says a secret of its own, as the recorded may have
                return self.find(masked)
            return self.miss(masked)
        if len(groups) > 1 and "" not in groups:  # one without a name has no other place than this
            return self.ambiguous(request, sorted(groups))
        return used(groups.get("", next(iter(groups.values()))).next())

    def named(self, label: str, request: Request) -> Entry[T] | Miss:
        """The entry of this label, whatever the request; a miss where there is none that can answer."""
        entry = self.by_label.get(label)
        masked = self.redactor.request(request)
        if entry is None:
            return Miss(f"no exchange is called {label}", masked)
        if entry.state is State.INTERRUPTED:
            return Miss(f"exchange {label} was interrupted by the recorder's own end", masked)
        return used(entry)

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
        name, slash, rest = request.path.removeprefix("/").partition("/")
        if not slash or not name or name not in self.upstreams:
            return "", request
        return name, replace(request, path=f"/{rest}")

    def ambiguous(self, request: Request, names: list[str]) -> Miss:
        """The miss of a request that was recorded at several upstreams."""
        reason = f"recorded at the upstreams {' and '.join(names)}: ask at /{names[0]}{request.path}"
        return Miss(reason, self.redactor.request(request))

    def miss(self, request: Request) -> Miss:
        """A miss with the nearest recorded request, by the share of equal fields."""
        candidates = self.candidates(request)
        if not candidates:
            return Miss("nothing is recorded", request)
        wanted = fields(request)
        numbers = frozenset(fingerprint(wanted))
        nearest = max(candidates, key=lambda entry: similarity(entry.fields, numbers))
        different = tuple(differences(fields(nearest.request), wanted))
        return Miss("no recorded exchange matches", request, nearest.label, different)

    def candidates(self, request: Request) -> list[Entry[T]]:
        """The entries worth comparing: of the same method and path where there are such, nearest in size."""
        playable = list(self.playable())
        endpoint, size = endpoint_of(request), len(request.body)
        alike = [entry for entry in playable if endpoint_of(entry.request) == endpoint] or playable
        return sorted(alike, key=lambda entry: abs(len(entry.request.body) - size))[:COMPARED]

    def playable(self) -> Iterable[Entry[T]]:
        """The entries that can answer, in the order of their first equal request."""
        groups = (group for by_upstream in self.groups.values() for group in by_upstream.values())
        return (entry for group in groups for entry in group.entries)

    def unused(self) -> Iterator[Entry[T]]:
        """Entries that answered nothing, though they could have."""
        return (entry for entry in self.playable() if not entry.uses)


def used[T](entry: Entry[T]) -> Entry[T]:
    """Count that an entry answers."""
    entry.uses += 1
    return entry


def digest_of(request: Request) -> bytes:
    """The SHA-256 of everything that the match key is made from, as it came."""
    head = f"{request.method}\n{request.path}\n{encoding_of(request.headers)}\n"
    return hashlib.sha256(head.encode("utf-8", "surrogateescape") + request.body).digest()


def endpoint_of(request: Request) -> tuple[str, str]:
    """Method and path without the query."""
    return request.method.upper(), request.path.partition("?")[0]
