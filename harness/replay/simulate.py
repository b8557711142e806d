"""`--on-miss simulate`: an answer of the form that was recorded for the same endpoint and model.

Donors are read when the server starts, at most so many of a kind, so that no stream waits for it.
"""

from collections.abc import Iterable
from itertools import islice

from harness.core.canonical import parse_json, plain_body
from harness.core.derive import requested_model
from harness.core.exchange import Request, State
from harness.core.matching.index import Endpoint
from harness.core.matching.matcher import habits_of
from harness.core.miss import Miss, Why
from harness.core.simulation import Pool, donor_of
from harness.replay.answers import Recorded, marked
from harness.replay.connection import Answer
from harness.replay.instead import MARK, Given, Instead, upstream_of
from harness.replay.match import Entry, Library, endpoint_of
from harness.replay.playback import playback
from harness.replay.reader import Incoming

MOST_DONORS = 32

type Form = tuple[Endpoint, str | None, bool]
"""What a simulated answer shares with its donors: endpoint, model, and whether a stream was asked for."""


def simulation(library: Library[Recorded]) -> Instead:
    """Answers with a recorded answer of the same form at drawn times, or not where there is none."""
    pools = pools_of(library.playable())

    def give(miss: Miss, incoming: Incoming, session: str) -> Given | None:
        asked, form = upstream_of(incoming, library), form_of(miss.request)
        places = [asked] if asked else list(library.upstreams)
        pool = next((pools[one, form] for one in places if (one, form) in pools), None)
        if pool is None or miss.why not in (Why.UNMATCHED, Why.EXHAUSTED):
            return None
        key = library.matching.subject(miss.request).key
        before = library.order.cursors.advance(session, f"{key} simulated")
        donor, exchange = pool.answer(f"{library.order.seed} {session} {key} {before}")
        mark = f"simulated from {donor.label}"
        made = playback(marked(exchange, (MARK, mark)), incoming.client)
        return Given("simulated", f"from exchange {donor.label}", Answer(made))

    return give


def pools_of(entries: Iterable[Entry[Recorded]]) -> dict[tuple[str, Form], Pool]:
    """Upstream and form -> the donors: what was answered well and whole."""
    fit: dict[tuple[str, Form], list[Entry[Recorded]]] = {}
    for entry in entries:
        response = entry.answer.exchange.response
        if entry.state is State.COMPLETE and response and 200 <= response.status < 300:
            fit.setdefault((entry.upstream, form_of(entry.request)), []).append(entry)
    found = {place: pool_of(some) for place, some in fit.items()}
    return {place: pool for place, pool in found.items() if pool.donors}


def pool_of(entries: Iterable[Entry[Recorded]]) -> Pool:
    """The pool of the first of some exchanges."""
    made = (donor_of(entry.label, entry.answer.whole()) for entry in entries)
    return Pool.of(list(islice((donor for donor in made if donor), MOST_DONORS)))


def form_of(request: Request) -> Form:
    """What a request asks for, but for what it says."""
    body = parse_json(plain_body(request.body, request.headers))
    said = body.get("stream") if isinstance(body, dict) else None
    stream = habits_of(request).defaults.get("/stream", False) if said is None else said
    return endpoint_of(request), requested_model(request), stream is True
