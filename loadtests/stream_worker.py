"""One worker's part of a run: which calls it makes, when, and what it writes down.

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
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent
import psutil
from gevent.event import Event
from stream_hub import Alarm, HubReader

from harness.core.errors import BadInput
from harness.core.histogram import bucket_of
from harness.kernel_stamps import Carry
from harness.load.folder import Folder
from harness.load.journal import Ending, JournalWriter, Sent
from harness.load.plan import Call, Closed, Open, Plan
from harness.load.records import EndRecord, Phase, Tick, WorkerRecord
from harness.load.route import Route
from harness.load.wire import Answer, Client, Kept, Stamping

NS_PER_S = 1_000_000_000
NS_PER_US = 1000
TICK_NS = 10_000_000
SWEEP_TICKS = 2
NEVER_NS = 2**63 - 1
KEY_HEADERS = {"authorization": "Bearer {}", "x-api-key": "{}"}

logger = logging.getLogger(__name__)


def share(total: int, index: int, count: int) -> int:
    """How many of the numbers 0 to total - 1 are `index` modulo `count`."""
    return max(0, (total - index + count - 1) // count)


class Shares:
    """What of the plan's counts falls to worker `index` of `count`."""

    def __init__(self, plan: Plan, index: int, count: int) -> None:
        first_measured = (index - plan.warmup_requests) % count
        asked = plan.request_count
        self.measured = None if asked is None else share(asked, first_measured, count)
        self.numbers = NEVER_NS if plan.max_requests is None else plan.max_requests
        self.tokens = None if plan.max_tokens is None else max(1, share(plan.max_tokens, index, count))
        most_open = plan.loop.most_open if isinstance(plan.loop, Open) else None
        self.open = None if most_open is None else max(1, share(most_open, index, count))


class Worker:
    """A worker of a run. `told` gets each line of the reducer, parsed."""

    def __init__(
        self,
        plan: Plan,
        calls: Sequence[Call],
        arrivals_ns: Sequence[int],
        folder: Folder,
        index: int = 0,
        count: int = 1,
        start_ns: int | None = None,
        *,
        echo: bool = False,
        told: Callable[[dict[str, Any], str], None] = lambda _record, _line: None,
    ) -> None:
        self.plan, self.calls, self.arrivals_ns = plan, calls, arrivals_ns
        self.folder, self.index, self.count = folder, index, count
        self.start_ns = time.monotonic_ns() if start_ns is None else start_ns
        self.told = told
        self.shares = Shares(plan, index, count)
        self.stamping = Stamping()
        self.reader = HubReader()
        self.client = self.make_client()
        self.requests = self.make_requests()
        self.next_number = index
        self.sent = self.answered = self.measured = self.tokens = self.received = 0
        self.stopped_ns = 0
        self.measured_from_ns: int | None = None
        self.failed: Counter[str] = Counter()
        self.recorded = 0
        self.under_way: dict[int, gevent.Greenlet] = {}
        self.why: str | None = None
        self.no_more = Event()
        self.landed = Event()
        self.finished = Event()
        self.drain_until_ns = NEVER_NS
        self.lag: list[int] = []
        self.users = 0
        self.journal = JournalWriter(folder.journal(index))
        self.journal.append("worker", self.introduction().model_dump())
        self.reducer = self.start_reducer(echo=echo)
        self.listener = gevent.spawn(self.listen)
        self.ticker = gevent.spawn(self.tick)
        self.finisher = gevent.spawn(self.finish)

    # What is made at the start

    def make_client(self) -> Client:
        """The client of this worker."""
        plan = self.plan
        stamping = self.stamping if plan.kernel_stamps and self.stamping.works else None
        return Client(Route.to(plan.target, plan.ca_file), self.reader, stamping, plan.timeout_s, plan.stall_s)

    def make_requests(self) -> list[tuple[bytes, bytes]]:
        """The bytes of every call."""
        extra = {"User-Agent": "harness", **self.key()}
        keep = self.plan.keep_alive
        return [self.client.route.request(call, extra, keep_alive=keep) for call in self.calls]

    def key(self) -> dict[str, str]:
        """The header with the API key. BadInput: it is not in this machine's environment."""
        if self.plan.key_variable is None:
            return {}
        key = os.environ.get(self.plan.key_variable)
        if not key:
            raise BadInput(f"{self.plan.key_variable} is not set in the environment of a worker")
        return {self.plan.key_header: KEY_HEADERS[self.plan.key_header].format(key)}

    def introduction(self) -> WorkerRecord:
        """Who writes the journal."""
        carry = Carry.measure()
        now_ns = time.monotonic_ns()
        return WorkerRecord(
            worker=self.index,
            host=socket.gethostname(),
            pid=os.getpid(),
            start_ns=self.start_ns,
            monotonic_ns=now_ns,
            wall_ns=now_ns + carry.offset_ns,
            anchor_error_ns=carry.error_ns,
        )

    def start_reducer(self, *, echo: bool) -> "subprocess.Popen[str]":
        """The reducer of this worker; its stdin tells it that the worker lives."""
        usual = (sys.executable, "-m", "harness.load.reducer")
        command = [*(self.plan.reducer or usual), str(self.folder.path), str(self.index)]
        with self.folder.reducer_log(self.index).open("wb") as log:
            return subprocess.Popen(
                [*command, "--echo"] if echo else command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for the worker
            )

    # Which call is next

    def take(self) -> int | None:
        """The number of the next call of a closed loop; None: there is none."""
        number = self.next_number
        if self.why is None and self.is_through(number, time.monotonic_ns()):
            self.stop_sending("done")
        if self.why is not None:
            return None
        self.next_number += self.count
        return number

    def is_through(self, number: int, now_ns: int) -> bool:
        """Whether the measured part is over, or a limit is reached (which `why` says then)."""
        if number >= self.shares.numbers or (self.shares.tokens is not None and self.tokens >= self.shares.tokens):
            self.stop_sending("limit")
        return self.is_counted_out(number) or now_ns >= self.end_ns()

    def is_counted_out(self, number: int) -> bool:
        """Whether all requests of the measured part were sent."""
        return (
            self.shares.measured is not None
            and self.measured >= self.shares.measured
            and number >= self.plan.warmup_requests
        )

    def end_ns(self) -> int:
        """When the measured part ends by its duration."""
        if self.plan.duration_s is None or self.measured_from_ns is None:
            return NEVER_NS
        return self.measured_from_ns + int(self.plan.duration_s * NS_PER_S)

    def phase(self, number: int, at_ns: int) -> Phase:
        """The part of the run that a request belongs to, sent (or due) at a time."""
        warm_ns = self.start_ns + int(self.plan.warmup_s * NS_PER_S)
        if number < self.plan.warmup_requests or at_ns < warm_ns:
            return Phase.WARMUP
        if self.measured_from_ns is None:
            self.measured_from_ns = max(at_ns, warm_ns)
        self.measured += 1
        return Phase.MEASURED

    # Making calls

    def begins(self) -> bool:
        """Whether this is the first to ask: one greenlet dispatches an open loop."""
        self.users += 1
        return self.users == 1

    def await_turn(self, loop: Closed) -> None:
        """Wait for the run's start, and for the moment of one more user in the ramp."""
        place, self.users = self.index + self.users * self.count, self.users + 1
        ramp_ns = int(loop.ramp_s * NS_PER_S) * place // loop.concurrency
        wait_ns = self.start_ns + ramp_ns - time.monotonic_ns()
        if wait_ns > 0:
            self.no_more.wait(wait_ns / NS_PER_S)

    def closed_loop(self, kept: Kept, is_stopping: Callable[[], bool]) -> None:
        """One user: a call, its answer, the next call."""
        while not is_stopping() and (number := self.take()) is not None:
            self.make(number, None, kept)

    def open_loop(self) -> None:
        """The dispatcher: each call at its time, whatever becomes of the others."""
        alarm, kept = Alarm(), Kept()
        try:
            for number in self.due_numbers():
                due_ns = self.start_ns + self.arrivals_ns[number]
                while self.why is None and time.monotonic_ns() < due_ns:
                    alarm.wait_until(min(due_ns, time.monotonic_ns() + NS_PER_S // 10))
                if self.waited_for_room() and self.why is None:
                    self.under_way[number] = gevent.spawn(self.make, number, due_ns, kept)
                else:
                    break
        finally:
            self.stop_sending("done")
            alarm.close()

    def due_numbers(self) -> Iterator[int]:
        """The numbers of an open loop that fall to this worker, up to the plan's end."""
        for number in range(self.index, len(self.arrivals_ns), self.count):
            due_ns = self.start_ns + self.arrivals_ns[number]
            if self.why is not None or self.is_through(number, due_ns):
                return
            yield number

    def waited_for_room(self) -> bool:
        """Wait until one more request may be under way; False: the run ended first."""
        most = self.shares.open
        while most is not None and len(self.under_way) >= most and self.why is None:
            self.landed.clear()
            self.landed.wait(0.1)
        return self.why is None

    def make(self, number: int, scheduled_ns: int | None, kept: Kept) -> None:
        """One call, from its sending to its answer in the journal, however it ends."""
        call = number % len(self.calls)
        answer = Answer(is_head=self.calls[call].method == "HEAD")
        start, end = self.requests[call]
        mark = b"X-Harness-Request: %d\r\n" % number if self.plan.mark_requests else b""
        self.under_way[number] = gevent.getcurrent()
        written = False

        def sending() -> None:
            nonlocal written
            written = True
            self.note_sent(number, call, scheduled_ns)

        try:
            self.client.ask(answer, start + mark + end, kept, sending)
        finally:
            answer.finish(Ending.CANCELLED, time.monotonic_ns())
            if not written:
                sending()
            self.note_answer(number, answer)
            if not self.plan.keep_alive:
                kept.close()

    def note_sent(self, number: int, call: int, scheduled_ns: int | None) -> None:
        """Into the journal, right before the bytes leave."""
        now_ns = time.monotonic_ns()
        phase = self.phase(number, now_ns if scheduled_ns is None else scheduled_ns)
        self.journal.append("sent", Sent(number, call, phase, scheduled_ns, now_ns)._asdict())
        self.sent += 1

    def note_answer(self, number: int, answer: Answer) -> None:
        """Into the journal, when it is over."""
        head, blob = answer.frame(number)
        self.journal.append("answer", head._asdict(), blob)
        self.answered += 1
        self.received += answer.received
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

    def hear(self, record: dict[str, Any]) -> None:
        """What one request used up."""
        self.recorded += 1
        call = self.calls[record["call"]]
        tokens_in = record["tokens_in"] if record["tokens_in"] is not None else call.tokens_in
        tokens_out = record["tokens_out"] if record["tokens_out"] is not None else record["content_events"]
        self.tokens += (tokens_in or 0) + tokens_out
        if record["outcome"] not in ("complete", "length"):
            self.failed[record["outcome"]] += 1

    def tick(self) -> None:
        """Each 10 ms: how late is the loop; every so often: deadlines; each second: a record of it."""
        alarm, process = Alarm(), psutil.Process()
        due_ns, count = time.monotonic_ns(), 0
        try:
            while not self.finished.is_set():
                due_ns, count = due_ns + TICK_NS, count + 1
                alarm.wait_until(due_ns)
                now_ns = time.monotonic_ns()
                self.lag.append((now_ns - due_ns) // NS_PER_US)
                if now_ns - due_ns > NS_PER_S:
                    due_ns = now_ns
                if count % SWEEP_TICKS == 0:
                    self.sweep(now_ns)
                if count % (NS_PER_S // TICK_NS) == 0:
                    self.note_tick(process)
        finally:
            alarm.close()

    def sweep(self, now_ns: int) -> None:
        """Give up what is late; stop at the end of the measured part, whether or not a user is free.

        What an open loop could not send by its end for want of room may still be sent for the time of
        the drain; the rest is not sent at all.
        """
        self.reader.sweep(now_ns)
        end_ns = self.end_ns()
        if isinstance(self.plan.loop, Open):
            last_ns = self.start_ns + self.arrivals_ns[-1] if self.arrivals_ns else 0
            end_ns = min(end_ns, last_ns) + int(self.plan.drain_s * NS_PER_S)
        if now_ns >= end_ns:
            self.stop_sending("done")

    def note_tick(self, process: psutil.Process) -> None:
        """A second into the journal."""
        self.stamping.renew()
        lag, self.lag = self.lag, []
        record = Tick(
            worker=self.index,
            at_ns=time.monotonic_ns(),
            sent=self.sent,
            answered=self.answered,
            under_way=len(self.under_way),
            cpu_s=time.process_time(),
            rss_bytes=process.memory_info().rss,
            lag=tuple(sorted(Counter(map(bucket_of, lag)).items())),
            received_bytes=self.received,
        )
        self.journal.append("tick", record.model_dump())

    # The end

    def stop_sending(self, why: str) -> None:
        """Send nothing more; the first reason counts."""
        if self.why is None:
            self.why, self.stopped_ns = why, time.monotonic_ns()
            self.no_more.set()
            self.landed.set()

    def stop(self, why: str, drain_s: float) -> None:
        """Stop, with so long for what is under way, and wait until all is written down."""
        self.drain_until_ns = min(self.drain_until_ns, time.monotonic_ns() + int(drain_s * NS_PER_S))
        self.stop_sending(why)
        self.finished.wait()

    def farewell(self) -> EndRecord:
        """What the journal holds in all."""
        mine = range(self.index, len(self.arrivals_ns), self.count)
        end_ns = min(self.stopped_ns, self.end_ns()) - self.start_ns
        due = sum(self.arrivals_ns[number] <= end_ns for number in mine)
        unsent = max(0, due - self.sent) if isinstance(self.plan.loop, Open) else 0
        return EndRecord(
            worker=self.index, sent=self.sent, answered=self.answered, unsent=unsent, why=self.why or "done"
        )

    def finish(self) -> None:
        """Once nothing more is sent: wait for what is under way, give up the rest, close the journal."""
        self.no_more.wait()
        drain_ns = time.monotonic_ns() + int(self.plan.drain_s * NS_PER_S)
        self.drain_until_ns = min(self.drain_until_ns, drain_ns)
        while self.under_way and time.monotonic_ns() < self.drain_until_ns:
            self.landed.clear()
            self.landed.wait(0.05)
        gevent.killall(list(self.under_way.values()))
        self.ticker.kill()
        self.note_tick(psutil.Process())
        self.journal.append("end", self.farewell().model_dump())
        self.journal.close()
        assert self.reducer.stdin is not None
        self.reducer.stdin.close()
        self.listener.join()
        if self.reducer.wait() != 0:
            logger.error("the reducer of worker %d failed: see %s", self.index, self.folder.reducer_log(self.index))
        self.stamping.close()
        self.finished.set()
