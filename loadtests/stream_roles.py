"""Who does what in a run: a local runner all of it, workers the requests, a master the beginning and the end.

The law of this file: a run ends when every worker has written down what it sent, or is gone; until
then the master waits, whatever ended the run (its plan, `-t`, the Stop button, Ctrl-C). A worker that
is gone hangs nobody.

| message | from | says |
|---|---|---|
| `harness_hello` | each worker, when it has connected | whether it can see the run's folder |
| `harness_plan` | master, at the start | what to do; all of it for a worker that sees no folder |
| `harness_stop` | master | send nothing more; what is under way has so long |
| `harness_records` | a worker without the folder | lines of records |
| `harness_done` | each worker | its counts; all its records are out |
"""

import base64
import json
import logging
import os
import secrets
import signal
import socket
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from gevent.hub import get_hub
from locust.env import Environment
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner
from stream_worker import Worker

from harness.core.errors import HarnessError
from harness.load.folder import VARIABLE, Folder
from harness.load.plan import Call, Plan
from harness.load.records import Outcome

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
LEAD_NS = 300_000_000
"""Between the master's word and the start, so that all workers start together."""
HELLO_S = 5.0
HASTE_S = 5.0
"""How long Ctrl-C leaves what is under way."""
LARGEST_SKEW_NS = 5 * NS_PER_S
BATCH_S = 0.2

logger = logging.getLogger(__name__)

type MakePlan = Callable[[Environment], tuple[Plan, list[Call]]]


class Role:
    """What every process of a run has: an environment, and its requests in Locust's own statistics."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.worker: Worker | None = None

    def fire(self, record: dict[str, Any]) -> None:
        """One event for one request, with the outcome of its record: Locust's table says what ours does."""
        if record["kind"] != "result" or self.worker is None:
            return
        call = self.worker.calls[record["call"]]
        failed = Outcome(record["outcome"]).is_failure
        words = ": ".join(word for word in (record["outcome"], record["error"]) if word)
        self.environment.events.request.fire(
            request_type=call.method,
            name=call.path,
            response_time=(record["end_ns"] - record["sent_ns"]) / NS_PER_MS,
            response_length=record["response_bytes"],
            exception=RequestFailed(words) if failed else None,
            context={},
        )

    def started(self) -> None:
        """The test starts."""

    def stopping(self) -> None:
        """The test is being stopped, or is over."""

    def quitting(self) -> None:
        """The process ends."""


class RequestFailed(Exception):
    """The outcome of a request that failed, as Locust's table of failures shows it."""


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
            plan, calls, arrivals_ns, folder = layout(self.environment, self.make_plan)
            self.worker = Worker(
                plan, calls, arrivals_ns, folder, told=lambda record, _line: self.fire(record)
            )
            gevent.spawn(self.end, self.worker)

    def end(self, worker: Worker) -> None:
        """When all is written down, end the test."""
        worker.finished.wait()
        self.sent += worker.sent
        self.failed += worker.failed
        end_test(self.environment)

    def stopping(self) -> None:
        """Wait until all is written down."""
        if self.worker is not None:
            self.worker.stop("stopped", self.worker.plan.drain_s)

    def quitting(self) -> None:
        """Wait until all is written down, not for long; say how it went."""
        if self.worker is not None:
            self.worker.stop("stopped", HASTE_S)
            gevent.sleep(0)
        judge(self.environment, self.sent, self.failed, lost=0)


class Remote(Role):
    """A worker process: it does what the master says."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.runner: WorkerRunner = environment.runner  # type: ignore[assignment]
        self.order: dict[str, Any] | None = None
        self.lines: list[str] = []
        self.runner.register_message("harness_plan", self.hear_plan)
        self.runner.register_message("harness_stop", self.hear_stop, concurrent=True)
        self.runner.send_message("harness_hello", {"folder": os.environ.get(VARIABLE), "host": machine()})

    def hear_plan(self, environment: Environment, msg: Any, **_: Any) -> None:
        """What to do when the test starts."""
        self.order = msg.data

    def hear_stop(self, environment: Environment, msg: Any, **_: Any) -> None:
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
            folder = ordered_folder(order)
            self.worker = Worker(
                folder.plan(),
                folder.calls(),
                folder.arrivals_ns(),
                folder,
                order["index"],
                order["count"],
                start_of(order["start_wall_ns"]),
                echo=order["forward"],
                told=self.forward if order["forward"] else lambda record, _line: self.fire(record),
            )
            gevent.spawn(self.end, self.worker, order)

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
            self.runner.send_message("harness_records", {"worker": self.worker.index, "lines": lines})

    def end(self, worker: Worker, order: dict[str, Any]) -> None:
        """When all is written down, say so."""
        worker.finished.wait()
        self.send_lines()
        counts = {"run": order["run"], "worker": worker.index, "sent": worker.sent, "failed": dict(worker.failed)}
        self.runner.send_message("harness_done", counts)

    def stopping(self) -> None:
        """Wait until all is written down; the master has set the time for it."""
        if self.worker is not None:
            self.worker.stop("stopped", HASTE_S)

    def quitting(self) -> None:
        """As at the end of the test."""
        self.stopping()
        gevent.sleep(0)


class Master(Role):
    """The master: says what to do, and ends the test when all workers are done or gone."""

    def __init__(self, environment: Environment, make_plan: MakePlan) -> None:
        super().__init__(environment)
        self.runner: MasterRunner = environment.runner  # type: ignore[assignment]
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

    def hear_hello(self, environment: Environment, msg: Any, **_: Any) -> None:
        """A worker has connected."""
        self.hellos[msg.node_id] = msg.data

    def hear_records(self, environment: Environment, msg: Any, **_: Any) -> None:
        """Records of a worker elsewhere."""
        if self.folder is not None:
            with self.folder.records(msg.data["worker"]).open("a", encoding="utf-8") as file:
                file.writelines(msg.data["lines"])

    def hear_done(self, environment: Environment, msg: Any, **_: Any) -> None:
        """A worker has written all down."""
        if msg.data["run"] == self.run:
            self.done[msg.data["worker"]] = msg.data
            self.changed.set()

    def started(self) -> None:
        """Tell every worker what to do, before Locust tells it to start."""
        with complaining(self.environment):
            plan, calls, arrivals_ns, folder = layout(self.environment, self.make_plan)
            clients = sorted(self.runner.clients, key=self.runner.get_worker_index)
            self.await_hellos(clients)
            self.plan, self.folder, self.run, self.done = plan, folder, secrets.token_hex(8), {}
            self.members = {client: index for index, client in enumerate(clients)}
            whole = {
                "plan": plan.model_dump_json(),
                "calls": [call.model_dump_json() for call in calls],
                "arrivals": base64.b64encode(arrivals_ns.tobytes()).decode(),
            }
            wall_ns = time.time_ns() + LEAD_NS
            for client, index in self.members.items():
                near = self.hellos.get(client, {}).get("host") == machine()
                order = {"run": self.run, "index": index, "count": len(clients), "start_wall_ns": wall_ns}
                order |= {"folder": str(folder.path), "forward": False} if near else {"forward": True, **whole}
                self.runner.send_message("harness_plan", order, client)
            gevent.spawn(self.end, self.run)

    def await_hellos(self, clients: list[str]) -> None:
        """Wait for the first word of each worker."""
        until_ns = time.monotonic_ns() + int(HELLO_S * NS_PER_S)
        while not self.hellos.keys() >= set(clients) and time.monotonic_ns() < until_ns:
            gevent.sleep(0.01)

    def gone(self, client: str) -> bool:
        """Whether a worker is not there any more."""
        node = self.runner.clients.get(client)
        return node is None or node.state == STATE_MISSING

    def is_over(self) -> bool:
        """Whether every worker is done or gone."""
        return all(index in self.done or self.gone(client) for client, index in self.members.items())

    def await_over(self) -> None:
        """Wait until every worker is done or gone."""
        while not self.is_over():
            self.changed.clear()
            self.changed.wait(0.1)

    def end(self, run: str) -> None:
        """When every worker is done or gone, end the test."""
        self.await_over()
        until_ns = time.monotonic_ns() + 2 * NS_PER_S
        while not self.runner.spawning_completed and time.monotonic_ns() < until_ns:
            gevent.sleep(0.05)  # else Locust goes on starting what has ended
        if run == self.run:
            end_test(self.environment)

    def stop(self, drain_s: float) -> None:
        """Have every worker stop, and wait until it has."""
        if self.plan is not None and not self.is_over():
            self.runner.send_message("harness_stop", {"drain_s": drain_s})
            self.await_over()

    def stopping(self) -> None:
        """Wait until all is written down."""
        if self.plan is not None:
            self.stop(self.plan.drain_s)

    def quitting(self) -> None:
        """Wait until all is written down, not for long; say how it went."""
        self.stop(HASTE_S)
        failed: Counter[str] = Counter()
        for counts in self.done.values():
            failed.update(counts["failed"])
        lost = len(self.members) - len(self.done)
        judge(self.environment, sum(counts["sent"] for counts in self.done.values()), failed, lost)


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


def layout(
    environment: Environment, make_plan: MakePlan
) -> tuple[Plan, list[Call], "array[int]", Folder]:
    """What to do, and the folder for it: the run's own, or a fresh one for plain Locust."""
    if VARIABLE in os.environ:
        folder = Folder(Path(os.environ[VARIABLE]))
        return folder.plan(), folder.calls(), folder.arrivals_ns(), folder
    plan, calls = make_plan(environment)
    folder = Folder(Path(tempfile.mkdtemp(prefix="harness-load-")))
    folder.write(plan, calls)
    logger.info("What is sent and what comes back is written to %s", folder.path)
    return plan, calls, array("q"), folder


def ordered_folder(order: dict[str, Any]) -> Folder:
    """The folder of an order; on a machine that does not see the master's, one of its own."""
    if "folder" in order:
        return Folder(Path(order["folder"]))
    folder = Folder(Path(tempfile.mkdtemp(prefix="harness-load-")))
    arrivals_ns = array("q", base64.b64decode(order["arrivals"]))
    calls = [Call.model_validate_json(line) for line in order["calls"]]
    folder.write(Plan.model_validate_json(order["plan"]), calls, arrivals_ns)
    return folder


def start_of(wall_ns: int) -> int:
    """A moment of the wall clock on the monotonic one; now, where the clocks of two machines disagree."""
    ahead_ns = wall_ns - time.time_ns()
    return time.monotonic_ns() + (ahead_ns if abs(ahead_ns) < LARGEST_SKEW_NS else 0)


def machine() -> str:
    """A name for this machine as it runs now: two processes with the same one see the same files."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()} {boot.read_text().strip() if boot.exists() else ''}"


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


def handle_ctrl_c(environment: Environment) -> None:
    """Ctrl-C ends the run in order, a second one at once.

    Python would raise KeyboardInterrupt wherever the program is, also between the reading of bytes and
    their keeping; this way it comes in a greenlet of its own.
    """
    pressed: list[int] = []
    main = get_hub().parent

    def interrupt() -> None:
        get_hub().loop.run_callback(main.throw, KeyboardInterrupt)

    def handle() -> None:
        pressed.append(1)
        interrupt()

    gevent.signal_handler(signal.SIGINT, handle)
