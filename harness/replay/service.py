"""A replay server on the event loop that runs: it listens until it is closed, and sums up.

It says nothing, and leaves signals and the process alone: those are of whoever runs the loop
(`harness.replay.server` for a command, `harness.replay.worker` for one process of several,
`harness.replay.embedded` for a thread of another program).
"""

import asyncio
import errno
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import Field

from harness.core.admin import Refusals, WriteLateness
from harness.core.census import Census
from harness.core.document import Document
from harness.core.errors import BadInput
from harness.core.fault_rules import Rule
from harness.core.miss import Miss
from harness.core.url import server_url
from harness.kernel_stamps import enable
from harness.replay.answers import Recorded
from harness.replay.books import Books
from harness.replay.connection import Answer, Connection, make_play
from harness.replay.cursors import SessionOf, everybody
from harness.replay.desk import Desk, Facts, refusal
from harness.replay.door import ADMIN, Door, is_admin
from harness.replay.freshness import NO_DEMANDS, Demands, stale_lines
from harness.replay.gate import NO_LIMITS, Limits
from harness.replay.guard import Guard
from harness.replay.instead import Instead, fuzzy
from harness.replay.journal import KEPT, Journal
from harness.replay.match import Library
from harness.replay.pacer import Pacer
from harness.replay.reader import Incoming
from harness.replay.relay import Target, forwarding
from harness.replay.shared import Shared
from harness.replay.simulate import simulation
from harness.replay.site import Site, Terms, endpoint, refused
from harness.replay.write_log import WriteLog

BACKLOG = 4096
PORT_ERRORS = (errno.EADDRINUSE, errno.EACCES)
"""What is wrong with the port; of all else the host is at fault."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to listen (port 0: any free one) and how to play (speed 1: as recorded, 0: at once).

    `write_log` is a file for the times of all writes (`harness.replay.write_log`); None: no log. So many
    `kept_requests` are told at `/__admin/received`. `faults` are the rules at the start, `limits` what is
    asked of clients, `session_of` tells them apart. Misses are simulated, or go to the recorder of their
    upstream. `demands` is what fails a run beside misses. `connection` makes those of clients; `hints` are
    lines for people who start their client themselves, given our URL. So many requests of the `journal` are
    told at `/__admin/requests`; the admin pages are on `admin_port` (0: any free one) instead of the data
    port, if one is given. `workers` processes serve.
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
    demands: Demands = NO_DEMANDS
    connection: Callable[..., Connection] = Connection
    hints: Callable[[str], Iterable[str]] = lambda _url: ()
    journal: int = KEPT
    admin_port: int | None = None
    workers: int = 1


class Outcome(Document):
    """How a run went. `program_code`: exit code of the program that ran on it (0 where there was none).

    `misses`: the latest, as people read them, and how often each came. `instead`: how many requests were
    answered in place of a miss, by how (`fuzzy`, `simulated`, `recorded`).
    `faults`, `unfit_faults`: how often each fault was played, or did not fit its answer; `idle_faults`:
    the rules that never played theirs. `stale` are the exchanges that are too old, `strict` says whether
    unused ones fail the run.
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
    stale: tuple[str, ...] = ()
    strict: bool = False

    @property
    def exit_code(self) -> int:
        """The program's own failure, else 1 if anything missed or was refused, unused (strict) or too old."""
        unused = self.strict and bool(self.unused)
        return self.program_code or int(self.missed + self.invalid > 0 or unused or bool(self.stale))


LOT, LOT_S = 20, 0.001
"""Requests that are made ready for misses at once, which takes some 0.5 ms, and the pause after them."""


def nobody(_: object) -> None:
    """Hear nothing."""


@dataclass(frozen=True, slots=True)
class Ears:
    """Who hears of every miss, and, in a line, of every answer that was given in place of one."""

    miss: Callable[[Miss], None] = nobody
    instead: Callable[[str], None] = nobody


class Service:
    """Serves a library. What `guard` finds wrong is answered with 400."""

    def __init__(
        self, library: Library[Recorded], settings: Settings, ears: Ears, guard: Guard | None = None
    ) -> None:
        self.library = library
        self.settings = settings
        self.pacer = Pacer(asyncio.get_running_loop())
        self.site = Site(library, self.pacer.lateness, settings.speed, ears.miss, guard)
        self.site.terms = terms_of(library, settings, ears)
        self.site.keep_requests(settings.kept_requests)
        self.door = Door(self.site, library, settings.limits, settings.faults)
        self.door.journal = Journal(settings.journal)
        self.connections: set[Connection] = set()
        self.books = Books(self.door, self.connections)
        self.desk = Desk(facts_of(library, settings), self.books)
        if settings.admin_port is None:
            self.door.administer = self.desk.answer
        self.log = WriteLog(settings.write_log) if settings.write_log else None
        self.servers: list[asyncio.Server] = []
        asyncio.get_running_loop().call_soon(self.prepare)
        self.admin_url: str | None = None

    def prepare(self) -> None:
        """Make ready for misses, a little at a time while nothing is played; the first miss does the rest."""
        if self.library.unread:
            if not self.pacer.heap:
                self.library.index_some(LOT)
            asyncio.get_running_loop().call_later(LOT_S, self.prepare)

    def share(self, shared: Shared) -> None:
        """Count repeats, rules of faults and limits together with other processes."""
        door, limits = self.door, self.settings.limits
        self.library.order = replace(self.library.order, cursors=shared)
        door.faults.count = shared.add
        door.faults.rule_by(self.settings.faults)
        if door.gate:
            door.gate.limiter = shared.limiter(limits.requests, limits.tokens)

    async def listen(self) -> str:
        """Open the ports; the URL of the data port. BadInput where that cannot be."""
        settings = self.settings
        if settings.admin_port is not None:
            self.admin_url = await self.open(self.admin_connection, settings.admin_port, "admin-port")
        return await self.open(self.connection, settings.port, "port")

    async def open(self, factory: Callable[[], Connection], port: int, option: str) -> str:
        """Listen on the port of an option; the URL there."""
        server = await listen(factory, self.settings.host, port, option)
        self.servers.append(server)
        for one in server.sockets:
            enable(one)  # its connections inherit it
        return server_url(self.settings.host, server.sockets[0].getsockname()[1])

    def connection(self) -> Connection:
        """What a client is served by."""
        new_play = self.log.play if self.log else make_play
        made = self.settings.connection
        return made(self.pacer, self.door.answer, refused, self.connections, new_play)

    def admin_connection(self) -> Connection:
        """What serves the admin port."""
        return Connection(self.pacer, only_admin(self.desk.answer), refused, set())

    def close(self) -> None:
        """Break off what is under way, and let go of everything."""
        for server in self.servers:
            server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        self.pacer.close()
        if self.log:
            self.log.close()

    def outcome(self, code: int = 0) -> Outcome:
        """The sum of all so far; `code` is that of the program that ran on it."""
        return outcome_of(self.books.whole(), self.library, self.settings, code)


def outcome_of(census: Census, library: Library[Recorded], settings: Settings, code: int) -> Outcome:
    """The sum of a run."""
    demands = settings.demands
    return Outcome(
        requests=census.requests,
        answered=census.answered,
        missed=census.missed,
        unused=tuple(f"{label} {endpoint(library.by_label[label])}" for label in census.unused),
        exchanges=len(library.by_label),
        lateness=census.written,
        program_code=code,
        invalid=census.invalid,
        misses=dict(Counter(miss.text for miss in census.misses)),
        instead=census.instead,
        faults=census.played,
        unfit_faults=census.unfit,
        idle_faults=tuple(rule.rule for rule in census.rules if not rule.played),
        refused=census.refusals,
        stale=stale_lines(library, demands.fresh_from_ns),
        strict=demands.strict,
    )


def facts_of(library: Library[Recorded], settings: Settings) -> Facts:
    """What the admin pages know of a library and of how it is played."""
    return Facts(
        requests={label: endpoint(entry) for label, entry in library.by_label.items()},
        recordings=tuple(library.recordings),
        speed=settings.speed,
        kept=settings.journal,
        received=settings.kept_requests,
        workers=settings.workers,
    )


def only_admin(answer: Callable[[Incoming], Answer]) -> Callable[[Incoming], Answer]:
    """What answers on the admin port: the admin pages, and nothing that was recorded."""

    def administer(incoming: Incoming) -> Answer:
        if is_admin(incoming):
            return answer(incoming)
        return refusal(404, f"this port has the pages of {ADMIN} alone").answer(incoming)

    return administer


def terms_of(library: Library[Recorded], settings: Settings, ears: Ears) -> Terms:
    """What is agreed beside matching. What misses are answered with is prepared here."""
    instead: list[Instead] = []
    if library.matching.rules.fuzzy is not None:
        instead.append(fuzzy(library))
    if settings.recorders:
        instead.append(forwarding(library, settings.recorders))
    if settings.simulate:
        instead.append(simulation(library))
    return Terms(settings.session_of, instead, ears.instead)


async def listen(
    factory: Callable[[], Connection], host: str, port: int, option: str = "port"
) -> asyncio.Server:
    """Open the port of an option; BadInput where that cannot be."""
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(factory, host, port, backlog=BACKLOG)
    except OSError as error:
        raise cannot_listen(host, port, option, error) from error


def cannot_listen(host: str, port: int, option: str, error: OSError) -> BadInput:
    """What to tell a user whose port cannot be opened."""
    other = f"--{option} 0" if error.errno in PORT_ERRORS else "--host 127.0.0.1"
    return BadInput(f"cannot listen on {host}:{port}: {why(error)}; try {other}")


def why(error: OSError) -> str:
    """The system's own words, which event loops wrap in theirs; the resolver's have no number above zero."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop, which is faster; asyncio's own loop where it is not installed."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
