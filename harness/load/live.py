"""What a run shows while it goes on, on stderr: a display on a terminal, plain lines elsewhere.

The law of this file: it shows, and judges nothing; its figures are of the last ten seconds, of requests
that have ended. stdout stays free for results.
"""

import sys
from array import array
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.core.histogram import FINE_BITS, Histogram
from harness.core.metrics import quantile
from harness.core.visible import visible
from harness.load.clock import RunClock
from harness.load.figures import count_kind, gap, kind_of
from harness.load.plan import Plan
from harness.load.records import Phase, Record, Result, WorkerRecord
from harness.load.summary import digits
from harness.load.workers import Worker, Workers

NS_PER_S = 1_000_000_000
RECENT_S = 10
LINE_S = 5
REFRESH_PER_S = 4
KINDS_SHOWN = 4
WORKERS_SHOWN = 8


@dataclass(slots=True)
class Second:
    """What ended within a second; `counted`: answers whose tokens the server counted."""

    number: int
    requests: int = 0
    tokens: int = 0
    counted: int = 0
    ttft_ns: "array[int]" = field(default_factory=lambda: array("q"))
    icl: Histogram = field(default_factory=lambda: Histogram(bits=FINE_BITS))


class Now:
    """What is known of a run while it goes on; takes in records."""

    def __init__(self) -> None:
        self.workers = Workers()
        self.start_ns: int | None = None
        self.measured = 0
        self.warmup = 0
        self.failures: Counter[str] = Counter()
        self._seconds: deque[Second] = deque(maxlen=RECENT_S + 1)

    def take(self, record: Record) -> None:
        """Take in a record on the run's clock."""
        self.workers.take(record)
        if isinstance(record, WorkerRecord):
            self.start_ns = min(self.start_ns or record.start_ns, record.start_ns)
        if isinstance(record, Result):
            self._add(record)

    def _add(self, result: Result) -> None:
        if result.phase is Phase.MEASURED:
            self.measured += 1
        else:
            self.warmup += 1
        second = self._second(result.end_ns // NS_PER_S)
        if result.outcome.is_failure:
            count_kind(self.failures, kind_of(result))
            return
        second.requests += 1
        second.tokens += result.tokens_out or 0
        second.counted += result.tokens_out is not None
        ttft = gap(result.sent_ns, result.first_token_ns)
        if ttft is not None:
            second.ttft_ns.append(ttft)
        second.icl.add_pairs(result.icl, FINE_BITS)

    def _second(self, number: int) -> Second:
        """The second of this number; what comes late counts where the newest does."""
        if not self._seconds or self._seconds[-1].number < number:
            self._seconds.append(Second(number))
        return next((known for known in self._seconds if known.number == number), self._seconds[-1])

    def recent(self, now_ns: int) -> "Recent":
        """The last ten seconds."""
        first = now_ns // NS_PER_S - RECENT_S
        seconds = [second for second in self._seconds if second.number > first]
        icl = Histogram(bits=FINE_BITS)
        for second in seconds:
            icl.merge(second.icl)
        span_s = min(RECENT_S, max(1, (now_ns - (self.start_ns or 0)) // NS_PER_S))
        return Recent(
            requests_per_s=sum(second.requests for second in seconds) / span_s,
            tokens_per_s=sum(second.tokens for second in seconds) / span_s
            if any(second.counted for second in seconds)
            else None,
            ttft_ns=sorted(value for second in seconds for value in second.ttft_ns),
            icl_us=icl,
        )

    def under_way(self) -> int:
        """Requests that are under way, as the workers last said."""
        return sum(worker.tick.under_way for worker in self.workers.all() if worker.tick)


@dataclass(frozen=True, slots=True)
class Recent:
    """The last ten seconds: rates (tokens None: nobody counted any), first tokens ascending, gaps."""

    requests_per_s: float
    tokens_per_s: float | None
    ttft_ns: Sequence[int]
    icl_us: Histogram

    def ttft_ms(self, q: float) -> float | None:
        """A quantile of TTFT."""
        return quantile(self.ttft_ns, q) / 1e6 if self.ttft_ns else None

    def icl_ms(self, q: float) -> float | None:
        """A quantile of ICL."""
        value = self.icl_us.quantile(q)
        return None if value is None else value / 1000


class LiveView:
    """Shows `Now` on a console; call `refresh` often. `expected`: measured requests, where that is known."""

    def __init__(self, plan: Plan, clock: RunClock, expected: int | None, console: Console) -> None:
        self._plan, self._clock, self._console = plan, clock, console
        self._expected = expected or plan.request_count
        self._now = Now()
        self._last_line_s = 0
        self._note: str | None = None
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )

    def take(self, record: Record) -> None:
        """Take in a record on the run's clock."""
        self._now.take(record)

    def note(self, text: str | None) -> None:
        """What to show beside the requests: how the cards do; None: nothing."""
        self._note = text

    def refresh(self) -> None:
        """Show what is new, no more often than one can read it."""
        now_ns = self._clock.elapsed_ns()
        if self._live:
            self._live.update(self.display(now_ns), refresh=True)
        elif now_ns // NS_PER_S >= self._last_line_s + LINE_S:
            self._last_line_s = now_ns // NS_PER_S
            self._console.print(Text(self.line(now_ns)), soft_wrap=True)

    def start(self) -> None:
        """Begin to show."""
        if self._live:
            self._live.start()

    def stop(self) -> None:
        """End it; the display leaves the terminal."""
        if self._live:
            self._live.stop()

    def seconds(self, now_ns: int) -> float:
        """How long the workers have been at it."""
        return 0.0 if self._now.start_ns is None else max(0, now_ns - self._now.start_ns) / NS_PER_S

    def share(self, now_ns: int) -> float | None:
        """How much of the run is done, by count or by time; None: nobody knows."""
        done = [self._now.measured / self._expected] if self._expected else []
        if self._plan.duration_s:
            whole_s = self._plan.duration_s + self._plan.warmup_s
            done.append(self.seconds(now_ns) / whole_s)
        return min(1.0, max(done)) if done else None

    def line(self, now_ns: int) -> str:
        """The run in one line."""
        recent = self._now.recent(now_ns)
        told = [
            f"{self.seconds(now_ns):.0f} s",
            self.progress(),
            f"{digits(recent.requests_per_s)} requests/s",
            f"{digits(recent.tokens_per_s)} tokens/s",
            f"TTFT p50 {digits(recent.ttft_ms(0.5))} p99 {digits(recent.ttft_ms(0.99))} ms",
            f"ICL p50 {digits(recent.icl_ms(0.5))} p99 {digits(recent.icl_ms(0.99))} ms",
            f"{self._now.under_way():,} under way",
            self.failed(),
            *self.notes(),
            *map(worker_line, self._now.workers.all()[:WORKERS_SHOWN]),
        ]
        return " | ".join(told)

    def progress(self) -> str:
        """What is done, in words."""
        if not self._now.measured and self._now.warmup:
            return f"{self._now.warmup:,} to warm up"
        of = f" of {self._expected:,}" if self._expected else ""
        return f"{self._now.measured:,}{of} requests"

    def failed(self) -> str:
        """Failures by kind."""
        kinds = self._now.failures.most_common(KINDS_SHOWN)
        told = ", ".join(f"{visible(kind)} {count:,}" for kind, count in kinds)
        return f"{self._now.failures.total():,} failed" + (f" ({told})" if told else "")

    def display(self, now_ns: int) -> RenderableType:
        """The run as a terminal shows it."""
        recent, share = self._now.recent(now_ns), self.share(now_ns)
        bar = ProgressBar(
            total=1.0, completed=share or 0.0, width=40, pulse=share is None, animation_time=now_ns / 1e9
        )
        head = Table.grid(padding=(0, 2))
        head.add_row(bar, Text(f"{self.seconds(now_ns):.0f} s"), Text(self.progress()))
        times = Table.grid(padding=(0, 2))
        times.add_row("last 10 s", "p50 ms", "p99 ms", "", "")
        rows = (
            ("TTFT", recent.ttft_ms, "requests/s", recent.requests_per_s),
            ("ICL", recent.icl_ms, "tokens/s", recent.tokens_per_s),
        )
        for title, ms, unit, rate in rows:
            times.add_row(title, digits(ms(0.5)), digits(ms(0.99)), digits(rate), unit)
        failed = Text(self.failed(), style="red" if self._now.failures else "dim")
        under_way = Text(f"{self._now.under_way():,} under way")
        return Group(head, times, under_way, failed, *map(Text, self.notes()), *self.worker_lines())

    def notes(self) -> list[str]:
        """What was noted."""
        return [visible(self._note)] if self._note else []

    def worker_lines(self) -> Iterator[Text]:
        """A line a worker, of the first few."""
        workers = self._now.workers.all()
        yield from (Text(worker_line(worker), style="dim") for worker in workers[:WORKERS_SHOWN])
        if len(workers) > WORKERS_SHOWN:
            yield Text(f"and {len(workers) - WORKERS_SHOWN} workers more", style="dim")


def worker_line(worker: Worker) -> str:
    """How busy and how late a worker is, or how it ended."""
    name = f"worker {worker.record.worker}"
    if worker.end:
        return f"{name} {worker.end.why}"
    if not worker.tick:
        return f"{name} starts"
    lag = Histogram.of_pairs(worker.tick.lag, FINE_BITS).quantile(0.99)
    cpu = "-" if worker.cpu_now is None else f"{worker.cpu_now:.0%}"
    return f"{name} cpu {cpu} lag p99 {digits(None if lag is None else lag / 1000)} ms"


class Unseen:
    """A view that shows nothing (`--quiet`)."""

    def take(self, record: Record) -> None:
        """Take in a record."""

    def note(self, text: str | None) -> None:
        """Take in a note."""

    def refresh(self) -> None:
        """Show nothing."""


@contextmanager
def live_view(
    plan: Plan, clock: RunClock, expected: int | None = None, *, quiet: bool = False
) -> Iterator[LiveView | Unseen]:
    """A view on stderr while the block runs."""
    if quiet:
        yield Unseen()
        return
    console = Console(file=sys.stderr, markup=False, emoji=False, highlight=False)
    view = LiveView(plan, clock, expected, console)
    view.start()
    try:
        yield view
    finally:
        view.stop()
