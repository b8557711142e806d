"""The writer process: takes finished exchanges, masks their secrets, derives, stores, and says so.

`python -m harness.record.writer FD` reads one JSON line from stdin (`Settings`), says `{"ready": true,
"capture": ID}` or `{"failed": TEXT, "code": CODE}` on stdout, `{"db": PATH}` where it goes on in another
file, and at the end what it stored. It ends with the socket FD and not with its supervisor: what the proxy
handed over is stored, whatever happens to that one.

What cannot be stored is told of and counted, and the next exchange is tried all the same. Unless traffic
is to pass even so, the proxy is told as well, on the same socket.

Nothing is printed or stored before it is masked. The process steps back behind the proxy, whose stamps
must not wait for it.
"""

import os
import socket
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Self

from harness.core.derive import Derived
from harness.core.errors import HarnessError, NotRecorded
from harness.core.exchange import Exchange, State, path_of
from harness.core.masks import Tally
from harness.core.redaction import Redactor, Rules
from harness.core.run_secrets import RunSecrets, secrets_of
from harness.core.visible import counted, visible
from harness.record import console
from harness.record.anchor import Anchor
from harness.record.build import exchange_of
from harness.record.cost import Account, cost_lines
from harness.record.ends import How, is_framed, state_of
from harness.record.feed import Feed
from harness.record.losses import Losses
from harness.record.message import CutShort, Kind, Message, read
from harness.record.policy import Policy
from harness.record.process import begin, describe, say
from harness.record.source import Source
from harness.record.upstream import Upstream
from harness.store.appender import is_busy
from harness.store.capture import Capture
from harness.store.writer import RecordingWriter

BUFFER = 1024 * 1024
STEP_BACK = 10
"""Of the 19 steps of `nice`: a tenth of a contended CPU, enough to keep up in the long run."""

LOCKED_S = 1.0
"""How long another program may hold the file before that is told."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the supervisor tells the writer; `lines` is the form of the console's: `text`, `json`, `none`.

    `rules` say what is secret (None: nothing is). `check` is the command that checks exchanges (none:
    nobody does). `stats`: say what recording costs.
    """

    db: Path
    upstreams: tuple[Upstream, ...]
    anchor: Anchor
    versions: Mapping[str, str]
    host: str
    rules: Rules | None
    lines: str
    check: Sequence[str] = ()
    policy: Policy = Policy.STOP
    stats: bool = False

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """The settings as they come out of JSON."""
        upstreams = tuple(Upstream(**upstream) for upstream in data["upstreams"])
        changed = {"db": Path(data["db"]), "upstreams": upstreams, "anchor": Anchor(**data["anchor"])}
        rules = None if data["rules"] is None else Rules.from_json(data["rules"])
        return cls(**{**data, **changed, "rules": rules, "policy": Policy(data["policy"])})

    def redactor(self) -> Redactor:
        """What masks all that is stored and printed."""
        return Redactor(self.rules or Rules(), RunSecrets(secrets_of(os.environ)))

    def capture(self) -> Capture:
        """The capture of this run."""
        redactor = self.redactor()
        return Capture(
            started_at=self.anchor.date(self.anchor.monotonic_ns),
            upstreams={upstream.name: upstream.shown(redactor) for upstream in self.upstreams},
            versions=self.versions,
            clock={
                "wall_ns": self.anchor.wall_ns,
                "monotonic_ns": self.anchor.monotonic_ns,
                "error_ns": self.anchor.error_ns,
            },
            host=self.host,
            redaction=self.rules,
        )


class Writer:
    """Stores what the messages say.

    `states` counts exchanges, `troubles` what may be missing, `masked_places` secrets by rule.

    `losses` tells of what could not be stored; `refuse` is told why something cannot be stored.
    """

    def __init__(self, settings: Settings, recording: RecordingWriter, refuse: Callable[[str], None]) -> None:
        self.settings = settings
        self.recording = recording
        self.upstreams = {upstream.name for upstream in settings.upstreams}
        self.redactor = settings.redactor()
        self.states: Counter[str] = Counter()
        self.passed: Counter[str] = Counter()
        self.masked_places: Tally = Counter()
        self.troubles = 0
        self.uploads: defaultdict[int, BytesIO] = defaultdict(BytesIO)
        self.account = Account()
        self.losses = Losses(refuse)
        self.feed = Feed(settings.check, self.tell) if settings.check else None

    def take_all(self, source: BinaryIO) -> None:
        """Take messages until the proxy has closed its end."""
        try:
            while message := read(source):
                self.take(message)
        except CutShort:
            self.trouble("the proxy ended in the middle of an exchange, which is lost")

    def take(self, message: Message) -> None:
        """Store an exchange, or tell of what is none."""
        match message.head["kind"]:
            case Kind.EXCHANGE:
                self.store(message)
            case Kind.UPLOAD:
                self.take_part(message)
            case Kind.FORGET:
                self.uploads.pop(message.head["upload"], None)
            case Kind.COST:
                self.account.proxy = message.head
                self.tell_cost()
            case Kind.NOTE:
                self.tell(f"note: {message.head['text']}")
            case Kind.PASSED:
                self.passed[message.head["what"]] += 1
                self.tell(f"note: {message.head['text']}")
            case _:
                self.trouble(message.head["text"])

    def store(self, message: Message) -> None:
        """Mask, derive, judge, store, and say so; or say that it cannot be."""
        try:
            exchange, derived = self.judged(message)
            number = self.added(exchange, derived)
        except NotRecorded as error:
            self.lose(message, str(error))
        except Exception as error:  # noqa: BLE001  a rule of the user's, or a body that nobody thought of
            self.lose(message, f"masking or deriving fails: {describe(type(error), error.__traceback__)}")
        else:
            self.stored(number, exchange, derived)

    def judged(self, message: Message) -> tuple[Exchange, Derived]:
        """The exchange of a message, masked, with its state, and what follows from it."""
        if number := message.head["upload"]:
            message = replace(message, body=self.uploaded(number, message.head["uploaded"]))
        masked, derived = self.masked(exchange_of(message, self.settings.anchor))
        return judged(masked, derived, message.head), derived

    def take_part(self, message: Message) -> None:
        """Keep a part of a request body, and none of bodies whose end found no room in the queue."""
        head = message.head
        for number in self.uploads.keys() - set(head.get("open", self.uploads)):
            del self.uploads[number]
        self.uploads[head["upload"]].write(message.body)

    def uploaded(self, number: int, size: int) -> bytes:
        """The request body that came ahead in parts. NotRecorded: the queue had no room for one of them."""
        body = self.uploads.pop(number, BytesIO()).getvalue()  # no copy
        if len(body) != size:
            raise NotRecorded("a part of its request body found no room in the queue")
        return body

    def added(self, exchange: Exchange, derived: Derived) -> int:
        """Store an exchange, with patience for a program that holds the file; its id."""
        self.stay_in_place()
        deadline = time.monotonic() + self.losses.patience_s
        told = False
        while True:
            try:
                self.note_upstream(exchange)
                return self.recording.add(exchange, derived, self.masked_places)
            except NotRecorded as error:
                left = deadline - time.monotonic()
                if not is_busy(error.__cause__):
                    raise
                if left <= 0:
                    self.losses.patience_s = 0.0
                    raise
                if not told:
                    self.tell(f"{error}; waiting for {left:.0f} s")
                told = True

    def stored(self, number: int, exchange: Exchange, derived: Derived) -> None:
        """Say what was stored, and have it checked."""
        self.states[exchange.state] += 1
        self.account.add(exchange, derived)
        if missed := self.losses.over():
            self.tell(f"storing again; {counted(missed, 'exchange')} could not be stored")
        match self.settings.lines:
            case "text":
                show(console.line(exchange, derived))
            case "json":
                show(console.as_json(number, exchange, derived))
        if self.feed:
            self.feed.offer(replace(exchange, id=number))

    def note_upstream(self, exchange: Exchange) -> None:
        """Keep with the capture where an upstream is that nobody named before."""
        if exchange.upstream not in self.upstreams:
            self.recording.add_upstream(exchange.upstream, without_path(exchange.request.url))
            self.upstreams.add(exchange.upstream)

    def lose(self, message: Message, reason: str) -> None:
        """An exchange cannot be stored."""
        request = message.head["request"]
        first = self.losses.count(reason)
        if first or self.settings.lines != "none":
            try:
                self.tell(f"NOT RECORDED: {request['method']} {request['path']}: {reason}")
            except Exception:  # noqa: BLE001  what cannot be masked is not shown
                show(f"harness record: NOT RECORDED: an exchange with {request['upstream']}: {reason}")

    def stay_in_place(self) -> None:
        """If the file was removed or replaced, go on in another, with all that was stored."""
        if not self.recording.in_place:
            was = self.recording.path
            kept = self.recording.move()
            say(db=str(kept))
            reason = f"{was} was removed or replaced while it was written: what was recorded is in {kept}"
            self.tell(reason)
            self.losses.note(reason)

    def look_around(self) -> None:
        """While nothing comes: see whether the file is still there."""
        try:
            self.stay_in_place()
        except NotRecorded as error:
            if self.losses.note(str(error)):
                self.tell(f"NOT RECORDED: {error}")

    def close(self) -> None:
        """Leave one file, wherever it is."""
        try:
            self.stay_in_place()
            self.recording.close()
        except HarnessError as error:
            self.trouble(str(error))

    def masked(self, raw: Exchange) -> tuple[Exchange, Derived]:
        """An exchange without its secrets, and what follows from it."""
        masked, derived, found = self.redactor.whole(raw)
        self.masked_places += found
        return masked, derived

    def tell_cost(self) -> None:
        """Say what recording has cost so far, where that is asked for and it has gone on."""
        if self.settings.stats and (cost := self.account.news()):
            for line in cost_lines(cost, as_json=self.settings.lines == "json"):
                show(line)

    def trouble(self, text: str) -> None:
        """Something may be missing in the recording."""
        self.troubles += 1
        self.tell(f"NOT RECORDED: {text}")

    def tell(self, text: str) -> None:
        """A line that is no exchange, masked."""
        show(f"harness record: {visible(self.redactor.text(text)[0])}")


def judged(exchange: Exchange, derived: Derived, head: Mapping[str, Any]) -> Exchange:
    """The exchange with its state; the way to an end that is complete is no error."""
    response = exchange.response
    state = state_of(
        How(head["how"]),
        head["message"],
        derived,
        connected=bool(head["connected"]),
        framed=response is not None and is_framed(exchange.request.method, response),
    )
    return replace(exchange, state=state, error=None if state is State.COMPLETE else exchange.error)


def without_path(url: str) -> str:
    """Scheme, host and port of a URL.

    >>> without_path("https://api.openai.com/v1/models?limit=2")
    'https://api.openai.com'
    """
    return url.removesuffix(path_of(url))


def show(line: str) -> None:
    """Print for people, if there is anybody left."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def step_back() -> None:
    """Let the proxy go first wherever both want a CPU."""
    os.nice(STEP_BACK)
    if hasattr(os, "SCHED_BATCH"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def main() -> int:
    """Run the process."""
    data = begin("writer")
    if data is None:
        return 0
    settings = Settings.of(data)
    step_back()
    try:
        return record(settings, int(sys.argv[1]))
    except HarnessError as error:
        say(failed=str(error), code=error.exit_code)
    except (OSError, sqlite3.Error) as error:
        say(failed=f"{settings.db}: {error}", code=4)
    return 4


def record(settings: Settings, descriptor: int) -> int:
    """Open the recording, store what comes, and report; the exit code."""
    end = socket.socket(fileno=descriptor)
    recording = RecordingWriter(settings.db)
    try:
        capture = recording.start_capture(settings.capture())
    except BaseException:
        recording.close()
        raise
    recording.wait_at_most(LOCKED_S)
    writer = Writer(settings, recording, refuser(end, settings.policy))
    say(ready=True, capture=capture)
    with end, BufferedReader(Source(end, writer.look_around), BUFFER) as source:
        writer.take_all(source)
    writer.close()
    losses = writer.losses
    say(
        states=dict(writer.states),
        troubles=writer.troubles,
        passed=dict(writer.passed),
        masked=dict(writer.masked_places),
        lost=losses.lost,
        reasons=list(losses.reasons),
        cost=writer.account.report(),
    )
    if writer.feed:  # all is stored by now, and told
        say(check=writer.feed.report())
    return 4 if writer.troubles or losses.reasons else 0


def refuser(end: socket.socket, policy: Policy) -> Callable[[str], None]:
    """What tells the proxy why traffic must stop, if it must."""

    def refuse(reason: str) -> None:
        if policy is Policy.STOP:
            with suppress(OSError):  # it is gone
                end.sendall(f"{visible(reason)}\n".encode())

    return refuse


if __name__ == "__main__":
    sys.exit(main())
