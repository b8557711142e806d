"""The supervisor: starts the proxy and the writer, waits, stops them in order, and sums up.

The law of this file: the proxy ends when its stdin does, the writer when the proxy's socket does. So
both end by themselves if this process is killed, with everything stored that was finished, and a stop
is nothing but closing the proxy's stdin. If one of them ends before that, recording is over, and said
to be.
"""

import asyncio
import os
import platform
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.core.redaction import Redactor, Rules
from harness.core.run_secrets import RunSecrets, secrets_of
from harness.core.url import server_url
from harness.record.anchor import Anchor
from harness.record.child import Child
from harness.record.cost import Cost, whole_cost
from harness.record.handover import LIMIT, WRITER_GONE
from harness.record.ports import free_ports
from harness.record.upstream import Upstream
from harness.store.appender import check_appendable

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

type Program = Callable[[Mapping[str, str]], Awaitable[int]]
"""Runs the program behind `--`, given name -> URL of the listeners; its exit code."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is recorded, where to, and how. `port` 0: any free ones; else consecutive ones from there.

    `rules` say what is secret; None: nothing is. `check` is a command that checks exchanges
    (`harness.record.feed` says how); none: nobody does.
    `stats_s`: how often it is said what recording costs; 0: never while it runs.
    """

    upstreams: tuple[Upstream, ...]
    db: Path
    host: str
    port: int
    rules: Rules | None = field(default_factory=Rules.default)
    lines: str = "text"
    limit: int = LIMIT
    check: Sequence[str] = ()
    stats_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went: exchanges by state (None: nobody counted to the end), and why some may be missing.

    No `failures`: all is there. `check`: how many were `checked`, `wrong` and `unchecked`; None where
    nobody checked. `capture`: its id in the file, and `anchor` its clock. `cost`: what recording cost
    (`harness.record.cost`), None where nobody was left to say so. `masked`: places by rule.
    """

    states: Mapping[str, int] | None
    failures: tuple[str, ...]
    program_code: int
    check: Mapping[str, int] | None = None
    capture: int | None = None
    anchor: Anchor | None = None
    masked: Mapping[str, int] = field(default_factory=dict)
    cost: Cost | None = None


def record(settings: Settings, program: Program | None) -> Outcome:
    """Record until a signal comes, or until `program` has ended. BadInput: nothing was written."""
    check_appendable(settings.db)
    ports = free_ports(settings.host, settings.port, len(settings.upstreams))
    return asyncio.run(Supervisor(settings, ports).run(program))


class Supervisor:
    """One run. `urls` are the listeners' by the names of the upstreams."""

    def __init__(self, settings: Settings, ports: list[int]) -> None:
        self.settings = settings
        self.listeners = dict(zip(ports, settings.upstreams, strict=True))
        self.urls = {
            upstream.name: server_url(settings.host, port) for port, upstream in self.listeners.items()
        }
        self.stopped = asyncio.Event()
        self.signal: signal.Signals | None = None
        self.anchor: Anchor | None = None

    async def run(self, program: Program | None) -> Outcome:
        """The life of a run."""
        self.on_signal(self.stop_for)
        proxy, writer = await start()
        code = 0
        try:
            await self.get_ready(proxy, writer)
            self.announce()
            began_ns = time.process_time_ns()
            code = await self.until_over(program, proxy, writer)
        finally:
            await self.stop(proxy, writer)
        return Outcome(
            states=writer.report.get("states"),
            failures=tuple(failures(proxy, writer)),
            program_code=code,
            check=self.checked(writer),
            capture=writer.report.get("capture"),
            anchor=self.anchor,
            masked=writer.report.get("masked", {}),
            cost=whole_cost(writer.report.get("cost"), time.process_time_ns() - began_ns),
        )

    def checked(self, writer: Child) -> Mapping[str, int] | None:
        """What the checker made of it; nothing, where the writer ended before it could say."""
        nothing = {"checked": 0, "wrong": 0, "unchecked": sum(writer.report.get("states", {}).values())}
        return writer.report.get("check", nothing) if self.settings.check else None

    async def get_ready(self, proxy: Child, writer: Child) -> None:
        """Open the listeners, then the recording, so that nothing is written if a port is in use."""
        settings = self.settings
        listeners = {port: asdict(upstream) for port, upstream in self.listeners.items()}
        await proxy.ready(
            host=settings.host, upstreams=listeners, limit=settings.limit, stats_s=settings.stats_s
        )
        self.anchor = Anchor.now()
        await writer.ready(
            db=str(settings.db),
            upstreams=[asdict(upstream) for upstream in settings.upstreams],
            anchor=asdict(self.anchor),
            versions=versions(),
            host=machine(),
            rules=settings.rules.to_json() if settings.rules else None,
            lines=settings.lines,
            check=settings.check,
            stats=settings.stats_s > 0,
        )

    def announce(self) -> None:
        """One line a listener, on stdout."""
        redactor = Redactor(self.settings.rules or Rules(), RunSecrets(secrets_of(os.environ)))
        for upstream in self.settings.upstreams:
            shown, url = upstream.shown(redactor), self.urls[upstream.name]
            print(f"harness record: {upstream.name} ({shown}) listening on {url}", flush=True)

    async def until_over(self, program: Program | None, proxy: Child, writer: Child) -> int:
        """Until a signal, the program's end, or that of one of the children; the program's exit code."""
        wanted: asyncio.Future[int] = asyncio.ensure_future(
            self.run_program(program) if program else self.until_stopped()
        )
        over = [asyncio.ensure_future(child.over.wait()) for child in (proxy, writer)]
        first: list[asyncio.Future[Any]] = [wanted, *over]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        for waiting in over:
            waiting.cancel()
        if not wanted.done():  # nothing is recorded any more: what runs now would run for nothing
            tell(f"the {first_gone(proxy, writer).name} is gone or failed: stopping")
            wanted.cancel()
            await asyncio.wait({wanted})
        return 0 if wanted.cancelled() else wanted.result()

    async def run_program(self, program: Program) -> int:
        """Run the program, unless a signal came before it could get it; the exit code of one that did."""
        return 128 + self.signal if self.signal else await program(self.urls)

    async def until_stopped(self) -> int:
        """Until a signal."""
        await self.stopped.wait()
        return 0

    async def stop(self, proxy: Child, writer: Child) -> None:
        """Stop the proxy, and with it the writer once it has stored all; by force only on a second signal."""
        self.stopped.clear()
        self.on_signal(self.insist)
        proxy.close()
        writer.close()  # which reads nothing more, but may still wait for its settings
        both = asyncio.gather(proxy.ended, writer.ended)
        force = asyncio.ensure_future(self.stopped.wait())
        ends: set[asyncio.Future[Any]] = {both, force}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not both.done():
            proxy.kill()
            writer.kill()
        force.cancel()
        await both

    def insist(self, _number: signal.Signals) -> None:
        """A signal while we stop: the next one is for real."""
        tell("storing what was finished; once more to give that up")
        self.on_signal(self.stop_for)

    def stop_for(self, number: signal.Signals) -> None:
        """Stop, or stop by force."""
        self.signal = number
        self.stopped.set()

    def on_signal(self, action: Callable[[signal.Signals], object]) -> None:
        """What any of the signals does from now on, but for a SIGHUP that `nohup` has us ignore."""
        for number in SIGNALS:
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, action, number)


async def start() -> tuple[Child, Child]:
    """The proxy and the writer, with a socket between them."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        return await Child.start("proxy", ours.fileno()), await Child.start("writer", theirs.fileno())


def first_gone(proxy: Child, writer: Child) -> Child:
    """The child that ended first; the other one follows it, and says so."""
    if "states" in writer.report:  # the writer ends in order where the proxy is gone
        return proxy
    if proxy.report.get("failed") == WRITER_GONE:
        return writer
    return proxy if proxy.over.is_set() else writer


def failures(proxy: Child, writer: Child) -> list[str]:
    """Why something may be missing in the recording."""
    found = [child.failure for child in (proxy, writer) if child.failure]
    if troubles := writer.report.get("troubles"):
        found.append(f"{troubles} line{'' if troubles == 1 else 's'} above say what may be missing")
    return found


def versions() -> dict[str, str]:
    """What recorded: programs and their versions."""
    programs = {name: version(name) for name in ("traffic-harness", "mitmproxy")}
    return {**programs, "python": platform.python_version()}


def machine() -> str:
    """The machine, without its name, which is nobody's business in a recording that is passed on."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


def tell(text: str) -> None:
    """A line for people."""
    print(f"harness record: {text}", file=sys.stderr, flush=True)
