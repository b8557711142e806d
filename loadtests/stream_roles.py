"""Who does what in a run: a local runner all of it, workers the requests, a master the beginning and the end.

The law of this file: a run ends when every worker has written down what it sent, or is gone; until
then the master waits, whatever ended the run (its plan, `-t`, the Stop button, Ctrl-C). A worker that
is gone hangs nobody.

| message | from | says |
|---|---|---|
| `harness_hello` | each worker, once connected | its process; a forked one shares the master's folder |
| `harness_plan` | master, at the start | what to do; all of it for a worker started by itself |
| `harness_stop` | master | send nothing more; what is under way has so long |
| `harness_records` | such a worker | lines of records |
| `harness_done` | each worker | its counts; all its records are out |
| `harness_kept` | master | has all records of a worker started by itself, which needs its copy no more |
"""

import logging
import os
import secrets
import signal
import time
from collections import Counter
from typing import Any

import gevent
import locust.runners
import psutil
from gevent.event import Event
from gevent.hub import get_hub
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner
from stream_layout import TOKEN, MakePlan, layout, ordered_folder, packed, remove, start_of
from stream_worker import Part, Worker

from harness.core.errors import HarnessError
from harness.load.folder import PARENT, Folder
from harness.load.plan import Plan
from harness.load.records import Outcome

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
LEAD_NS = 300_000_000
"""Between the master's word and the start, so that all workers start together."""
HELLO_S = 5.0
HASTE_S = 5.0
"""How long Ctrl-C leaves what is under way."""
BATCH_S = 0.2
KEPT_S = 10.0
"""How long such a worker waits for the master to have everything."""
SPAWNING_S = 2.0
LOOK_S = 0.5

locust.runners.HEARTBEAT_LIVENESS = 8
"""Seconds of silence after which a worker elsewhere is gone; Locust's 3 are too few on a busy machine."""

logger = logging.getLogger(__name__)


class RequestFailed(Exception):
    """The outcome of a request that failed, as Locust's table of failures shows it."""


class Role:
    """What every process of a run has: its part of the run, if any, shown in Locust's own statistics."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.worker: Worker | None = None
        self.is_stopping = False  # by somebody else, who must not be stopped again

    def fire(self, record: dict[str, Any], _line: str = "") -> None:
        """One event for one request, with the outcome of its record: Locust's table says what ours does."""
        if record["kind"] != "result" or self.worker is None:
            return
        call = self.worker.calls[record["call"]]
        words = ": ".join(word for word in (record["outcome"], record["error"]) if word)
        self.environment.events.request.fire(
            request_type=call.method,
            name=call.path,
            response_time=(record["end_ns"] - record["sent_ns"]) / NS_PER_MS,
            response_length=record["response_bytes"],
            exception=RequestFailed(words) if Outcome(record["outcome"]).is_failure else None,
            context={},
        )

    def started(self) -> None:
        """The test starts."""

    def stopping(self) -> None:
        """The test is being stopped, or is over: wait until all is written down."""

    def quitting(self) -> None:
        """The process ends: wait until all is written down, not for long, and say how it went."""


class Local(Role):
    """A process that does it all."""

    def __init__(self, environment: Environment, make_plan: MakePlan) -> None:
        super().__init__(environment)
        self.make_plan = make_plan
        self.failed: Counter[str] = Counter()
        self.sent = 0

    def started(self) -> None:
        """Begin; the end of the plan ends the test."""
        with complaining(self.environment):
            part = Part(layout(self.environment, self.make_plan))
            self.is_stopping = False
            self.worker = Worker(part, self.fire)
            gevent.spawn(self.end, self.worker)

    def end(self, worker: Worker) -> None:
        """When all is written down, end the test."""
        worker.finished.wait()
        if self.worker is worker and not self.is_stopping:
            end_test(self.environment)

    def stopping(self) -> None:
        """Wait until all is written down."""
        self.is_stopping = True
        if self.worker is not None:
            self.close(self.worker, self.worker.plan.drain_s)

    def quitting(self) -> None:
        """Wait until all is written down, not for long; say how it went."""
        if self.worker is not None:
            self.close(self.worker, HASTE_S)
        judge(self.environment, self.sent, self.failed, lost=0)

    def close(self, worker: Worker, drain_s: float) -> None:
        """End the worker's part, and count it in."""
        worker.stop("stopped", drain_s)
        if self.worker is worker:
            self.worker = None
            self.sent += worker.sent
            self.failed += worker.failed


class Remote(Role):
    """A worker process: it does what the master says."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        assert isinstance(environment.runner, WorkerRunner)
        self.runner = environment.runner
        self.order: dict[str, Any] | None = None
        self.lines: list[str] = []
        self.own_folder: Folder | None = None
        self.ending: gevent.Greenlet | None = None
        self.kept = Event()
        self.runner.register_message("harness_plan", self.hear_plan)
        self.runner.register_message("harness_stop", self.hear_stop, concurrent=True)
        self.runner.register_message("harness_kept", lambda **_: self.kept.set())
        self.runner.send_message("harness_hello", {"token": TOKEN, "pid": os.getpid()})

    def hear_plan(self, msg: Any, **_: Any) -> None:
        """What to do when the test starts."""
        self.order = msg.data

    def hear_stop(self, msg: Any, **_: Any) -> None:
        """Send nothing more."""
        if self.worker is not None:
            self.worker.stop("stopped", msg.data["drain_s"])

    def started(self) -> None:
        """Begin, as ordered."""
        order, self.order = self.order, None
        if order is None:
            logger.error("this worker came too late to take part: it was not told what to do")
            return
        with complaining(self.environment):
            start_ns = start_of(order["start_wall_ns"])
            part = Part(ordered_folder(order), order["index"], order["count"], start_ns, order["forward"])
            self.own_folder = part.folder if part.echo else None
            self.kept.clear()
            self.worker = Worker(part, self.forward if part.echo else self.fire)
            self.ending = gevent.spawn(self.end, self.worker, order["run"])

    def forward(self, record: dict[str, Any], line: str) -> None:
        """A record is for the master too."""
        self.fire(record)
        self.lines.append(line)
        if len(self.lines) == 1:
            gevent.spawn_later(BATCH_S, self.send_lines)

    def send_lines(self) -> None:
        """Send the records that have gathered."""
        lines, self.lines = self.lines, []
        if lines and self.worker is not None:
            self.runner.send_message("harness_records", {"worker": self.worker.part.index, "lines": lines})

    def end(self, worker: Worker, run: str) -> None:
        """When all is written down, say so."""
        worker.finished.wait()
        self.send_lines()
        counts = {"worker": worker.part.index, "sent": worker.sent, "failed": dict(worker.failed)}
        self.runner.send_message("harness_done", {"run": run, **counts})
        if self.own_folder is not None:
            self.let_go(self.own_folder, worker)

    def let_go(self, folder: Folder, worker: Worker) -> None:
        """Remove this machine's copy of what the master has; keep and name it where something is amiss."""
        self.own_folder = None
        if self.kept.wait(KEPT_S) and worker.is_whole:
            remove(folder)
        else:
            logger.error("what was sent and what came back is kept in %s", folder.path)

    def stopping(self) -> None:
        """Wait until all is written down; the master has set the time for it."""
        if self.worker is not None:
            self.worker.stop("stopped", HASTE_S)

    def quitting(self) -> None:
        """As at the end of the test; whatever waited for that gets its turn."""
        self.stopping()
        until_ns = time.monotonic_ns() + int(KEPT_S * NS_PER_S)
        while self.ending is not None and not self.ending.dead and time.monotonic_ns() < until_ns:
            gevent.sleep(LOOK_S / 10)


class Master(Role):
    """The master: says what to do, and ends the test when all workers are done or gone."""

    def __init__(self, environment: Environment, make_plan: MakePlan) -> None:
        super().__init__(environment)
        assert isinstance(environment.runner, MasterRunner)
        self.runner = environment.runner
        self.make_plan = make_plan
        self.hellos: dict[str, dict[str, Any]] = {}
        self.run = ""
        self.plan: Plan | None = None
        self.folder: Folder | None = None
        self.members: dict[str, int] = {}
        self.done: dict[int, dict[str, Any]] = {}
        self.changed = Event()
        self.runner.register_message("harness_hello", self.hear_hello)
        self.runner.register_message("harness_records", self.hear_records)
        self.runner.register_message("harness_done", self.hear_done)

    def hear_hello(self, msg: Any, **_: Any) -> None:
        """A worker has connected."""
        self.hellos[msg.node_id] = msg.data

    def hear_records(self, msg: Any, **_: Any) -> None:
        """Records of a worker elsewhere."""
        if self.folder is not None:
            with self.folder.records(msg.data["worker"]).open("a", encoding="utf-8") as file:
                file.writelines(msg.data["lines"])

    def hear_done(self, msg: Any, **_: Any) -> None:
        """A worker has written all down."""
        if msg.data["run"] == self.run:
            self.done[msg.data["worker"]] = msg.data
            self.changed.set()
            self.runner.send_message("harness_kept", {}, msg.node_id)

    def started(self) -> None:
        """Tell every worker what to do, before Locust tells it to start."""
        with complaining(self.environment):
            self.folder = layout(self.environment, self.make_plan)
            self.plan = self.folder.plan()
            clients = sorted(self.runner.clients, key=self.runner.get_worker_index)
            self.await_hellos(clients)
            self.run, self.done, self.is_stopping = secrets.token_hex(8), {}, False
            self.members = {client: index for index, client in enumerate(clients)}
            self.give_orders(self.folder, time.time_ns() + LEAD_NS)
            gevent.spawn(self.end, self.run)

    def await_hellos(self, clients: list[str]) -> None:
        """Wait for the first word of each worker."""
        until_ns = time.monotonic_ns() + int(HELLO_S * NS_PER_S)
        while not self.hellos.keys() >= set(clients) and time.monotonic_ns() < until_ns:
            gevent.sleep(0.01)

    def give_orders(self, folder: Folder, start_wall_ns: int) -> None:
        """Tell each worker its part."""
        common = {"run": self.run, "count": len(self.members), "start_wall_ns": start_wall_ns}
        near = {"folder": str(folder.path.resolve()), "forward": False}
        far: dict[str, Any] = {}
        for client, index in self.members.items():
            if not self.is_near(client) and not far:
                far = {"forward": True, **packed(folder)}
            order = {**common, "index": index, **(near if self.is_near(client) else far)}
            self.runner.send_message("harness_plan", order, client)

    def is_near(self, client: str) -> bool:
        """Whether a worker is a child of this process."""
        return client in self.hellos and self.hellos[client]["token"] == TOKEN

    def is_gone(self, client: str) -> bool:
        """Whether a worker is not there any more: a child's process tells; another's silence has to do."""
        node = self.runner.clients.get(client)
        if self.is_near(client):
            return not is_running(self.hellos[client]["pid"])
        return node is None or node.state == STATE_MISSING

    def is_over(self) -> bool:
        """Whether every worker is done or gone."""
        return all(index in self.done or self.is_gone(client) for client, index in self.members.items())

    def await_over(self) -> None:
        """Wait until every worker is done or gone."""
        while not self.is_over():
            self.changed.clear()
            self.changed.wait(0.1)

    def end(self, run: str) -> None:
        """When every worker is done or gone, end the test."""
        self.await_over()
        until_ns = time.monotonic_ns() + int(SPAWNING_S * NS_PER_S)
        while not self.runner.spawning_completed and time.monotonic_ns() < until_ns:
            gevent.sleep(0.05)  # else Locust goes on starting what has ended
        if run == self.run and not self.is_stopping:
            end_test(self.environment)

    def stop(self, drain_s: float) -> None:
        """Have every worker stop, and wait until it has."""
        if not self.is_over():
            self.runner.send_message("harness_stop", {"drain_s": drain_s})
            self.await_over()

    def stopping(self) -> None:
        """Wait until all is written down."""
        self.is_stopping = True
        if self.plan is not None:
            self.stop(self.plan.drain_s)

    def quitting(self) -> None:
        """Wait until all is written down, not for long; say how it went."""
        self.stop(HASTE_S)
        failed: Counter[str] = Counter()
        for counts in self.done.values():
            failed.update(counts["failed"])
        sent = sum(counts["sent"] for counts in self.done.values())
        judge(self.environment, sent, failed, lost=len(self.members) - len(self.done))


def is_running(pid: int) -> bool:
    """Whether a process is there, and no mere zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class complaining:  # noqa: N801  reads like a statement
    """Errors of the user's are said in one line, and end the test."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Say the error."""
        if not isinstance(error, HarnessError):
            return False
        logger.error("%s", error)
        self.environment.process_exit_code = error.exit_code
        gevent.spawn_later(0.1, end_test, self.environment)
        return True


def is_headless(environment: Environment) -> bool:
    """Whether nobody watches."""
    return environment.web_ui is None


def end_test(environment: Environment) -> None:
    """End the test, and with it the process if nobody watches."""
    if environment.runner is not None:
        environment.runner.quit() if is_headless(environment) else environment.runner.stop()


def judge(environment: Environment, sent: int, failed: Counter[str], lost: int) -> None:
    """The exit code: 1 where requests failed, where nothing was sent, or where a worker was lost."""
    if environment.process_exit_code is None:
        environment.process_exit_code = 1 if failed or lost or not sent else 0


def end_with_parent(environment: Environment) -> None:
    """Where `harness load` started this process, end the run when that is gone."""
    parent = int(os.environ.get(PARENT, "0"))

    def watch() -> None:
        while os.getppid() == parent:
            gevent.sleep(LOOK_S)
        logger.error("harness load is gone: the run ends")
        end_test(environment)

    if parent and os.getppid() == parent:
        gevent.spawn(watch)


def handle_ctrl_c() -> None:
    """Ctrl-C ends the run in order, a second one at once.

    Python would raise KeyboardInterrupt wherever the program is, also between the reading of bytes and
    their keeping; this way it always comes in the main greenlet, which waits and then shuts down.
    """
    main = get_hub().parent
    gevent.signal_handler(signal.SIGINT, lambda: get_hub().loop.run_callback(main.throw, KeyboardInterrupt))
