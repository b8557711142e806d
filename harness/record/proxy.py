# mypy: allow-untyped-calls
"""The proxy process: mitmproxy as a reverse proxy, a listener an upstream, or as a forward proxy, with a tee.

`python -m harness.record.proxy FD` reads one JSON line from stdin (`Settings`), says `{"ready": true}`
or `{"failed": TEXT}` on stdout, and hands exchanges over through the socket FD. The end of stdin means
stop, so the proxy ends with its supervisor, whatever happens to that one. At the end it says how many
exchanges it has handed over (`finished`). Exit code 0, or 4 where it failed.

Where an exchange cannot be stored, traffic goes on with a `warning`, or the proxy has `failed`: then it
refuses all requests until it is stopped.

mitmproxy runs with only the addons that a reverse proxy needs, which costs half of the time per
request of the full set, reads no configuration of the user's, and runs nobody's scripts. The loop is
asyncio's own: under uvloop mitmproxy never listens.
"""

import asyncio
import gc
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import certifi
from mitmproxy.addons import core, disable_h2c, next_layer, proxyserver, tlsconfig
from mitmproxy.master import Master
from mitmproxy.options import Options

from harness.core.hosts import Hosts
from harness.record import backlog, http1, http2, listeners
from harness.record.cost import Meter
from harness.record.gate import Gate, whole_refusal
from harness.record.handover import LIMIT, Handover
from harness.record.lag import LagSelector
from harness.record.message import Kind, plain
from harness.record.origins import Origins
from harness.record.policy import Policy
from harness.record.ports import port_of
from harness.record.process import begin, describe, say
from harness.record.tee import Tee
from harness.record.uploads import Uploads
from harness.record.upstream import Upstream
from harness.record.ways import Forward, Reverse, ServerFirst
from harness.record.wires import Wires, cut

LAST_WORDS_S = 0.1
"""How long a stop waits for ends that are already on their way, such as those of a client that ended."""

IDLE_S = 24 * 3600
"""A stream may be silent for long; mitmproxy's own limit is ten minutes."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the supervisor tells the proxy.

    `sockets` hold their ports, one an upstream, or one alone with `ca`: the file of the CA of a forward
    proxy, whose list of further hosts are `hosts`. `upstream_ca`: a file of certificates that upstreams
    may have beside those that are trusted anyway. `stats_s`: how often the writer is told what recording
    has cost; 0: at the end alone.
    """

    host: str
    sockets: tuple[int, ...]
    upstreams: tuple[Upstream, ...]
    limit: int = LIMIT
    ca: str | None = None
    hosts: tuple[Hosts, ...] = ()
    upstream_ca: str | None = None
    policy: Policy = Policy.STOP
    stats_s: float = 0.0

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """The settings as they come out of JSON."""
        made = {
            "sockets": tuple(data["sockets"]),
            "upstreams": tuple(Upstream(**upstream) for upstream in data["upstreams"]),
            "hosts": tuple(Hosts(**hosts) for hosts in data.get("hosts", ())),
            "policy": Policy(data.get("policy", Policy.STOP)),
        }
        return cls(**{**data, **made})

    def modes(self, ports: Sequence[int]) -> list[str]:
        """The listeners as mitmproxy's mode specifications.

        Always `http`: the scheme is set with each request, since an `https` mode would also listen
        to QUIC.
        """
        if self.ca:
            return [f"regular@{self.host}:{port}" for port in ports]
        return [
            f"reverse:http://{_bracketed(upstream.host)}:{upstream.port}@{self.host}:{port}"
            for port, upstream in zip(ports, self.upstreams, strict=True)
        ]

    def way(self, ports: Sequence[int], send: Callable[[bytes], None]) -> Forward | Reverse:
        """The way in."""
        if self.ca:
            return Forward(Origins(self.upstreams, self.hosts), send)
        return Reverse(dict(zip(ports, self.upstreams, strict=True)), send)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class Proxy:
    """The process's life on its loop."""

    def __init__(self, settings: Settings, selector: LagSelector, sockets: Sequence[socket.socket]) -> None:
        self.settings = settings
        self.selector = selector
        self.ports = [port_of(one) for one in sockets]
        self.stopping = asyncio.Event()
        self.failed = False
        self.lost: set[str] = set()
        self.gate = Gate()
        self.server = proxyserver.Proxyserver()
        self.wires = Wires(self.server)
        http1.install(self.wires)
        http2.install()
        backlog.install()

    async def run(self, end: socket.socket) -> int:
        """From listening to the last hand-over; the exit code."""
        policy = self.settings.policy
        uploads = Uploads()
        handover = await Handover.over(end, self.cannot_record, self.settings.limit, policy, uploads.note)
        way = self.settings.way(self.ports, handover.send)
        self.tee = tee = Tee(way, handover.send, self.selector, uploads)
        with tempfile.TemporaryDirectory(prefix="harness-record-") as folder:
            ready = Ready()
            meter = Meter(self.selector.lateness, handover)
            modes = self.settings.modes(self.ports)
            addons = [self.gate, way, tee, ready, self.wires, self.server]
            master = build_master(self.settings, Path(folder), modes, addons)
            with (
                troubles_to(handover, lambda peer: give_up(peer, tee, self.wires)),
                meter.telling(self.settings.stats_s),
            ):
                await self.serve(master, self.server, ready.event, meter)
                await self.last_words(tee, self.server)
            tee.interrupt()
            await hang_up()
            meter.tell()
            await handover.close()
        say(finished=tee.finished)
        return 4 if self.failed else 0

    async def serve(
        self, master: Master, server: proxyserver.Proxyserver, ready: asyncio.Event, meter: Meter
    ) -> None:
        """Until the supervisor's end of stdin closes, or something fails."""
        serving = asyncio.create_task(master.run())
        serving.add_done_callback(lambda _: self.fail("mitmproxy stopped"))
        await either(ready, self.stopping)
        if problem := problem_of(server):
            self.fail(problem)
        if not self.failed:
            say(ready=True)
            gc.collect()
            gc.freeze()  # what is loaded stays for good: no collection need walk through it on the loop
            await meter.begin()
            asyncio.get_running_loop().add_reader(sys.stdin, self.stopping.set)
            await self.stopping.wait()
            asyncio.get_running_loop().remove_reader(sys.stdin)

    async def last_words(self, tee: Tee, server: proxyserver.Proxyserver) -> None:
        """Take in no more, and wait a moment for ends that are already on their way."""
        await server.servers.update([])
        if tee.open:
            await asyncio.sleep(LAST_WORDS_S)

    def fail(self, reason: str) -> None:
        """Stop, and say why; only the first reason counts."""
        if not self.stopping.is_set():
            self.failed = True
            self.stopping.set()
            say(failed=reason)

    def cannot_record(self, reason: str) -> None:
        """An exchange cannot be handed over or stored: warn and go on, or refuse all from now on."""
        if reason in self.lost or self.gate.reason is not None:
            return
        self.lost.add(reason)
        if self.settings.policy is Policy.PASS:
            say(warning=f"NOT RECORDED: {reason}: traffic passes unrecorded")
            return
        self.gate.reason = reason
        self.failed = True
        say(failed=reason)
        asyncio.get_running_loop().call_soon(self.refuse, reason)

    def refuse(self, reason: str) -> None:
        """Tell the clients that wait for an answer; break what is being answered."""
        busy = {exchange.client: exchange.response is None for exchange in self.tee.open.values()}
        for connection, wire in self.wires.clients():
            client = connection.client
            if client.id in busy:
                can_be_told = busy[client.id] and not client.tls and client.alpn != b"h2"
                cut(wire, whole_refusal(reason) if can_be_told else None)
        self.tee.interrupt()


class Ready:
    """An addon that knows when mitmproxy has opened its listeners, or failed to."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def running(self) -> None:
        """mitmproxy's start is over."""
        self.event.set()


async def either(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


async def hang_up() -> None:
    """End every task but this one, and with them all connections: nothing may pass unrecorded."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def problem_of(server: proxyserver.Proxyserver) -> str | None:
    """Why a listener could not be opened; None: all are open."""
    errors = (instance.last_exception for instance in server.servers)
    return next((str(error).partition("\n")[0] for error in errors if error), None)


def build_master(settings: Settings, folder: Path, modes: list[str], addons: Sequence[object]) -> Master:
    """mitmproxy, set up but not running; needs a running loop. `folder` keeps it away from the user's."""
    if settings.ca:
        (folder / "mitmproxy-ca.pem").symlink_to(settings.ca)  # where mitmproxy looks for its CA
    master = Master(Options(confdir=str(folder), listen_host=settings.host, mode=modes))
    master.addons.add(
        *addons,
        core.Core(),
        next_layer.NextLayer(),
        disable_h2c.DisableH2C(),
        tlsconfig.TlsConfig(),
        ServerFirst(),
    )
    master.options.update(
        connection_strategy="lazy",  # a dead upstream is then an answer and not a reset without a word
        keep_host_header=True,  # the tee records the client's and sets the upstream's
        tcp_timeout=IDLE_S,
        websocket=False,  # what switches protocols passes byte for byte
        ssl_verify_upstream_trusted_ca=trusted(settings, folder),
        ssl_verify_upstream_trusted_confdir=os.environ.get("SSL_CERT_DIR") or None,
    )
    return master


def trusted(settings: Settings, folder: Path) -> str | None:
    """The file of certificates that upstreams are verified by; None: certifi's, or SSL_CERT_DIR's."""
    own = os.environ.get("SSL_CERT_FILE") or None
    if settings.upstream_ca is None:
        return own
    bundle = folder / "trusted.pem"
    files = [Path(own or certifi.where()), Path(settings.upstream_ca)]
    bundle.write_bytes(b"\n".join(file.read_bytes() for file in files))
    return str(bundle)


def give_up(peer: object, tee: Tee, wires: Wires) -> list[str]:
    """Close the connection of the client at this address, which mitmproxy has forgotten to do.

    What was open on it is handed over, and named.
    """
    names = []
    for connection, theirs in wires.clients():
        if connection.client.peername == peer:
            names += tee.give_up(connection.client.id)
            cut(theirs, b"")
    return names


class Trouble(logging.Handler):
    """Tells the writer of everything that mitmproxy logs as an error: an exchange may be missing.

    `crashed` is told the address of the client whose connection it was about.
    """

    def __init__(self, handover: Handover, crashed: Callable[[object], list[str]]) -> None:
        super().__init__(logging.WARNING)
        self.handover = handover
        self.crashed = crashed

    def emit(self, record: logging.LogRecord) -> None:
        """Send what happened, without what follows the colon, which may be anybody's data."""
        if record.levelno >= logging.ERROR:
            self.handover.send(plain(Kind.TROUBLE, self.text(record)))
        elif record.getMessage() == http1.MALFORMED:
            self.handover.send(plain(Kind.NOTE, http1.MALFORMED))

    def text(self, record: logging.LogRecord) -> str:
        """What happened, where, and to which exchange."""
        text = f"mitmproxy: {record.getMessage().partition(':')[0]}"
        if record.exc_info and record.exc_info[0]:
            names = self.crashed(getattr(record, "client", None))
            text = f"{text} ({describe(record.exc_info[0], record.exc_info[2])})"
            text = ", in ".join([text, *names])
        return text


@contextmanager
def troubles_to(handover: Handover, crashed: Callable[[object], list[str]]) -> Iterator[None]:
    """Report errors while this lasts; afterwards connections are cut down on purpose."""
    handler = Trouble(handover, crashed)
    logging.getLogger().addHandler(handler)
    yield
    logging.getLogger().removeHandler(handler)


def main() -> int:
    """Run the process."""
    if (data := begin("proxy")) is None:
        return 0
    settings = Settings.of(data)
    sockets = [socket.socket(fileno=descriptor) for descriptor in settings.sockets]
    listeners.install({port_of(one): one for one in sockets})
    selector = LagSelector()
    end = socket.socket(fileno=int(sys.argv[1]))
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(Proxy(settings, selector, sockets).run(end))


if __name__ == "__main__":
    sys.exit(main())
