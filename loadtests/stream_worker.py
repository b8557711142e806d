"""One worker's part of a run: it makes its calls and writes down what it sent and what came back.

The law of this file: every request is in the journal before its bytes leave, and its answer as soon
as it is over, however it ended. Nothing here looks into an answer: the reducer does, in a process of
its own, and tells in a line what became of each.
"""

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
import psutil
from gevent.event import Event
from stream_hub import Alarm, HubReader

from harness.core.histogram import bucket_of
from harness.kernel_stamps import Carry
from harness.load.care import most_tokens_of
from harness.load.folder import Folder
from harness.load.journal import Ending, JournalWriter, Sent
from harness.load.plan import Closed
from harness.load.records import EndRecord, Outcome, Tick, WorkerRecord
from harness.load.route import Route
from harness.load.schedule import NEVER_NS, Schedule, Turn
from harness.load.target import Key, key_headers
from harness.load.wire import Answer, Client, Kept, Stamping

NS_PER_S = 1_000_000_000
NS_PER_US = 1000
TICK_NS = 10_000_000
TICKS_A_SWEEP = 2
TICKS_A_RECORD = 100
LOOK_S = 0.1
"""How often something that waits looks whether the run has ended."""
IDLE_S = 20.0
"""By then every worker has its users."""
REDUCER = (sys.executable, "-m", "harness.load.reducer")

type Told = Callable[[dict[str, Any], str], None]
"""Gets each line of the reducer: parsed, and as it was."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a run: that of worker `index` of `count`, in a folder, from `start_ns` on.

    `echo`: the reducer tells every record in full.
    """

    folder: Folder
    index: int = 0
    count: int = 1
    start_ns: int = 0
    echo: bool = False


class Worker:
    """A worker of a run, at work from the beginning."""

    def __init__(self, part: Part, told: Told) -> None:
        self.part, self.told = part, told
        self.plan, self.calls = part.folder.plan(), part.folder.calls()
        self.most_tokens = max(map(most_tokens_of, self.calls))
        self.schedule = Schedule(
            self.plan, part.folder.arrivals_ns(), part.index, part.count, part.start_ns or time.monotonic_ns()
        )
        self.stamping = Stamping()
        self.reader = HubReader()
        self.client = client_of(self)
        self.requests = self.make_requests()
        self.users = self.sent = self.answered = self.heard = self.received = self.retried = 0
        self.failed: Counter[str] = Counter()
        self.under_way: dict[int, gevent.Greenlet] = {}
        self.no_more, self.landed, self.counted, self.finished = Event(), Event(), Event(), Event()
        self.drain_until_ns = NEVER_NS
        self.process = psutil.Process()
        self.lag: list[int] = []
        self.is_broken = False
        self.is_reduced = True
        self.journal = JournalWriter(part.folder.journal(part.index))
        self.keep("worker", introduction(part.index, self.schedule.start_ns).model_dump())
        self.reducer = start_reducer(part, self.plan.reducer or REDUCER)
        self.listener = gevent.spawn(self.listen)
        self.ticker = gevent.spawn(self.tick)
        gevent.spawn(self.finish)
        gevent.spawn_later(IDLE_S, self.stop_if_idle)

    def make_requests(self) -> list[tuple[bytes, bytes]]:
        """The bytes of every call. BadInput: the API key is not in this machine's environment."""
        key = Key(self.plan.key_variable, self.plan.key_header)
        extra = {"User-Agent": "harness", **dict(key_headers(key))}
        keep = self.plan.keep_alive
        return [self.client.route.request(call, extra, keep_alive=keep) for call in self.calls]

    # Making calls

    def await_turn(self, loop: Closed) -> None:
        """Wait for the run's start, and for the moment of one more user in the ramp."""
        place, self.users = self.part.index + self.users * self.part.count, self.users + 1
        ramp_ns = int(loop.ramp_s * NS_PER_S) * place // loop.concurrency
        wait_ns = self.schedule.start_ns + ramp_ns - time.monotonic_ns()
        if wait_ns > 0:
            self.no_more.wait(wait_ns / NS_PER_S)

    def take(self) -> Turn | None:
        """The next call; None: there are no more."""
        self.await_counts()
        turn = self.schedule.take(time.monotonic_ns())
        if turn is None:
            self.stop_sending("done")
        return turn

    def await_counts(self) -> None:
        """Near the limit of tokens, no more answers than there are users may wait for their tokens' count."""
        while self.answered - self.heard >= max(1, self.users) and not self.has_tokens():
            if self.no_more.is_set():
                return
            self.counted.clear()
            self.counted.wait(LOOK_S)

    def has_tokens(self) -> bool:
        """Whether one more request stays below the limit, whatever those whose tokens are unknown use up."""
        return self.schedule.has_tokens_for(self.sent - self.heard + 1, self.most_tokens)

    def closed_loop(self, kept: Kept, is_stopping: Callable[[], bool]) -> None:
        """One user: a call, its answer, the next call."""
        while not is_stopping() and (turn := self.take()) is not None:
            self.make(turn, kept)

    def open_loop(self) -> None:
        """The dispatcher: each call at its time, whatever becomes of the others. The first user does it."""
        self.users += 1
        if self.users > 1:
            return
        alarm, kept = Alarm(), Kept()
        while (turn := self.take()) is not None:
            self.await_due(alarm, turn.due_ns or 0)
            if self.no_more.is_set():
                break
            self.under_way[turn.number] = gevent.spawn(self.make, turn, kept)
        alarm.close()

    def await_due(self, alarm: Alarm, due_ns: int) -> None:
        """Wait for a call's time, and then for room for it; the end of the run ends the wait."""
        while not self.no_more.is_set() and (now_ns := time.monotonic_ns()) < due_ns:
            alarm.wait_until(min(due_ns, now_ns + int(LOOK_S * NS_PER_S)))
        while not self.no_more.is_set() and len(self.under_way) >= self.schedule.most_open:
            self.landed.clear()
            self.landed.wait(LOOK_S)

    def make(self, turn: Turn, kept: Kept) -> None:
        """One call, from its sending to its answer in the journal, however it ends."""
        number, call = turn.number, turn.number % len(self.calls)
        answer = Answer(is_head=self.calls[call].method == "HEAD")
        start, end = self.requests[call]
        mark = b"X-Harness-Request: %d\r\n" % number if self.plan.mark_requests else b""
        self.under_way[number] = gevent.getcurrent()
        sent: list[int] = []

        def sending() -> None:
            sent.append(number)
            self.note_sent(turn, call)

        try:
            self.client.ask(answer, start + mark + end, kept, sending)
        finally:
            answer.finish(Ending.CANCELLED, time.monotonic_ns())
            if not sent:
                sending()
            self.note_answer(number, answer)

    def note_sent(self, turn: Turn, call: int) -> None:
        """Into the journal, right before the bytes leave."""
        sent = Sent(turn.number, call, turn.phase, turn.due_ns, time.monotonic_ns())
        self.keep("sent", sent._asdict())
        self.sent += 1

    def keep(self, kind: str, head: dict[str, Any], blob: bytes = b"") -> None:
        """Into the journal. What cannot be written down must not go on: the run ends, and says why."""
        if self.is_broken:
            return
        try:
            self.journal.append(kind, head, blob)
        except OSError as error:
            self.is_broken = True
            self.failed["unrecorded"] += 1
            why = error.strerror or error
            logger.error("worker %d cannot write its journal (%s) and stops", self.part.index, why)
            self.stop_sending("stopped")

    def note_answer(self, number: int, answer: Answer) -> None:
        """Into the journal, when it is over."""
        head, blob = answer.frame(number)
        self.keep("answer", head._asdict(), blob)
        self.answered += 1
        self.received += answer.received
        self.retried += answer.retried
        del self.under_way[number]
        self.landed.set()

    # Along the way

    def listen(self) -> None:
        """Hear from the reducer what became of each request."""
        assert self.reducer.stdout is not None
        for line in self.reducer.stdout:
            record = json.loads(line)
            if record["kind"] == "result":
                self.hear(record)
            self.told(record, line)
        if not self.no_more.is_set():
            self.stop_sending("stopped")  # nobody counts tokens any more, nor keeps what comes

    def hear(self, record: dict[str, Any]) -> None:
        """What one request used up: as the provider counts, else as far as it is known."""
        call = self.calls[record["call"]]
        tokens_in = call.tokens_in if record["tokens_in"] is None else record["tokens_in"]
        tokens_out = record["content_events"] if record["tokens_out"] is None else record["tokens_out"]
        self.schedule.tokens += (tokens_in or 0) + tokens_out
        self.heard += 1
        self.counted.set()
        if Outcome(record["outcome"]).is_failure:
            self.failed[record["outcome"]] += 1

    def tick(self) -> None:
        """Each 10 ms: how late is the loop; every so often: deadlines; each second: a record of it."""
        alarm, due_ns, count = Alarm(), time.monotonic_ns(), 0
        try:
            while True:
                due_ns, count = due_ns + TICK_NS, count + 1
                alarm.wait_until(due_ns)
                now_ns = time.monotonic_ns()
                self.lag.append((now_ns - due_ns) // NS_PER_US)
                if count % TICKS_A_SWEEP == 0:
                    self.sweep(now_ns)
                if count % TICKS_A_RECORD == 0:
                    self.note_tick()
        finally:
            alarm.close()

    def sweep(self, now_ns: int) -> None:
        """Give up what is late; stop when the time is over, whether or not a user is free to notice."""
        self.reader.sweep(now_ns)
        if self.schedule.is_past(now_ns):
            self.stop_sending("done")

    def note_tick(self) -> None:
        """A second into the journal."""
        self.stamping.renew()
        lag, self.lag = self.lag, []
        record = Tick(
            worker=self.part.index,
            at_ns=time.monotonic_ns(),
            sent=self.sent,
            answered=self.answered,
            under_way=len(self.under_way),
            cpu_s=time.process_time(),
            rss_bytes=self.process.memory_info().rss,
            lag=tuple(sorted(Counter(map(bucket_of, lag)).items())),
            received_bytes=self.received,
        )
        self.keep("tick", record.model_dump())

    # The end

    def stop_if_idle(self) -> None:
        """Without a user nothing is sent here, so nothing would ever end a run that is to end by itself."""
        if not self.users and self.schedule.is_bounded:
            self.no_more.set()
            logger.error("worker %d has no user: there are more workers than users", self.part.index)

    def stop_sending(self, why: str) -> None:
        """Send nothing more; the first reason counts."""
        self.schedule.stop(why, time.monotonic_ns())
        self.no_more.set()
        self.landed.set()

    def stop(self, why: str, drain_s: float) -> None:
        """Stop, with so long for what is under way, and wait until all is written down."""
        self.drain_until_ns = min(self.drain_until_ns, time.monotonic_ns() + int(drain_s * NS_PER_S))
        self.stop_sending(why)
        self.finished.wait()

    def finish(self) -> None:
        """Once nothing more is sent: wait for what is under way, give up the rest, close the journal."""
        self.no_more.wait()
        drain_ns = time.monotonic_ns() + int(self.plan.drain_s * NS_PER_S)
        self.drain_until_ns = min(self.drain_until_ns, drain_ns)
        while self.under_way and time.monotonic_ns() < self.drain_until_ns:
            self.landed.clear()
            self.landed.wait(LOOK_S)
        gevent.killall(list(self.under_way.values()))
        self.ticker.kill()
        self.note_tick()
        self.keep("end", self.farewell().model_dump())
        self.journal.close()
        self.await_reducer()
        self.stamping.close()
        self.finished.set()

    def farewell(self) -> EndRecord:
        """What the journal holds in all."""
        unsent, why = self.schedule.unsent(self.sent), self.schedule.why or "done"
        return EndRecord(
            worker=self.part.index,
            sent=self.sent,
            answered=self.answered,
            unsent=unsent,
            retried=self.retried,
            why=why,
        )

    @property
    def is_whole(self) -> bool:
        """Whether all that was sent could be written down."""
        return self.is_reduced and not self.is_broken

    def await_reducer(self) -> None:
        """Wait until all records are written."""
        assert self.reducer.stdin is not None
        self.reducer.stdin.close()
        self.listener.join()
        if (code := self.reducer.wait()) != 0:
            self.is_reduced = False
            self.failed["unrecorded"] += 1
            said = self.part.folder.reducer_log(self.part.index).read_text(errors="replace").splitlines()
            last = said[-1] if said else "it said nothing"
            logger.error("the reducer of worker %d failed (exit code %d): %s", self.part.index, code, last)


def client_of(worker: Worker) -> Client:
    """The client of a worker."""
    plan = worker.plan
    stamping = worker.stamping if plan.kernel_stamps and worker.stamping.works else None
    route = Route.to(plan.target, plan.ca_file)
    return Client(route, worker.reader, stamping, plan.timeout_s, plan.stall_s)


def introduction(index: int, start_ns: int) -> WorkerRecord:
    """Who writes a journal."""
    carry, now_ns = Carry.measure(), time.monotonic_ns()
    return WorkerRecord(
        worker=index,
        host=socket.gethostname(),
        pid=os.getpid(),
        start_ns=start_ns,
        monotonic_ns=now_ns,
        wall_ns=now_ns + carry.offset_ns,
        anchor_error_ns=carry.error_ns,
    )


def start_reducer(part: Part, command: tuple[str, ...]) -> "subprocess.Popen[str]":
    """The reducer of a worker; its stdin tells it that the worker lives. Ctrl-C is not for it."""
    echo = ["--echo"] if part.echo else []
    with part.folder.reducer_log(part.index).open("wb") as log:
        return subprocess.Popen(
            [*command, str(part.folder.path), str(part.index), *echo],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
