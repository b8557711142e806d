"""Verifying a recording: a child `harness replay` plays it, an accurate client listens, figures compare."""

import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.child import Child, harness_command
from harness.client import Conversation, converse
from harness.core.admin import Timing
from harness.core.derive import derive
from harness.core.encoding import encoding_of
from harness.core.exchange import Exchange, State
from harness.store.open import open_recording
from harness.verify.compare import Compared, Received, Verdict, compare, verdict
from harness.verify.floor import IdleTimer

PATIENCE_NS = 10_000_000_000
"""A response may take this long beyond its recorded end."""
OWN_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "expect", "accept-encoding", "upgrade"}
)


@dataclass(frozen=True, slots=True)
class Verification:
    """All results, those that cannot be replayed, and who else was late.

    `floor_ns`: an idle timer; `client_ns`: the client's sends and reads; `server`: its own word.
    """

    results: tuple[Compared, ...]
    skipped: tuple[int, ...]
    floor_ns: tuple[int, ...]
    client_ns: tuple[int, ...]
    server: Timing
    verdict: Verdict


def verify(
    path: Path, *, tolerance_ns: int, concurrency: int, progress: Callable[[int, int], None]
) -> Verification:
    """Replay every exchange of a recording by its id and judge it. `progress` hears (done, all)."""
    with open_recording(path) as recording:
        exchanges = {exchange.id: exchange for exchange in recording.exchanges()}
    skipped = tuple(exchange.id for exchange in exchanges.values() if exchange.state is State.INTERRUPTED)
    wanted = {number: exchange for number, exchange in exchanges.items() if number not in skipped}
    with Child(harness_command("replay", str(path), "--port", "0"), quiet=True) as server:
        with IdleTimer() as floor:
            held = hold(wanted, server.url, concurrency, progress)
        timing = timing_of(server.url)
    floor_ns = tuple(floor.lateness_ns)
    client_ns = tuple(lag_ns for conversation in held for lag_ns in conversation.lags_ns)
    results = judge_all(wanted, held)
    judged = verdict(results, max((*floor_ns, *client_ns)), tolerance_ns)
    return Verification(results, skipped, floor_ns, client_ns, timing, judged)


def hold(
    wanted: Mapping[int, Exchange], url: str, concurrency: int, progress: Callable[[int, int], None]
) -> tuple[Conversation, ...]:
    """Hold a conversation for every exchange. Judging waits until all are over: it takes time of its own."""
    held: list[Conversation] = []

    def done(conversation: Conversation) -> None:
        held.append(conversation)
        progress(len(held), len(wanted))

    place = urlsplit(url)
    conversations = map(conversation_for, wanted.values())
    converse(place.hostname or "", place.port or 0, conversations, concurrency, done)
    return tuple(held)


def conversation_for(exchange: Exchange) -> Conversation:
    """The recorded request, once more, asking for this very exchange in its recorded encoding."""
    request, response = exchange.request, exchange.response
    encoding = (encoding_of(response.headers) if response else None) or "identity"
    headers = [pair for pair in request.headers if pair[0].lower() not in OWN_HEADERS]
    headers += [
        ("host", "harness"),
        ("content-length", str(len(request.body))),
        ("accept-encoding", encoding),
        ("x-harness-exchange", str(exchange.id)),
    ]
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    head = "\r\n".join(lines) + "\r\n\r\n"
    end_ns = response.end_ns if response else exchange.end_ns
    return Conversation(
        exchange.id, head.encode("utf-8", "surrogateescape") + request.body, end_ns + PATIENCE_NS
    )


def judge_all(wanted: Mapping[int, Exchange], held: Iterable[Conversation]) -> tuple[Compared, ...]:
    """Compare what the conversations brought, in the order of the exchanges' ids."""
    compared = (judge(wanted[conversation.key], conversation) for conversation in held)
    return tuple(sorted(compared, key=lambda one: one.id))


def judge(exchange: Exchange, conversation: Conversation) -> Compared:
    """Compare what one conversation brought."""
    pieces: Sequence[tuple[int, bytes]] = [
        (at - conversation.sent_ns, data) for at, data in conversation.pieces
    ]
    received = Received(conversation.status, pieces, conversation.complete, conversation.failure)
    return compare(exchange, received, derive(exchange).ttft_ns)


def timing_of(url: str) -> Timing:
    """What a replay server says of its lateness."""
    with urllib.request.urlopen(f"{url}/__admin/timing", timeout=10) as answer:  # noqa: S310
        return Timing.model_validate_json(answer.read())
