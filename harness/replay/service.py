"""A replay server on the event loop that runs: it listens until it is closed, and sums up.

It says nothing, and leaves signals and the process alone: those are of whoever runs the loop
(`harness.replay.server` for a command, `harness.replay.embedded` for a thread of another program).
"""

import asyncio
import errno
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from harness.core.admin import Refusals, WriteLateness
from harness.core.document import Document
from harness.core.errors import BadInput
from harness.core.fault_rules import Rule
from harness.core.miss import Miss, summed
from harness.core.url import server_url
from harness.kernel_stamps import enable
from harness.replay.answers import Recorded
from harness.replay.connection import Connection, make_play
from harness.replay.cursors import SessionOf, everybody
from harness.replay.door import Door
from harness.replay.freshness import NO_DEMANDS, Demands, stale_lines
from harness.replay.gate import NO_LIMITS, Limits
from harness.replay.guard import Guard
from harness.replay.instead import Instead, fuzzy
from harness.replay.match import Library
from harness.replay.pacer import Pacer
from harness.replay.relay import Target, forwarding
from harness.replay.simulate import simulation
from harness.replay.site import Site, Terms, endpoint, write_lateness
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
    lines for people who start their client themselves, given our URL.
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
        self,
        library: Library[Recorded],
        settings: Settings,
        ears: Ears,
        guard: Guard | None = None,
    ) -> None:
        self.library = library
        self.settings = settings
        self.pacer = Pacer(asyncio.get_running_loop())
        self.site = Site(library, self.pacer.lateness, settings.speed, ears.miss, guard)
        self.site.terms = terms_of(library, settings, ears)
        self.site.keep_requests(settings.kept_requests)
        self.door = Door(self.site, library, settings.limits, settings.faults)
        self.connections: set[Connection] = set()
        self.log = WriteLog(settings.write_log) if settings.write_log else None
        self.server: asyncio.Server | None = None

    async def listen(self) -> str:
        """Open the port; the URL there. BadInput where that cannot be."""
        self.server = await listen(self.connection, self.settings)
        for one in self.server.sockets:
            enable(one)  # its connections inherit it
        return server_url(self.settings.host, self.server.sockets[0].getsockname()[1])

    def connection(self) -> Connection:
        """What a client is served by."""
        new_play = self.log.play if self.log else make_play
        made = self.settings.connection
        return made(self.pacer, self.door.answer, self.site.refuse, self.connections, new_play)

    def close(self) -> None:
        """Break off what is under way, and let go of everything."""
        if self.server is not None:
            self.server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        self.pacer.close()
        if self.log:
            self.log.close()

    def outcome(self, code: int = 0) -> Outcome:
        """The sum of all so far; `code` is that of the program that ran on it."""
        tally, guard = self.site.tally, self.site.guard
        return Outcome(
            requests=tally.requests,
            answered=tally.answered,
            missed=tally.missed,
            unused=tuple(f"{entry.label} {endpoint(entry)}" for entry in self.library.unused()),
            exchanges=len(self.library.by_label),
            lateness=write_lateness(self.site.lateness),
            program_code=code,
            invalid=guard.invalid if guard else 0,
            misses=summed(tally.misses),
            instead=dict(tally.instead),
            faults=dict(self.door.faults.played),
            unfit_faults=dict(self.door.faults.unfit),
            idle_faults=self.door.faults.idle(),
            refused=self.door.refusals(),
            stale=stale_lines(self.library, self.settings.demands.fresh_from_ns),
            strict=self.settings.demands.strict,
        )


def terms_of(library: Library[Recorded], settings: Settings, ears: Ears) -> Terms:
    """What is agreed beside matching. What misses are answered with is prepared here."""
    instead: list[Instead] = []
    if library.matching.rules.fuzzy is not None:
        instead.append(fuzzy(library, settings.speed))
    if settings.recorders:
        instead.append(forwarding(library, settings.recorders))
    if settings.simulate:
        instead.append(simulation(library, settings.speed))
    return Terms(settings.session_of, instead, ears.instead)


async def listen(factory: Callable[[], Connection], settings: Settings) -> asyncio.Server:
    """Open the port; BadInput where that cannot be."""
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(factory, settings.host, settings.port, backlog=BACKLOG)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        other = "--port 0" if error.errno in PORT_ERRORS else "--host 127.0.0.1"
        raise BadInput(f"cannot listen on {where}: {why(error)}; try {other}") from error


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
