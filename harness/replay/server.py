"""The replay server: loads recordings, listens, plays until it is stopped, and sums up."""

import asyncio
import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from pathlib import Path

from pydantic import Field

from harness.core.admin import Refusals, WriteLateness
from harness.core.document import Document
from harness.core.errors import BadInput
from harness.core.exchange import Exchange, path_of
from harness.core.fault_rules import Rule
from harness.core.matching.matcher import Matching
from harness.core.matching.rules import MatchRules
from harness.core.miss import Miss, miss_text, summed
from harness.core.redaction import Rules
from harness.core.run_secrets import RunSecrets, secrets_of
from harness.core.url import origin_text, server_url
from harness.core.visible import counted
from harness.kernel_stamps import enable
from harness.replay.answers import Recorded
from harness.replay.connection import Connection, make_play
from harness.replay.cursors import SessionOf, everybody
from harness.replay.door import Door
from harness.replay.gate import NO_LIMITS, Limits
from harness.replay.guard import Guard
from harness.replay.instead import Instead, fuzzy
from harness.replay.match import Library, Order
from harness.replay.pacer import Pacer
from harness.replay.relay import Target, forwarding
from harness.replay.simulate import simulation
from harness.replay.site import Site, Terms, endpoint, write_lateness
from harness.replay.write_log import WriteLog
from harness.store.open import open_recording
from harness.store.recording import Recording

BACKLOG = 4096
MADE_AT_ONCE = 2000
"""Exchanges whose playbacks are made before the server listens; those of others when they are asked for."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to listen (port 0: any free one) and how to play (speed 1: as recorded, 0: at once).

    `write_log` is a file for the times of all writes (`harness.replay.write_log`); None: no log. So many
    `kept_requests` are told at `/__admin/received`. `faults` are the rules at the start, `limits` what is
    asked of clients, `session_of` tells them apart. Misses are simulated, or go to the recorder of their
    upstream. `connection` makes those of clients; `hints` are lines for people who start their client
    themselves, given our URL.
    """

    host: str = "127.0.0.1"
    port: int = 0
    speed: float = 1.0
    write_log: Path | None = None
    kept_requests: int = 0
    faults: tuple[Rule, ...] = ()
    limits: Limits = NO_LIMITS
    session_of: SessionOf = everybody
    simulate: bool = False
    recorders: Mapping[str, Target] = field(default_factory=dict)
    connection: Callable[..., Connection] = Connection
    hints: Callable[[str], Iterable[str]] = lambda _url: ()


def load(
    paths: Iterable[Path],
    *,
    keep_connect: bool,
    rules: MatchRules | None = None,
    order: Order | None = None,
    by_origin: bool = False,
) -> Library[Recorded]:
    """All exchanges of some recordings, in their order; labels are ids behind `prefixes_of`.

    `by_origin`: as clients of a proxy ask for them, at their origins and with their URLs' own paths.
    """
    files = list(dict.fromkeys(paths))
    with ExitStack() as stack:
        stack.enter_context(uncollected())
        recordings = [stack.enter_context(open_recording(path)) for path in files]
        known = RunSecrets(secrets_of(os.environ))
        library: Library[Recorded] = Library(rules_of(recordings), known, Matching(rules), order)
        for prefix, recording in zip(prefixes_of(files), recordings, strict=True):
            masked = masked_captures(recording, library.redactor.rules)
            for exchange in recording.exchanges():
                early = len(library.by_label) < MADE_AT_ONCE
                answer = Recorded(exchange, keep_connect=keep_connect, at_once=early)
                asked = at_origin(exchange) if by_origin else exchange
                library.add(f"{prefix}{exchange.id}", asked, answer, masked=exchange.capture in masked)
    return library


def at_origin(exchange: Exchange) -> Exchange:
    """An exchange whose upstream is its origin, asked for by the path of its URL (a bad URL: as it is)."""
    request = exchange.request
    try:
        upstream = origin_text(request.url)
    except ValueError:
        return replace(exchange, upstream="")
    return replace(exchange, upstream=upstream, request=replace(request, path=path_of(request.url)))


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing that is loaded becomes garbage: the collector need not look at all of it again and again."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def masked_captures(recording: Recording, rules: Rules) -> frozenset[int]:
    """The captures whose requests went through these very rules, so that they need not go again."""
    return frozenset(capture.id for capture in recording.captures() if capture.redaction == rules)


def prefixes_of(files: Sequence[Path]) -> list[str]:
    """What stands before an id in a label: nothing for one file, else its name, or its path if need be."""
    if len(files) == 1:
        return [""]
    names = Counter(path.name for path in files)
    return [f"{path.name if names[path.name] == 1 else path}:" for path in files]


def rules_of(recordings: Iterable[Recording]) -> Rules:
    """What any of the recordings calls secret, and what harness does by default."""
    captures = (capture for recording in recordings for capture in recording.captures())
    return reduce(or_, (capture.redaction or Rules() for capture in captures), Rules.default())


def run(
    library: Library[Recorded],
    settings: Settings,
    program: Callable[[str], Awaitable[int]] | None,
    guard: Guard | None = None,
) -> "Outcome":
    """Serve until SIGINT or SIGTERM, or until `program`, which gets the server's URL, has ended.

    What `guard` finds wrong is answered with 400.
    """
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(serve(library, settings, program, guard))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop, which is faster; asyncio's own loop where it is not installed."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


class Outcome(Document):
    """How a run went. `program_code`: exit code of the program that ran on it (0 where there was none).

    `misses`: the latest, as people read them, and how often each came. `instead`: how many requests were
    answered in place of a miss, by how (`fuzzy`, `simulated`, `recorded`).
    `faults`, `unfit_faults`: how often each fault was played, or did not fit its answer; `idle_faults`:
    the rules that never played theirs.
    """

    requests: int
    answered: int
    missed: int
    unused: tuple[str, ...]
    exchanges: int
    lateness: WriteLateness
    program_code: int
    invalid: int = 0
    misses: dict[str, int] = Field(default_factory=dict)
    instead: dict[str, int] = Field(default_factory=dict)
    faults: dict[str, int] = Field(default_factory=dict)
    unfit_faults: dict[str, int] = Field(default_factory=dict)
    idle_faults: tuple[str, ...] = ()
    refused: Refusals = Refusals()

    @property
    def exit_code(self) -> int:
        """The program's own failure, else 1 if anything missed or was refused."""
        return self.program_code or int(self.missed + self.invalid > 0)


async def serve(
    library: Library[Recorded],
    settings: Settings,
    program: Callable[[str], Awaitable[int]] | None,
    guard: Guard | None,
) -> Outcome:
    """The server's life on its loop."""
    loop = asyncio.get_running_loop()
    pacer = Pacer(loop)
    site = Site(library, pacer.lateness, settings.speed, tell_miss, guard)
    site.terms = terms_of(library, settings)
    site.keep_requests(settings.kept_requests)
    door = Door(site, library, settings.limits, settings.faults)
    connections: set[Connection] = set()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    raise_file_limit()
    log = WriteLog(settings.write_log) if settings.write_log else None
    new_play = log.play if log else make_play
    server = await listen(
        lambda: settings.connection(pacer, door.answer, site.refuse, connections, new_play), settings
    )
    for one in server.sockets:
        enable(one)  # its connections inherit it
    keep_out_of_collection()
    url = server_url(settings.host, server.sockets[0].getsockname()[1])
    print(f"harness replay: listening on {url} ({counted(len(library.by_label), 'exchange')})", flush=True)
    for line in settings.hints(url) if program is None else ():
        print(line, flush=True)
    try:
        code = await until_ended(stop, program(url) if program else None)
    finally:
        server.close()
        for connection in list(connections):
            connection.transport.abort()
        pacer.close()
        if log:
            log.close()
    return outcome(library, site, door, code)


def terms_of(library: Library[Recorded], settings: Settings) -> Terms:
    """What is agreed beside matching. What misses are answered with is prepared here."""
    instead: list[Instead] = []
    if library.matching.rules.fuzzy is not None:
        instead.append(fuzzy(library, settings.speed))
    if settings.recorders:
        instead.append(forwarding(library, settings.recorders))
    if settings.simulate:
        instead.append(simulation(library, settings.speed))
    return Terms(settings.session_of, instead, tell)


async def listen(factory: Callable[[], Connection], settings: Settings) -> asyncio.Server:
    """Open the port; BadInput where that cannot be."""
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(factory, settings.host, settings.port, backlog=BACKLOG)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise BadInput(f"cannot listen on {where}: {why(error)}; try --port 0") from error


def why(error: OSError) -> str:
    """The system's own words, which event loops wrap in theirs; the resolver's have no number above zero."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


async def until_ended(stop: asyncio.Event, program: Awaitable[int] | None) -> int:
    """Wait for a signal, or for the program to end by itself; its exit code."""
    if program is None:
        await stop.wait()
        return 0
    running = asyncio.ensure_future(program)
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    return await running


def keep_out_of_collection() -> None:
    """What is loaded stays for good: the garbage collector need not walk through it again and again."""
    gc.freeze()


def raise_file_limit() -> None:
    """A stream is a file: allow as many as the system lets us."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def tell(line: str) -> None:
    """Say something on stderr at once."""
    print(f"harness replay: {line}", file=sys.stderr, flush=True)


def tell_miss(miss: Miss) -> None:
    """Say on stderr that a request missed, and what was near."""
    tell(f"miss: {miss_text(miss)}")


def outcome(library: Library[Recorded], site: Site, door: Door, code: int) -> Outcome:
    """The sum of a run."""
    tally = site.tally
    unused = tuple(f"{entry.label} {endpoint(entry)}" for entry in library.unused())
    return Outcome(
        requests=tally.requests,
        answered=tally.answered,
        missed=tally.missed,
        unused=unused,
        exchanges=len(library.by_label),
        lateness=write_lateness(site.lateness),
        program_code=code,
        invalid=site.guard.invalid if site.guard else 0,
        misses=summed(tally.misses),
        instead=dict(tally.instead),
        faults=dict(door.faults.played),
        unfit_faults=dict(door.faults.unfit),
        idle_faults=door.faults.idle(),
        refused=door.refusals(),
    )
