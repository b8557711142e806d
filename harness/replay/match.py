"""Matching: a request is a recorded one, exactly, after declared rules; or a miss that says why.

What is compared, and what is taken for equal, is `harness.core.matching`. The redaction rules of all
recordings are applied to both requests first: the recorded one went through its own when it was
recorded, and masking more of both keeps equal what was equal. Equal requests are answered in recorded
order, as `harness.replay.cursors` says. What a client aborted is given only where nothing better was
recorded.
"""

import hashlib
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from harness.core.admin import RecordedFile
from harness.core.difference import Difference, differences, likeness, similarity
from harness.core.encoding import encoding_of
from harness.core.exchange import Exchange, Headers, Request, State, header
from harness.core.matching.index import Endpoint, Fields, Index
from harness.core.matching.matcher import Matching, Subject, fields_of
from harness.core.matching.words import Repeat
from harness.core.miss import Miss, Near, Why
from harness.core.redaction import Redactor, Rules
from harness.core.run_secrets import RunSecrets
from harness.replay.cursors import EVERYBODY, Cursors, OwnCursors, pick

WEIGHED = 6
"""Requests of those compared whose texts are held against each other."""
NEAREST = 3
"""Recorded exchanges that a miss names."""
KNOWN_KEYS = 100_000
"""Match keys that are remembered by the digest of the request, recorded ones first."""
SHAPING = ("method", "path", "body/model", "body/stream")
"""Fields that no likeness makes up for: what is alike is at the same endpoint, and wants the same form."""


@dataclass(slots=True, eq=False)
class Entry[T]:
    """A recorded request and what it is answered with. `label` is what people call it: its id."""

    label: str
    request: Request
    upstream: str
    state: State
    answer: T
    fields: "array[int]"
    group: "Group[T] | None" = None
    uses: int = 0


@dataclass(slots=True)
class Group[T]:
    """The entries with equal requests at one upstream. `key` is what cursors know it by."""

    key: str
    entries: list[Entry[T]] = field(default_factory=list)

    def add(self, entry: Entry[T]) -> None:
        """Take in an entry; what a client aborted counts only until there is something better."""
        aborted = entry.state is State.CLIENT_ABORT
        if self.entries and aborted != (self.entries[0].state is State.CLIENT_ABORT):
            if aborted:
                return
            self.entries.clear()
        self.entries.append(entry)


@dataclass(frozen=True, slots=True)
class Order:
    """In which order equal requests are answered; `seed` is that of a random one."""

    repeat: Repeat = Repeat.LAST
    seed: int = 0
    cursors: Cursors = field(default_factory=OwnCursors)


class Library[T]:
    """All that a server can answer with: by match key and upstream, and by label.

    `upstreams` are the names of all upstreams, in the order of their first exchange; `recordings` the files
    that it was loaded from.
    """

    def __init__(
        self,
        rules: Rules,
        known: RunSecrets | None = None,
        matching: Matching | None = None,
        order: Order | None = None,
    ) -> None:
        self.matching = matching or Matching()
        self.order = order or Order()
        self.redactor = Redactor(rules)
        self.knowing = Redactor(rules, known or RunSecrets())
        self.by_label: dict[str, Entry[T]] = {}
        self.groups: dict[str, dict[str, Group[T]]] = {}
        self.known_keys: dict[bytes, str] = {}
        self.upstreams: dict[str, None] = {}
        self.recordings: list[RecordedFile] = []
        self.index = Index()
        self.indexed: list[Entry[T]] = []
        self.unread: deque[tuple[Endpoint, int, Fields]] = deque()

    def add(self, label: str, exchange: Exchange, answer: T, *, masked: bool = False) -> None:
        """Index an exchange, in recorded order. What the recorder's own end interrupted never answers.

        `masked`: the request went through this library's own redaction rules when it was recorded.
        """
        request = exchange.request if masked else self.redactor.request(exchange.request)
        subject = self.matching.subject(request)
        entry = Entry(label, request, exchange.upstream, exchange.state, answer, subject.numbers)
        self.by_label[label] = entry
        self.upstreams[exchange.upstream] = None
        self.remember(request, subject.key)
        if entry.state is not State.INTERRUPTED and self.group(subject.key, entry):
            self.unread.append((endpoint_of(request), len(request.body), subject.numbered))
            self.indexed.append(entry)

    def index_some(self, count: int | None = None) -> None:
        """Take so many of the requests that nobody looked for yet into the index of misses; None: all."""
        for _ in range(len(self.unread) if count is None else min(count, len(self.unread))):
            self.index.add(*self.unread.popleft())

    def group(self, key: str, entry: Entry[T]) -> bool:
        """Put an entry to those with equal requests; whether it is the first of them."""
        groups = self.groups.setdefault(key, {})
        known = len(groups)
        entry.group = groups.setdefault(entry.upstream, Group(f"{key} {entry.upstream}"))
        entry.group.add(entry)
        return known != len(groups)

    def find(self, request: Request, session: str = EVERYBODY, upstream: str = "") -> Entry[T] | Miss:
        """The next recorded entry for this request, of this upstream if any is named, or a miss."""
        groups, bare = self.groups.get(self.key(request), {}), request
        if upstream and groups:
            if upstream not in groups:
                return self.elsewhere(request, upstream, sorted(groups))
            groups = {upstream: groups[upstream]}
        elif not groups:
            name, bare = self.without_name(request)
            groups = self.groups.get(self.key(bare), {}) if name else {}
            if groups and name not in groups and "" not in groups:
                return self.elsewhere(bare, name, sorted(groups))
            groups = {name: groups[name]} if name in groups else {}
        if not groups:
            masked = self.knowing.request(request)
            if masked != self.redactor.request(request):  # it says its own secret, as the recorded may have
                return self.find(masked, session, upstream)
            return self.miss(self.without_name(masked)[1])
        if len(groups) > 1 and "" not in groups:  # one without a name has no other place than this
            return self.ambiguous(request, sorted(groups))
        return self.next(groups.get("", next(iter(groups.values()))), bare, session)

    def next(self, group: Group[T], request: Request, session: str) -> Entry[T] | Miss:
        """The entry whose turn it is in a session; a miss where all were given, and none repeats."""
        before, count = self.order.cursors.advance(session, group.key), len(group.entries)
        turn = pick(self.order.repeat, before, count, f"{self.order.seed} {session} {group.key}")
        if turn is not None:
            return used(group.entries[turn])
        given = "the one recorded answer was" if count == 1 else f"all {count} recorded answers were"
        near = tuple(Near(entry.label, 1.0) for entry in group.entries[-NEAREST:])
        return Miss(Why.EXHAUSTED, f"{given} given", self.knowing.request(request), near)

    def alike(
        self, miss: Miss, session: str = EVERYBODY, upstream: str = ""
    ) -> tuple[Entry[T], float] | None:
        """The entry that a fuzzy match gives, and how alike its request is; None: nothing is near enough.

        `upstream`: of no other one.
        """
        least = self.matching.rules.fuzzy
        if least is None or miss.why is not Why.UNMATCHED:
            return None
        for near in miss.near:
            entry = self.by_label[near.label]
            if upstream not in ("", entry.upstream):
                continue
            shaped = any(one.where in SHAPING for one in near.different)
            if near.likeness >= least and not shaped and entry.group is not None:
                found = self.next(entry.group, miss.request, session)
                return (found, near.likeness) if isinstance(found, Entry) else None
        return None

    def named(self, label: str, request: Request) -> Entry[T] | Miss:
        """The entry of this label, whatever the request; a miss where there is none that can answer."""
        entry = self.by_label.get(label)
        masked = self.redactor.request(request)
        if entry is None:
            return Miss(Why.UNNAMED, f"no exchange is called {label}", masked)
        if entry.state is State.INTERRUPTED:
            return Miss(Why.UNNAMED, f"exchange {label} was interrupted by the recorder's own end", masked)
        return used(entry)

    def key(self, request: Request) -> str:
        """The match key after redaction. Most requests are byte for byte a recorded one: those are known."""
        known = self.known_keys.get(digest_of(request, self.matching.rules.headers))
        if known is not None:
            return known
        return self.remember(request, self.subject(request).key)

    def remember(self, request: Request, key: str) -> str:
        """Remember the key of a request, as far as there is room."""
        if len(self.known_keys) < KNOWN_KEYS:
            self.known_keys[digest_of(request, self.matching.rules.headers)] = key
        return key

    def subject(self, request: Request) -> Subject:
        """What of a request is compared."""
        return self.matching.subject(self.redactor.request(request))

    def without_name(self, request: Request) -> tuple[str, Request]:
        """The upstream that a request at `/NAME/…` asks for ("": none), and the request without it."""
        name, slash, rest = request.path.removeprefix("/").partition("/")
        if not slash or not name or name not in self.upstreams:
            return "", request
        return name, replace(request, path=f"/{rest}")

    def elsewhere(self, request: Request, upstream: str, names: list[str]) -> Miss:
        """The miss of a request that was recorded, but not at the upstream that is asked."""
        reason = f"recorded at {' and '.join(names)}, not at {upstream}"
        return Miss(Why.UNMATCHED, reason, self.knowing.request(request))

    def ambiguous(self, request: Request, names: list[str]) -> Miss:
        """The miss of a request that was recorded at several upstreams."""
        reason = f"recorded at the upstreams {' and '.join(names)}: ask at /{names[0]}{request.path}"
        return Miss(Why.AMBIGUOUS, reason, self.knowing.request(request))

    def miss(self, request: Request) -> Miss:
        """A miss with the nearest recorded requests, of equal ones the first.

        Those with the largest share of equal fields are weighed by their texts as well.
        """
        self.index_some()
        subject = self.matching.subject(request)
        found = self.index.candidates(endpoint_of(request), len(request.body), subject.numbered)
        if not found:
            return Miss(Why.UNMATCHED, "nothing is recorded", request)
        wanted, known = subject.fields, frozenset(subject.numbers)
        entries = sorted(
            found, key=lambda one: (-similarity(self.indexed[one].fields, known), -found[one], one)
        )
        fields = {one: self.matching.subject(self.indexed[one].request).fields for one in entries[:WEIGHED]}
        weighed = {one: likeness(told, wanted) for one, told in fields.items()}
        nearest = sorted(weighed, key=lambda one: (-weighed[one], one))[:NEAREST]
        sent = fields_of(request)
        near = []
        for one in nearest:
            entry, ruled = self.indexed[one], differences(fields[one], wanted)
            near.append(Near(self.label_of(entry), weighed[one], told(ruled, entry.request, sent)))
        return Miss(Why.UNMATCHED, "no recorded exchange matches", request, tuple(near))

    def label_of(self, entry: Entry[T]) -> str:
        """The label of the first that answers the request of an entry."""
        return entry.group.entries[0].label if entry.group else entry.label

    def playable(self) -> Iterable[Entry[T]]:
        """The entries that can answer, in the order of their first equal request."""
        groups = (group for by_upstream in self.groups.values() for group in by_upstream.values())
        return (entry for group in groups for entry in group.entries)

    def unused(self) -> Iterator[Entry[T]]:
        """Entries that answered nothing, though they could have."""
        return (entry for entry in self.playable() if not entry.uses)


def told(ruled: Iterable[Difference], recorded: Request, sent: dict[str, Any]) -> tuple[Difference, ...]:
    """Differences with their values as they were sent, before the rules changed them."""
    plain = {one.where: one for one in differences(fields_of(recorded), sent)}
    return tuple(plain.get(one.where, one) for one in ruled)


def used[T](entry: Entry[T]) -> Entry[T]:
    """Count that an entry answers."""
    entry.uses += 1
    return entry


def digest_of(request: Request, headers: Iterable[str] = ()) -> bytes:
    """The SHA-256 of everything that the match key is made from, as it came; `headers` are compared."""
    told = encoding_of(request.headers), header(request.headers, "content-type")
    wanted = set(headers)
    compared: Headers = tuple(pair for pair in request.headers if wanted and pair[0].lower() in wanted)
    text = f"{request.method}\n{request.path}\n{told}\n{compared}\n"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape") + request.body).digest()


def endpoint_of(request: Request) -> Endpoint:
    """Method and path without the query."""
    return request.method.upper(), request.path.partition("?")[0]
