"""The desk: the pages of `/__admin/`, each a row of `PAGES`.

The law of this file: what is asked is planned, and what is known is shown, by functions that know no
socket; so the pages of one process and of several are the same. What is wrong with a request is said in
one line, in OpenAI's error form.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import PydanticSerializationError

from harness import __version__
from harness.core import admin
from harness.core.api_forms import Api, own_error
from harness.core.census import Census, Order, Part, Wish
from harness.core.dates import age_days
from harness.core.document import Document
from harness.core.fault_rules import rules_of
from harness.core.faults import checked
from harness.core.visible import visible
from harness.replay.books import LATENESS, Books
from harness.replay.connection import Answer
from harness.replay.door import ADMIN
from harness.replay.errand import JSON, Asked, Reply, asked_of
from harness.replay.metrics import CONTENT_TYPE, metrics_text
from harness.replay.reader import Incoming

BODY_LIMIT = 4 * 1024 * 1024
"""Bytes that a page takes."""


@dataclass(slots=True)
class Facts:
    """What is known beside the census. `requests`: label -> method and path of an exchange.

    Of the journal the latest `kept` are told, of requests as they came in the latest `received`.
    """

    requests: Mapping[str, str]
    recordings: tuple[admin.RecordedFile, ...]
    speed: float
    kept: int
    received: int = 0
    workers: int = 1
    round: int = 0

    def learn(self, order: Order) -> None:
        """Take in what an order changes."""
        self.speed = self.speed if order.speed is None else order.speed
        self.round = max(self.round, order.round)


type Show = Callable[[Census, Facts, int], Document | bytes]
"""Makes a page of a census, the facts, and how much may be listed."""
type Take = Callable[[bytes], Order]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: the lists that it needs, and, by method, what is ordered there.

    `reads`: GET shows it. `query`: what may be said of the lists.
    """

    show: Show
    parts: frozenset[Part] = frozenset()
    takes: Mapping[str, Take] = field(default_factory=dict)
    reads: bool = True
    query: type[Document] = Document
    content_type: str = JSON

    @property
    def methods(self) -> tuple[str, ...]:
        """What may be asked."""
        return (*(("GET", "HEAD") if self.reads else ()), *self.takes)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request for a page comes to."""

    page: Page
    wish: Wish
    order: Order | None = None


class Desk:
    """Answers for one process."""

    def __init__(self, facts: Facts, books: Books) -> None:
        self.facts = facts
        self.books = books

    def answer(self, incoming: Incoming) -> Answer:
        """The page that is asked for."""
        asked = asked_of(incoming)
        plan = planned(asked, self.facts)
        if isinstance(plan, Reply):
            return plan.answer(incoming)
        if plan.order:
            self.books.obey(plan.order)
            self.facts.learn(plan.order)
        return shown(plan, self.books.census(plan.wish), self.facts).answer(incoming)


def planned(asked: Asked, facts: Facts) -> Plan | Reply:
    """What is to be done; what is wrong is said."""
    if refused := too_long(asked):
        return refused
    where, _, query = asked.path.partition("?")
    name = where.removeprefix(ADMIN)
    if name not in PAGES:
        return refusal(404, f"no such page; there are {', '.join(ADMIN + known for known in PAGES)}")
    page = PAGES[name]
    if asked.method not in page.methods:
        allow = ", ".join(page.methods)
        return replace(refusal(405, f"{ADMIN}{name} takes {allow}"), allow=allow)
    try:
        order = page.takes[asked.method](asked.body) if asked.method in page.takes else None
        wish = wish_of(page, query)
    except (ValueError, RecursionError) as error:
        return refusal(400, visible(str(error)), "harness_asked")
    if order and (order.faults is not None or "faults" in order.reset):
        order = order.model_copy(update={"round": facts.round + 1})
    return Plan(page, wish, order)


def too_long(asked: Asked) -> Reply | None:
    """The refusal of a body that is longer than any that a page takes."""
    if len(asked.body) <= BODY_LIMIT:
        return None
    return refusal(413, f"the body is over the limit of {BODY_LIMIT // 2**20} MiB")


def wish_of(page: Page, query: str) -> Wish:
    """The lists that a page needs. ValueError for a query that it does not know."""
    said = checked(page.query, dict(parse_qsl(query, keep_blank_values=True)), "the query")
    return Wish(parts=page.parts, **dict(said))


def shown(plan: Plan, census: Census, facts: Facts) -> Reply:
    """The page as it is now."""
    made = plan.page.show(census, facts, plan.wish.limit)
    return Reply(200, made if isinstance(made, bytes) else text_of(made), plan.page.content_type)


def text_of(document: Document) -> bytes:
    """A document as JSON in lines. What pydantic writes costs streams a tenth of what Python's own does."""
    try:
        return f"{document.model_dump_json(indent=1)}\n".encode()
    except PydanticSerializationError:  # bytes of a client that are no UTF-8
        return json.dumps(document.model_dump(), indent=1, default=str).encode() + b"\n"


def latest[T](entries: tuple[T, ...], count: int) -> tuple[T, ...]:
    """So many from the end."""
    return entries[max(0, len(entries) - count) :]


def refusal(status: int, message: str, code: str = "harness_admin") -> Reply:
    """An error in OpenAI's form."""
    return Reply(status, own_error(Api.OPENAI, status, message, code) + b"\n")


# ---- what is shown ----


def health(_census: Census, facts: Facts, _limit: int) -> Document:
    """That it runs."""
    return admin.Health(
        version=__version__, exchanges=len(facts.requests), speed=facts.speed, workers=facts.workers
    )


def recordings(_census: Census, facts: Facts, _limit: int) -> Document:
    """What is served, and how old it is now."""
    aged = tuple(aged_file(one) for one in facts.recordings)
    return admin.Recordings(count=len(aged), recordings=aged)


def aged_file(one: admin.RecordedFile) -> admin.RecordedFile:
    """A recording with the ages that it has now."""
    now = datetime.now(UTC)
    captures = tuple(
        capture.model_copy(update={"age_days": age_days(capture.started_at, now)}) for capture in one.captures
    )
    return one.model_copy(update={"age_days": age_days(one.oldest_at, now), "captures": captures})


def journal(census: Census, facts: Facts, limit: int) -> Document:
    """The latest requests; of several processes, each tells so many."""
    requests = latest(census.journal, min(limit, facts.kept))
    return admin.Journal(count=sum(census.results.values()), kept=facts.kept, requests=requests)


def unmatched(census: Census, _facts: Facts, _limit: int) -> Document:
    """What missed."""
    return admin.Unmatched(count=census.missed, misses=census.misses)


def near_misses(census: Census, _facts: Facts, _limit: int) -> Document:
    """What missed, and has something like it."""
    near = tuple(one for one in census.misses if one.nearest)
    return admin.NearMisses(count=len(near), near_misses=near)


def unused(census: Census, facts: Facts, limit: int) -> Document:
    """What answered nothing yet."""
    shown = census.unused[:limit]
    exchanges = tuple(admin.UnusedExchange(id=one, request=facts.requests[one]) for one in shown)
    return admin.Unused(count=len(census.unused), exchanges=exchanges)


def timing(census: Census, _facts: Facts, _limit: int) -> Document:
    """How late it writes."""
    return admin.Timing(**dict(census.written), held_by_slow_readers=census.held)


def faults(census: Census, _facts: Facts, _limit: int) -> Document:
    """Rules, and what was played."""
    return admin.Faults(rules=census.rules, played=census.played, unfit=census.unfit, latest=census.faults)


def invalid(census: Census, _facts: Facts, _limit: int) -> Document:
    """What broke its schema."""
    return admin.Invalid(count=census.invalid, requests=census.refused)


def received(census: Census, facts: Facts, _limit: int) -> Document:
    """Requests as they came in."""
    return admin.Received(requests=latest(census.received, facts.received))


def speed(_census: Census, facts: Facts, _limit: int) -> Document:
    """The time scale."""
    return admin.Speed(speed=facts.speed)


def done(_census: Census, _facts: Facts, _limit: int) -> Document:
    """That it is done."""
    return admin.Done()


def metrics(census: Census, facts: Facts, _limit: int) -> bytes:
    """All that is counted, for Prometheus."""
    return metrics_text(census, exchanges=len(facts.requests), speed=facts.speed, workers=facts.workers)


# ---- what is taken; ValueError in one line for what is none ----


def new_speed(body: bytes) -> Order:
    """Another speed."""
    return Order(speed=checked(admin.Speed, object_in(body), "a speed").speed)


def new_faults(body: bytes) -> Order:
    """Other rules; they are read here, so that what is wrong with them is said."""
    value = json_in(body)
    rules_of(value)
    return Order(faults=tuple(value["faults"]))


def no_faults(_body: bytes) -> Order:
    """No rules."""
    return Order(faults=())


def reset(body: bytes) -> Order:
    """What begins again; nothing said: all of it."""
    said = checked(admin.Reset, object_in(body or b"{}"), "a reset")
    if said.session is None:
        return Order(reset=said.what)
    if "what" in said.model_fields_set and said.what != ("cursors",):
        raise ValueError('session: one session has cursors alone: leave "what" away')
    return Order(session=said.session)


def object_in(body: bytes) -> dict[str, object]:
    """The JSON object in a body."""
    value = json_in(body)
    if not isinstance(value, dict):
        raise ValueError("the body is no JSON object")
    return value


def json_in(body: bytes) -> Any:
    """What a body says."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise ValueError(f"the body is no JSON: {error}") from None


PAGES: Mapping[str, Page] = {
    "health": Page(health),
    "recordings": Page(recordings),
    "requests": Page(journal, frozenset({"journal"}), query=admin.JournalQuery),
    "unmatched": Page(unmatched, frozenset({"misses"})),
    "near-misses": Page(near_misses, frozenset({"misses"})),
    "unused": Page(unused, frozenset({"unused"}), query=admin.UnusedQuery),
    "timing": Page(timing, LATENESS),
    "faults": Page(faults, frozenset({"faults"}), {"PUT": new_faults, "DELETE": no_faults}),
    "invalid": Page(invalid, frozenset({"invalid"})),
    "received": Page(received, frozenset({"received"})),
    "speed": Page(speed, takes={"PUT": new_speed}),
    "reset": Page(done, takes={"POST": reset}, reads=False),
    "metrics": Page(metrics, LATENESS, content_type=CONTENT_TYPE),
}
"""Name -> page."""
