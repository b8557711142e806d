"""How good a run's own measurement was: a table of checks, and the verdict they amount to.

The law of this file: pure; a check is a row of `CHECKS` (what is measured, the limits, what to do), and a
value above a limit is a warning or makes the run invalid. A run that is not trustworthy is INVALID and
not slow: its figures may be the client's own. Limits are explained in `docs/load-figures.md`.

Two columns of limits, since two kinds of stamps fear different things. The kernel stamps packets as they
come, so a loop that is a little late does no harm to arrivals; it still sends late, which the open loop's
queueing shows. But packets that wait to be read are joined, and keep the last one's stamp alone (Linux,
`tcp_try_coalesce`): a loop that is later than the gap between tokens spoils these stamps, too. A reader's
stamp is late by as much as its loop is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.load.figures import Figures
from harness.load.plan import Closed, Plan
from harness.load.records import Stamps
from harness.load.slo import SloRow
from harness.load.workers import Worker

FAILURE_RATES = ("error_rate", "success_rate")
LATE_MS = 20.0
"""A loop that is later than this (p99) leaves packets of usual streams waiting, to be joined."""
READER_SHARE = 0.01
"""From this share of successes with reader stamps on, the limits for those hold."""
NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the workers sent, what arrived as results, and a line for each thing that was lost."""

    sent: int
    recorded: int
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientError:
    """The client's error as a null test measured it: its stamps against the server's own log, in us."""

    streams: int
    events: int
    p50_us: float
    p99_us: float
    max_us: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that checks look at. `host_cpu_percent`: median of this host; None: it was not sampled."""

    plan: Plan
    figures: Figures
    workers: Sequence[Worker]
    accounts: Accounts
    damage: Sequence[str] = ()
    null_test: ClientError | None = None
    host_cpu_percent: float | None = None
    clock_step_ns: int | None = None

    @property
    def stamps(self) -> Stamps:
        """Whose limits hold."""
        stamps = self.figures.stamps
        readers = stamps.get(Stamps.READER.value, 0)
        return Stamps.READER if readers > READER_SHARE * sum(stamps.values()) else Stamps.KERNEL


class Grade(StrEnum):
    """What a check says. `unknown`: there was nothing to measure, which is no fault."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    INVALID = "invalid"


type Limits = tuple[float | None, float | None]
"""Above the first a value is a warning, above the second it makes the run invalid; None: never."""


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the table. `what` tells the value (at `{}`), `harm` what it spoils and what to do."""

    name: str
    what: str
    unit: str
    measure: Callable[[Evidence], float | None]
    kernel: Limits
    reader: Limits
    harm: str

    def finding(self, evidence: Evidence) -> "Finding":
        """What it says of a run."""
        value = self.measure(evidence)
        warning, invalid = self.kernel if evidence.stamps is Stamps.KERNEL else self.reader
        grade = grade_of(value, warning, invalid)
        limit = invalid if grade is Grade.INVALID or warning is None else warning
        return Finding(self, None if value is None else round(value, 4), limit, grade)


def grade_of(value: float | None, warning: float | None, invalid: float | None) -> Grade:
    """The grade of a value between its limits."""
    if value is None:
        return Grade.UNKNOWN
    if invalid is not None and value > invalid:
        return Grade.INVALID
    return Grade.WARNING if warning is not None and value > warning else Grade.OK


@dataclass(frozen=True, slots=True)
class Finding:
    """A check's value, the limit it was held against (None: none), and the grade."""

    check: Check
    value: float | None
    limit: float | None
    grade: Grade

    def line(self) -> str:
        """The finding in one line."""
        unit = self.check.unit
        held = f", limit {shown(self.limit, unit)}" if self.limit else ""
        value = "unknown" if self.value is None else shown(self.value, unit)
        return f"{self.check.what.format(value)}{held}: {self.check.harm}"


def shown(value: float, unit: str) -> str:
    """A value with its unit; shares as percent.

    >>> shown(0.034, "%"), shown(2.5, "ms"), shown(3.0, "")
    ('3.4 %', '2.5 ms', '3')
    """
    return f"{value * 100:.3g} %" if unit == "%" else f"{value:,.6g} {unit}".rstrip()


def is_empty(evidence: Evidence) -> float:
    """1 where no measured request ended."""
    return float(evidence.figures.requests == 0)


def unrecorded(evidence: Evidence) -> float:
    """Requests that were sent and are no results, or results that nobody sent; and what is named besides."""
    accounts = evidence.accounts
    return max(abs(accounts.sent - accounts.recorded), len(accounts.lost) + len(evidence.damage))


def missing_workers(evidence: Evidence) -> float:
    """Workers of the plan that never came, or never said how they ended."""
    return max(0, evidence.plan.workers - sum(worker.end is not None for worker in evidence.workers))


def unsent(evidence: Evidence) -> float:
    """Calls that were due and never sent."""
    return sum(worker.end.unsent for worker in evidence.workers if worker.end)


def retried(evidence: Evidence) -> float:
    """Requests that were sent again, since their kept connection broke before any answer."""
    return sum(worker.end.retried for worker in evidence.workers if worker.end)


def stopped(evidence: Evidence) -> float:
    """Workers that were stopped before their part was done."""
    return sum(worker.end.why == "stopped" for worker in evidence.workers if worker.end)


def queueing_ms(evidence: Evidence) -> float | None:
    """The 0.99 quantile of what requests waited in the client; None where the user asked for a bound."""
    loop, queue = evidence.plan.loop, evidence.figures.queue_ms
    return None if isinstance(loop, Closed) or loop.most_open is not None or queue is None else queue.p99


def loop_lag_ms(evidence: Evidence) -> float | None:
    """The 0.99 quantile of the loop's lateness, of the worst worker."""
    lags = [worker.lag.quantile(0.99) for worker in evidence.workers]
    return max((lag / 1000 for lag in lags if lag is not None), default=None)


def worker_cpu(evidence: Evidence) -> float | None:
    """The 0.9 quantile of the share of a core, of the busiest worker."""
    return max((worker.cpu_p90 for worker in evidence.workers if worker.cpu_p90 is not None), default=None)


def stamp_error_ms(evidence: Evidence) -> float | None:
    """The worst error of carrying stamps from one clock to another."""
    return evidence.figures.stamp_error_us / 1000 if evidence.figures.requests else None


def null_test_ms(evidence: Evidence) -> float | None:
    """The 0.99 quantile of the null test."""
    return evidence.null_test.p99_us / 1000 if evidence.null_test else None


def shared_reads(evidence: Evidence) -> float | None:
    """The share of events that were read together with a later one."""
    return share(evidence.figures.shared_reads, evidence.figures.events)


def late_reads(evidence: Evidence) -> float | None:
    """The same share, where the client itself was so late that it is the likely cause; else 0."""
    lag, shared = loop_lag_ms(evidence), shared_reads(evidence)
    return None if lag is None or shared is None else shared if lag > LATE_MS else 0.0


def clock_step_ms(evidence: Evidence) -> float | None:
    """The largest step of the wall clock within a second."""
    return None if evidence.clock_step_ns is None else evidence.clock_step_ns / NS_PER_MS


def host_cpu(evidence: Evidence) -> float | None:
    """The median share of this host's cores that was in use."""
    return None if evidence.host_cpu_percent is None else evidence.host_cpu_percent / 100


def without_usage(evidence: Evidence) -> float | None:
    """The share of successes whose tokens nobody counted."""
    figures = evidence.figures
    return share(figures.successes - figures.usage_known, figures.successes)


def misfit_tokens(evidence: Evidence) -> float | None:
    """The share of counted successes with more content events than tokens."""
    return share(evidence.figures.tokens_misfit, evidence.figures.usage_known)


def tokens_over(evidence: Evidence) -> float | None:
    """The share of counted successes with more tokens than were allowed."""
    return share(evidence.figures.tokens_over, evidence.figures.usage_known)


def share(part: int, whole: int) -> float | None:
    """part / whole; None of nothing."""
    return part / whole if whole else None


NEVER: Limits = (None, None)
ANY: Limits = (None, 0)
WARN_ANY: Limits = (0, None)

CHECKS = (
    Check("empty", "no measured request ended", "", is_empty, ANY, ANY,
          "let it run longer, or warm up less"),
    Check("dropped", "{} requests were sent and not recorded, or the reverse", "", unrecorded, ANY, ANY,
          "what is missing may be the slowest: see what was lost, and run again"),
    Check("workers", "{} workers never said how they ended", "", missing_workers, ANY, ANY,
          "the load was not what was asked for: see their logs, and run again"),
    Check("null_test", "the client's own error is {} (p99 of the null test)", "ms", null_test_ms,
          (0.5, 2), (0.5, 2), "smaller times mean nothing: use more workers, or a quieter machine"),
    Check("stamp_error", "arrivals may be off by {}", "ms", stamp_error_ms, (0.1, 1), (0.1, 1),
          "the clocks moved apart: keep the wall clock from being set while it runs"),
    Check("loop_lag", "a worker's loop was {} late (p99)", "ms", loop_lag_ms, (50, None), (2, 10),
          "stamps of a reader are as late, and so is sending: use more workers"),
    Check("late_reads", "{} of events were read together with later ones, by a client that was late", "%",
          late_reads, (0.05, 0.2), (0.05, 0.2), "they have a later one's time: use more workers"),
    Check("worker_cpu", "the busiest worker used {} of a core (p90)", "%", worker_cpu,
          (0.9, 0.98), (0.7, 0.9), "a full worker makes the server look slow: use more workers"),
    Check("queueing", "requests waited {} inside the client (p99)", "ms", queueing_ms, (10, 50), (10, 50),
          "the load came later than asked for: use more workers, or a lower rate"),
    Check("clock_step", "the wall clock was set by {}", "ms", clock_step_ms, (5, 50), (50, None),
          "stamps of the kernel are of that clock: keep it from being set while it runs"),
    Check("host_cpu", "this host's cores were {} in use (median)", "%", host_cpu, (0.9, None), (0.9, None),
          "a server on it shares them with the client: measure from another machine"),
    Check("unsent", "{} calls were due and never sent", "", unsent, WARN_ANY, WARN_ANY,
          "the run ended before its schedule did"),
    Check("stopped", "{} workers were stopped", "", stopped, WARN_ANY, WARN_ANY,
          "the run is shorter than was asked for"),
    Check("retried", "{} requests were sent again: their kept connection broke before an answer", "", retried,
          NEVER, NEVER, "many servers close connections unannounced, and one that fails looks the same: see "
          "with --no-keep-alive"),
    Check("shared_reads", "{} of events were read together with later ones", "%", shared_reads,
          (0.2, None), (0.2, None), "their times are upper bounds, and gaps before them look smaller"),
    Check("usage", "of {} of answers the server did not count the tokens", "%", without_usage,
          (0.01, None), (0.01, None), "token figures leave them out: have it send usage"),
    Check("token_count", "{} of answers have more content events than tokens", "%", misfit_tokens,
          (0.01, None), (0.01, None), "the server's count is wrong, and so are TPOT and tokens/s"),
    Check("token_limit", "{} of answers have more tokens than were allowed", "%", tokens_over,
          WARN_ANY, WARN_ANY, "the server does not keep the limit that the load rests on"),
)  # fmt: skip
"""All checks, the gravest first."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What all checks say of a run; `lost` are lines on what was dropped."""

    findings: tuple[Finding, ...]
    lost: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether the run's figures can be trusted."""
        return not self._of(Grade.INVALID)

    @property
    def verdict(self) -> str:
        """`valid` or `invalid`."""
        return "valid" if self.is_valid else "invalid"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is invalid, a line each."""
        return (*self._of(Grade.INVALID), *self.lost)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know of a run that is valid all the same, a line each."""
        return self._of(Grade.WARNING)

    def _of(self, grade: Grade) -> tuple[str, ...]:
        return tuple(finding.line() for finding in self.findings if finding.grade is grade)


def judged(evidence: Evidence, checks: Iterable[Check] = CHECKS) -> Judgement:
    """What the checks say of a run."""
    lost = (*evidence.accounts.lost, *evidence.damage)
    return Judgement(tuple(check.finding(evidence) for check in checks), lost)


def exit_code(judgement: Judgement, figures: Figures, slos: Iterable[SloRow] = ()) -> int:
    """3: the run cannot be trusted, whatever its figures say; 1: something is not as it should be; 0.

    That is an SLO that was not met, a broken rule of streams, or a failed request, unless an SLO says how
    many may fail.
    """
    rows = tuple(slos)
    if not judgement.is_valid:
        return 3
    tolerated = any(row.figure in FAILURE_RATES for row in rows)
    wrong = (figures.failures and not tolerated) or figures.violations
    return int(bool(wrong) or not all(row.met for row in rows))
