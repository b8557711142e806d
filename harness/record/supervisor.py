"""The supervisor: starts the proxy and the writer, waits, stops them in order, and sums up.

The law of this file: the proxy ends when its stdin does, the writer when the proxy's socket does. So
both end by themselves if this process is killed, with everything stored that was finished, and a stop
is nothing but closing the proxy's stdin. If one of them fails before that, recording is over, and said
to be; but where traffic is to pass even so (`Policy.PASS`), it does, as long as the proxy lives.

How many exchanges are missing is the difference between what the proxy has seen end and what is stored.
"""

import asyncio
import os
import platform
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput
from harness.core.hosts import Hosts
from harness.core.redaction import Redactor, Rules
from harness.core.run_secrets import RunSecrets, secrets_of
from harness.core.url import server_url
from harness.core.visible import counted
from harness.record.anchor import Anchor
from harness.record.child import Child
from harness.record.cost import Cost, whole_cost
from harness.record.handover import LIMIT, WRITER_GONE
from harness.record.policy import Policy
from harness.record.ports import listening, port_of
from harness.record.upstream import Upstream
from harness.store.appender import check_appendable
from harness.store.database import DatabaseRecording

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

PROXY = "proxy"
"""The name of the listener of a forward proxy."""
REFUSING_S = 2.0
"""How long clients are still told why they are refused, before nobody listens any more."""

type Program = Callable[[Mapping[str, str]], Awaitable[int]]
"""Runs the program behind `--`, given name -> URL of the listeners; its exit code."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is recorded, where to, and how. `port` 0: any free ones; else consecutive ones from there.

    `limit`: bytes that may wait to be stored. `rules` say what is secret; None: nothing is. `check` is a
    command that checks exchanges (`harness.record.feed` says how); none: nobody does.
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
    policy: Policy = Policy.STOP
    stats_s: float = 0.0
    upstream_ca: Path | None = None
    forward: "Forwarding | None" = None


@dataclass(frozen=True, slots=True)
class Forwarding:
    """That the recorder is a forward proxy.

    `ca` is the file of its CA, `hosts` are those that it records beside known ones; `hints` are lines
    for people who start their program themselves, given the proxy's URL.
    """

    ca: Path
    hosts: tuple[Hosts, ...] = ()
    hints: Callable[[str], Iterable[str]] = lambda _url: ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went: exchanges by state (None: nobody counted to the end), and why some may be missing.

    No `failures`: all is there. `check`: how many were `checked`, `wrong` and `unchecked`; None where
    nobody checked. `capture`: its id in the file `db`, and `anchor` its clock. `passed`: what was not to be
    recorded, by kind (`harness.record.message.Passed`). `cost`: what recording cost
    (`harness.record.cost`), None where nobody was left to say so. `masked`: places by rule.
    """

    states: Mapping[str, int] | None
    failures: tuple[str, ...]
    program_code: int
    check: Mapping[str, int] | None = None
    capture: int | None = None
    anchor: Anchor | None = None
    passed: Mapping[str, int] = field(default_factory=dict)
    db: Path | None = None
    masked: Mapping[str, int] = field(default_factory=dict)
    cost: Cost | None = None


def record(settings: Settings, program: Program | None) -> Outcome:
    """Record until a signal comes, or until `program` has ended. BadInput: nothing was written."""
    check_appendable(settings.db)
    count = 1 if settings.forward else len(settings.upstreams)
    sockets = listening(settings.host, settings.port, count)
    return asyncio.run(Supervisor(settings, sockets).run(program))


class Supervisor:
    """One run, on sockets that listen. `urls` are theirs by the names of the upstreams, or by `PROXY`."""

    def __init__(self, settings: Settings, sockets: list[socket.socket]) -> None:
        self.settings = settings
        self.sockets = sockets
        names = [PROXY] if settings.forward else [upstream.name for upstream in settings.upstreams]
        self.urls = {
            name: server_url(settings.host, port_of(one)) for name, one in zip(names, sockets, strict=True)
        }
        self.stopped = asyncio.Event()
        self.signal: signal.Signals | None = None
        self.anchor: Anchor | None = None

    async def run(self, program: Program | None) -> Outcome:
        """The life of a run."""
        self.on_signal(self.stop_for)
        proxy, writer = await self.start()
        code = 0
        try:
            await self.get_ready(proxy, writer)
            self.announce(hints=program is None)
            began_ns = time.process_time_ns()
            code = await self.until_over(program, proxy, writer)
        finally:
            await self.stop(proxy, writer)
        capture, db = writer.report.get("capture"), Path(writer.report.get("db", self.settings.db))
        states = writer.report["states"] if "states" in writer.report else states_of(db, capture)
        return Outcome(
            states=states,
            failures=tuple(failures(proxy, writer, states)),
            program_code=code,
            check=self.checked(writer),
            capture=capture,
            anchor=self.anchor,
            passed=writer.report.get("passed", {}),
            db=db,
            masked=writer.report.get("masked", {}),
            cost=whole_cost(writer.report.get("cost"), time.process_time_ns() - began_ns),
        )

    async def start(self) -> tuple[Child, Child]:
        """The proxy, to which our sockets go, and the writer, with a socket between them."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            descriptors = [one.fileno() for one in self.sockets]
            proxy = await Child.start("proxy", ours.fileno(), *descriptors)
            return proxy, await Child.start("writer", theirs.fileno())

    def checked(self, writer: Child) -> Mapping[str, int] | None:
        """What the checker made of it; nothing, where the writer ended before it could say."""
        nothing = {"checked": 0, "wrong": 0, "unchecked": sum(writer.report.get("states", {}).values())}
        return writer.report.get("check", nothing) if self.settings.check else None

    async def get_ready(self, proxy: Child, writer: Child) -> None:
        """Open the listeners, then the recording, so that nothing is written if a port is in use."""
        settings = self.settings
        forward = settings.forward
        upstreams = [asdict(upstream) for upstream in settings.upstreams]
        await proxy.ready(
            host=settings.host,
            sockets=[one.fileno() for one in self.sockets],
            upstreams=upstreams,
            limit=settings.limit,
            policy=settings.policy,
            ca=str(forward.ca) if forward else None,
            hosts=[asdict(hosts) for hosts in forward.hosts] if forward else (),
            upstream_ca=str(settings.upstream_ca) if settings.upstream_ca else None,
            stats_s=settings.stats_s,
        )
        for one in self.sockets:
            one.close()  # theirs is the only one left: the port ends with the proxy
        self.anchor = Anchor.now()
        await writer.ready(
            db=str(settings.db),
            upstreams=upstreams,
            anchor=asdict(self.anchor),
            versions=versions(),
            host=machine(),
            rules=settings.rules.to_json() if settings.rules else None,
            lines=settings.lines,
            check=settings.check,
            policy=settings.policy,
            stats=settings.stats_s > 0,
        )

    def announce(self, *, hints: bool) -> None:
        """One line a listener, on stdout; behind a forward proxy's, what a client needs to be told."""
        redactor = Redactor(self.settings.rules or Rules(), RunSecrets(secrets_of(os.environ)))
        if self.settings.forward:
            listed = [str(hosts) for hosts in self.settings.forward.hosts]
            listed += [upstream.shown(redactor) for upstream in self.settings.upstreams]
            what = ", ".join(["known providers", *listed])
            print(f"harness record: {PROXY} ({what}) listening on {self.urls[PROXY]}", flush=True)
            for line in self.settings.forward.hints(self.urls[PROXY]) if hints else ():
                print(line, flush=True)
            return
        for upstream in self.settings.upstreams:
            shown, url = upstream.shown(redactor), self.urls[upstream.name]
            print(f"harness record: {upstream.name} ({shown}) listening on {url}", flush=True)

    async def until_over(self, program: Program | None, proxy: Child, writer: Child) -> int:
        """Until a signal, the program's end, or that of one of the children; the program's exit code."""
        wanted: asyncio.Future[int] = asyncio.ensure_future(
            self.run_program(program) if program else self.until_stopped()
        )
        needed = (proxy,) if self.settings.policy is Policy.PASS else (proxy, writer)
        over = [asyncio.ensure_future(child.over.wait()) for child in needed]
        first: list[asyncio.Future[Any]] = [wanted, *over]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        for waiting in over:
            waiting.cancel()
        if not wanted.done():  # nothing is recorded any more: what runs now would run for nothing
            tell(f"{why_over(proxy)}: stopping")
            wanted.cancel()
            await asyncio.wait({wanted})
            if not program and not proxy.ended.done():
                await asyncio.wait([asyncio.ensure_future(self.stopped.wait())], timeout=REFUSING_S)
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


def why_over(proxy: Child) -> str:
    """Which child ended first, and so the other one, or what it says of itself."""
    failed = proxy.report.get("failed")
    if failed and failed != WRITER_GONE:
        return str(failed)
    return f"the {'writer' if failed or not proxy.over.is_set() else 'proxy'} is gone or failed"


def failures(proxy: Child, writer: Child, states: Mapping[str, int] | None) -> list[str]:
    """Why something may be missing in the recording."""
    found = [child.failure for child in (proxy, writer) if child.failure]
    found += writer.report.get("reasons", [])
    if missing := missed(proxy, writer, states):
        found.append(f"{counted(missing, 'exchange')} could not be recorded")
    if troubles := writer.report.get("troubles"):
        found.append(f"{troubles} line{'' if troubles == 1 else 's'} above say what may be missing")
    return list(dict.fromkeys(found))


def missed(proxy: Child, writer: Child, states: Mapping[str, int] | None) -> int:
    """How many exchanges ended and are not stored, as far as anybody is left who knows."""
    lost = int(writer.report.get("lost", 0))
    if states is None or "finished" not in proxy.report:
        return lost
    return max(lost, int(proxy.report["finished"]) - sum(states.values()))


def states_of(db: Path, capture: int | None) -> Mapping[str, int] | None:
    """What is stored of a capture whose writer did not live to say so; None: nobody knows."""
    if capture is None:
        return None
    try:
        with DatabaseRecording(db) as recording:
            return recording.states(capture)
    except BadInput:
        return None


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
