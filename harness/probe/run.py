"""Probing: a child `harness replay` behind the gateway, an accurate client before it, and beside it directly.

The provider plays one file of recorded and built-in exchanges (`harness.probe.trials`) and logs its writes.
All of it is asked for twice, directly and through the gateway, in the same way: the direct path is the
floor, and says whether this machine can tell at all.
"""

import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from threading import Event

from harness import __version__
from harness.child import Child, harness_command
from harness.core.admin import Received, Unmatched
from harness.core.errors import BadInput
from harness.core.exchange import Headers
from harness.core.visible import visible
from harness.probe.behaviours import Behaviour
from harness.probe.document import BehaviourDocument, LevelDocument, ProbeDocument
from harness.probe.gateway import Gateway, check_free, wait_until_it_listens
from harness.probe.judge import judge
from harness.probe.latency import added, level
from harness.probe.observed import Observed
from harness.probe.plays import Play, plays_of, read_log, with_requests
from harness.probe.talk import Marks, Place, Talk, hold
from harness.probe.totals import changes, events, whole_of
from harness.probe.trials import Trial, trials_of, write
from harness.probe.verdict import outcome

AT_ONCE = 8
"""Trials of behaviours that are under way together."""
ROUNDS = 2
"""Each level of concurrency holds so many times its streams, and each stream of the recording once."""
SETTLE_S = 3.5
"""What a client left may be played on for so long, which is longer than any built-in stream goes on."""
AGAIN_S = 0.5
KEPT_REQUESTS = 1000
"""The provider keeps so many, for the comparison with what was sent: all of the trials, and then some."""
ADMIN_S = 60.0
NS_PER_S = 1e9
DIRECT, GATEWAY = "direct", "gateway"


@dataclass(frozen=True, slots=True)
class Settings:
    """What to probe and how. `command` starts the gateway; None: it runs already.

    `provider_port` 0: any free one. `headers` go with each request to the gateway. `wait_s`: how long the
    gateway may take until it listens and passes on. `dialect`: only what speaks it; None: all.
    """

    gateway: str
    recording: Path
    command: Sequence[str] | None = None
    provider_port: int = 0
    concurrency: tuple[int, ...] = (1, 8, 32)
    max_added_ms: float | None = None
    headers: Headers = ()
    dialect: str | None = None
    wait_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Held:
    """All conversations of one path: those for behaviours, and those of each concurrency."""

    tried: Sequence[Talk]
    levels: dict[int, Sequence[Talk]]

    def talks(self) -> Iterator[Talk]:
        """All of them."""
        yield from self.tried
        for talks in self.levels.values():
            yield from talks


def probe(settings: Settings, progress: Callable[[int, int | None], None]) -> ProbeDocument:
    """Probe a gateway. `progress` hears (done, all).

    BadInput: nothing can be tried, or the gateway does not listen or does not reach the provider.
    """
    trials = trials_of(settings.recording, settings.dialect)
    started_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    with tempfile.TemporaryDirectory(prefix="harness-probe-") as name:
        folder = Path(name)
        write(trials, folder / "trials.jsonl")
        with Child(provider_command(folder, settings.provider_port), quiet=True) as provider:
            direct, through, received = hold_all(settings, trials, provider.url, folder, progress)
            Event().wait(left_to_settle_s(through))
            missed = unmatched(provider.url).count
        plays = with_requests(read_log(folder / "writes.jsonl"), received)
    found = plays_of([*direct.talks(), *through.talks()], plays)
    judged = judge_all(settings, direct, through, found)
    marked = all(play.mark is not None for play in plays)
    return judged.model_copy(update={"started_at": started_at, "missed": missed, "marked": marked})


def left_to_settle_s(held: Held) -> float:
    """How long to wait until what the clients left has been played to its end by a gateway that plays on."""
    last_ns = max((talk.end_ns for talk in held.tried if talk.leaves), default=0)
    return max(0.0, SETTLE_S - (time.monotonic_ns() - last_ns) / NS_PER_S)


def provider_command(folder: Path, port: int) -> list[str]:
    """The command of the provider."""
    files = (str(folder / "trials.jsonl"), "--write-log", str(folder / "writes.jsonl"))
    return harness_command("replay", *files, "--port", str(port), "--keep-requests", str(KEPT_REQUESTS))


def hold_all(
    settings: Settings,
    trials: Sequence[Trial],
    provider: str,
    folder: Path,
    progress: Callable[[int, int | None], None],
) -> tuple[Held, Held, Received]:
    """All conversations, directly and through the gateway, and the requests of trials as they came in."""
    place = Place.of(settings.gateway, settings.headers)
    command = settings.command
    if command:
        check_free(place)
    with Gateway(command, provider, folder / "gateway.log") if command else nullcontext() as gateway:
        wait_until_it_listens(place, gateway, settings.wait_s)
        marks = Marks()
        warm_up(marks, whole_streams(trials)[-1], place, Patience(settings.wait_s, provider, gateway))
        count = [0]
        total = 2 * (len(trials) + sum(level_size(one, trials) for one in settings.concurrency))

        def done() -> None:
            count[0] += 1
            progress(count[0], total)

        places = (Place.of(provider), place)
        direct, through = (Held(hold(marks.talks(trials, one), one, AT_ONCE, done), {}) for one in places)
        received = Received.model_validate_json(told(provider, "received"))
        for concurrency in settings.concurrency:
            chosen = streams(trials, concurrency)
            for one, held in zip(places, (direct, through), strict=True):
                held.levels[concurrency] = hold(marks.talks(chosen, one), one, concurrency, done)
        if gateway:
            gateway.check()
    return direct, through, received


def whole_streams(trials: Iterable[Trial]) -> list[Trial]:
    """The trials whose streams are whole: times are taken of these."""
    return [one for one in trials if Behaviour.DELIVERY in one.behaviours]


def level_size(concurrency: int, trials: Sequence[Trial]) -> int:
    """How many streams a level of concurrency has."""
    return max(ROUNDS * concurrency, len(whole_streams(trials)))


def streams(trials: Sequence[Trial], concurrency: int) -> list[Trial]:
    """The streams of a level, those of the recording again and again."""
    return list(islice(cycle(whole_streams(trials)), level_size(concurrency, trials)))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a gateway may take to reach the provider at a URL; it may also end meanwhile."""

    wait_s: float
    provider: str
    gateway: Gateway | None


def warm_up(marks: Marks, trial: Trial, place: Place, patience: Patience) -> None:
    """Ask through the gateway until a stream comes back: some listen before they are ready.

    BadInput: none does, with what came instead.
    """
    deadline = time.monotonic() + patience.wait_s
    while True:
        [talk] = hold(marks.talks([trial], place), place, 1)
        if talk.status == 200 and talk.pieces:
            return
        if patience.gateway:
            patience.gateway.check()
        if time.monotonic() > deadline or talk.status in (401, 403, 404):
            raise BadInput(not_passed_on(talk, patience.provider))
        Event().wait(AGAIN_S)


def not_passed_on(talk: Talk, provider: str) -> str:
    """Why nothing comes through the gateway."""
    said = f"status {talk.status}" if talk.status else talk.failure or "no answer"
    misses = unmatched(provider).misses
    if misses:
        return (
            f"the gateway answers {said}: it asked for {visible(misses[-1].request)}, without the header "
            "X-Harness-Exchange and with another body than recorded; let it pass X-Harness-* headers on"
        )
    return f"the gateway answers {said}: does it ask the provider at {provider}, and does it want a --header?"


def unmatched(provider: str) -> Unmatched:
    """What the provider could not answer."""
    return Unmatched.model_validate_json(told(provider, "unmatched"))


def told(provider: str, page: str) -> bytes:
    """A page of the provider's own."""
    with urllib.request.urlopen(f"{provider}/__admin/{page}", timeout=ADMIN_S) as answer:  # noqa: S310
        text: bytes = answer.read()
    return text


def judge_all(settings: Settings, direct: Held, through: Held, found: dict[int, list[Play]]) -> ProbeDocument:
    """Judge everything."""
    floor, behaviours = (table(observed(held.tried, found)) for held in (direct, through))
    levels = list(both_levels(direct, through, found))
    pairs = zip(levels[::2], levels[1::2], strict=True)
    gains = tuple(added(one, other) for one, other in pairs)
    whole = whole_of(observed(through.tried, found))
    verdict, reason = outcome(behaviours, floor, levels, gains, settings.max_added_ms)
    return ProbeDocument(
        version=__version__,
        outcome=verdict,
        reason=reason,
        gateway=settings.gateway,
        recording=settings.recording.name,
        max_added_ms=settings.max_added_ms,
        behaviours=behaviours,
        floor=floor,
        added=gains,
        levels=tuple(levels),
        events=events(whole),
        changes=tuple(changes(whole)),
        requests=len(found),
    )


def observed(talks: Iterable[Talk], found: dict[int, list[Play]]) -> list[Observed]:
    """Both sides of some conversations."""
    return [Observed(talk, found[talk.key]) for talk in talks]


def both_levels(direct: Held, through: Held, found: dict[int, list[Play]]) -> Iterator[LevelDocument]:
    """The figures of both paths, in turn."""
    for concurrency in direct.levels:
        for path, held in ((DIRECT, direct), (GATEWAY, through)):
            yield level(path, concurrency, observed(held.levels[concurrency], found))


def table(seen: Sequence[Observed]) -> tuple[BehaviourDocument, ...]:
    """A row for each behaviour."""
    return tuple(
        row(behaviour, [one for one in seen if behaviour in one.talk.trial.behaviours])
        for behaviour in Behaviour
    )


def row(behaviour: Behaviour, seen: Sequence[Observed]) -> BehaviourDocument:
    """One behaviour by what showed it."""
    verdict, evidence = judge(behaviour, seen)
    sources = tuple(dict.fromkeys(one.talk.trial.source for one in seen))
    return BehaviourDocument(behaviour=behaviour, verdict=verdict, evidence=evidence, sources=sources)
