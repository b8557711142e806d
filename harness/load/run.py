"""A run as the parent sees it: Locust goes, records are gathered, stored and shown, and then it is judged.

The law of this file: the parent measures nothing itself; it reads what workers and reducers wrote. However
a run ends (its plan, Ctrl-C, a Locust that fails), what was sent and recorded until then is stored, summed
and judged.
"""

import platform
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from types import FrameType
from typing import Any

from harness import __version__
from harness.core.errors import Untrusted
from harness.load.accounts import accounts
from harness.load.build import Step
from harness.load.child import LocustChild
from harness.load.clock import RunClock
from harness.load.figures import Figures, Tally
from harness.load.folder import Folder
from harness.load.gather import Gatherer
from harness.load.gpu.beside import Beside
from harness.load.gpu.figures import Window
from harness.load.gpu.source import Asked
from harness.load.gpu.summary import as_object
from harness.load.host import HostSampler, HostTold, Sample
from harness.load.live import LiveView, Unseen, live_view
from harness.load.rows import Keeper, run_of, worker_row
from harness.load.slo import Goodput, Slo
from harness.load.summary import Summary, load_of, summary_of
from harness.load.validity import Accounts, ClientError, Evidence, Judgement, judged
from harness.load.workers import Workers
from harness.store.load_runs import Completion, LoadWriter

POLL_S = 0.25
CATCH_UP_S = 20.0
"""How long reducers of workers that were killed may take to write down the rest."""
OFF = Asked()
"""No GPU log."""
LIBRARIES = ("locust", "gevent", "httptools")
"""Whose versions a run notes."""


@dataclass(frozen=True, slots=True)
class Wants:
    """What the user wants of every run: limits, how it is shown, more options for Locust.

    `sweep`: what is varied over the runs, as it was asked for. `null_test`: the client's own error.
    `bind`: host and port at which workers of other machines join. `gpu`: which cards are logged meanwhile.
    """

    slos: tuple[Slo, ...] = ()
    goodput: Goodput | None = None
    quiet: bool = False
    locust_options: tuple[str, ...] = ()
    sweep: str | None = None
    null_test: ClientError | None = None
    bind: tuple[str, int] | None = None
    gpu: Asked = OFF


class Run:
    """One run in its folder, stored by `writer`."""

    def __init__(self, step: Step, folder: Folder, writer: LoadWriter, wants: Wants) -> None:
        self.step, self.folder, self.writer, self.wants = step, folder, writer, wants
        self.clock = RunClock.now()
        self.tally = Tally(wants.goodput, [call.most_tokens_out for call in step.calls])
        self.workers = Workers()
        self.keeper = Keeper(writer)
        self.samples: list[Sample] = []
        self.gpus = Beside(wants.gpu, folder.path)
        self.stopped = False

    def make(self) -> Summary:
        """Run, store, judge. Untrusted: Locust could not even begin."""
        self.folder.write(self.step.plan, self.step.calls, self.step.arrivals)
        named = {"name": self.step.name or None, "sweep": self.wants.sweep, "rate": self.step.rate}
        run_id = self.writer.start(run_of(self.step.plan, self.clock, versions(), **named))
        due = len(self.step.arrivals) - self.step.plan.warmup_requests if self.step.arrivals else None
        with live_view(self.step.plan, self.clock, due, quiet=self.wants.quiet) as view:
            gatherer = Gatherer(self.folder, self.clock, [self.tally, self.workers, self.keeper, view])
            last_words = self.watch(gatherer, view)
        if not self.workers.by_number and self.stopped:
            raise Untrusted("stopped before a worker began: nothing was sent")
        if not self.workers.by_number:
            raise Untrusted(f"Locust ended before a worker began: {last_words or 'it said nothing'}")
        return self.finish(gatherer.damage, run_id)

    def watch(self, gatherer: Gatherer, view: LiveView | Unseen) -> str:
        """Gather while Locust runs and until its reducers are through; the last line that Locust said."""
        wants, workers = self.wants, self.step.plan.workers
        with (
            HostSampler(self.clock) as host,
            stopping() as stop,
            self.gpus,
            LocustChild(self.folder, workers, wants.locust_options, wants.bind) as child,
        ):
            while child.wait(POLL_S) is None and not stop.is_set():
                self.gather(gatherer, host)
                view.note(self.gpus.now())
                view.refresh()
            self.stopped = stop.is_set()
            child.stop()
            self.catch_up(gatherer, host)
            gatherer.finish()
            gatherer.damage += child.complaints()
            self.keeper.flush()
            return child.output_tail(1)

    def load(self) -> str:
        """The load in words."""
        words, rate = load_of(self.step.plan), self.step.rate
        return words if rate is None else f"{words}, {rate:g} requests/s"

    def gather(self, gatherer: Gatherer, host: HostSampler) -> None:
        """Take in and store what has come since."""
        gatherer.poll()
        self.keeper.flush()
        samples = host.taken()
        self.samples += samples
        if samples:
            self.writer.add_samples([sample.row() for sample in samples])

    def catch_up(self, gatherer: Gatherer, host: HostSampler) -> None:
        """Wait for reducers whose workers died: they write down what is left, and end by themselves."""
        until_ns = time.monotonic_ns() + int(CATCH_UP_S * 1e9)
        pause = threading.Event()
        self.gather(gatherer, host)
        while any(one.unrecorded for one in accounts(self.folder)) and time.monotonic_ns() < until_ns:
            pause.wait(POLL_S)
            self.gather(gatherer, host)

    def finish(self, damage: list[str], run_id: int) -> Summary:
        """Judge a run that has ended, and complete its row."""
        figures, books = self.with_gpus(self.tally.figures(), run_id), books_of(self.folder)
        workers = self.workers.all()
        told = HostTold.of(self.samples)
        judgement = judged(
            Evidence(
                plan=self.step.plan,
                figures=figures,
                workers=workers,
                accounts=books,
                damage=damage,
                null_test=self.wants.null_test,
                host_cpu_percent=told.cpu_p50 if told else None,
                clock_step_ns=told.clock_step_ns if told else None,
            )
        )
        summary = summary_of(
            self.step.plan,
            figures,
            judgement,
            [slo.row(figures) for slo in self.wants.slos],
            null_test=self.wants.null_test,
            load=self.load(),
            goodput=self.wants.goodput.text if self.wants.goodput else None,
            started_at=self.clock.date(),
            name=self.step.name or None,
            sweep=self.wants.sweep,
            recording=str(self.writer.path),
            run_id=run_id,
        )
        rows = [worker_row(worker, self.clock) for worker in workers]
        self.writer.complete(completion(summary, books, judgement), rows)
        return summary

    def with_gpus(self, figures: Figures, run_id: int) -> Figures:
        """The figures with those of the cards, whose log is stored."""
        self.gpus.keep(self.writer.path, run_id, self.clock)
        told = self.gpus.figures(self.clock, Window(*self.tally.window()), figures.tokens_known)
        return figures.model_copy(update={"gpu": as_object(told) if told else None})


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM set the event: the run then ends in order. A second one is taken as usual."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def heard(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in numbers:
        signal.signal(number, heard)
    try:
        yield stop
    finally:
        for number in numbers:
            signal.signal(number, before[number])


def books_of(folder: Folder) -> Accounts:
    """What all workers sent and recorded, and a line for each difference."""
    found = accounts(folder)
    lost = tuple(line for one in found for line in one.differences())
    return Accounts(sum(one.sent for one in found), sum(one.recorded for one in found), lost)


def completion(summary: Summary, books: Accounts, judgement: Judgement) -> Completion:
    """What the run's row gets at its end."""
    told: dict[str, Any] = summary.model_dump(mode="json")
    return Completion(
        verdict=judgement.verdict,
        sent=books.sent,
        recorded=books.recorded,
        figures=told["figures"],
        reasons=summary.reasons,
        checks=tuple(told["checks"]),
        slos=tuple(told["slos"]),
        null_test=told["null_test"],
    )


def versions() -> dict[str, str]:
    """The programs that a run depends on."""
    own = {"harness": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in LIBRARIES}
