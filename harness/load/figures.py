"""Figures of a run: what users felt, each with its formula.

The law of this file: pure; every figure comes from stamps in ns and from the provider's own token
counts, none is guessed: what cannot be known is None, and how many requests a figure rests on stands
beside it. Only the measured part counts. Latencies are those of successes; failures are counted,
by kind, and never hidden in them. Names are those that users of other tools know; the words are those
of "What the times mean" in the design, and `docs/load-figures.md` is this file for people.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Self

from harness.core.histogram import FINE_BITS, Histogram
from harness.core.metrics import quantile
from harness.load.plan import Frozen
from harness.load.records import Outcome, Phase, Record, Result

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
US_PER_MS = 1_000
KINDS_KEPT = 100
"""Different errors that are counted each by itself; what comes after them counts as OTHERS."""
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Times:
    """The times of one request in ns; None is what it cannot tell.

    - `ttft` = first content event - sending. - `ttst` = second content event - first.
    - `icl` = (last content event - first) / (content events - 1): the mean gap of this request.
    - `tpot` = (`e2e` - `ttft`) / (output tokens - 1), of two tokens and more.
    - `e2e` = end - sending. - `e2e_scheduled` = end - due time, so with all that the client let wait.
    - `schedule_delay` = sending - due time. - `queue` = `schedule_delay` - connecting: what the request
    waited inside the client. The last three are None in a closed loop, which has no due times.
    """

    ttft: int | None
    ttst: int | None
    icl: int | None
    tpot: int | None
    e2e: int
    e2e_scheduled: int | None
    schedule_delay: int | None
    queue: int | None


def times_of(result: Result) -> Times:
    """The times of a request, whatever its outcome."""
    first, sent, due = result.first_token_ns, result.sent_ns, result.scheduled_ns
    delay = gap(due, sent)
    return Times(
        ttft=gap(sent, first),
        ttst=gap(first, result.second_token_ns),
        icl=shared(gap(first, result.last_token_ns), result.content_events - 1),
        tpot=shared(gap(first, result.end_ns), (result.tokens_out or 0) - 1),
        e2e=result.end_ns - sent,
        e2e_scheduled=gap(due, result.end_ns),
        schedule_delay=delay,
        queue=None if delay is None else delay - result.connect_ns,
    )


def gap(start_ns: int | None, end_ns: int | None) -> int | None:
    """The time between two stamps; None where one is unknown."""
    return None if start_ns is None or end_ns is None else end_ns - start_ns


def shared(time_ns: int | None, among: int) -> int | None:
    """A time divided by a count of at least one; None where that cannot be."""
    return None if time_ns is None or among < 1 else round(time_ns / among)


class Spread(Frozen):
    """A distribution in ms: quantiles are nearest rank, so always a value that was measured."""

    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of_ns(cls, values_ns: Iterable[int]) -> Self | None:
        """Of times in ns; None of none."""
        ordered = sorted(values_ns)
        if not ordered:
            return None
        quantiles = {name: milliseconds(quantile(ordered, q)) for name, q in QUANTILES.items()}
        mean = milliseconds(sum(ordered) / len(ordered))
        return cls(count=len(ordered), mean=mean, max=milliseconds(ordered[-1]), **quantiles)

    @classmethod
    def of_us(cls, histogram: Histogram, sum_ns: int) -> Self | None:
        """Of a histogram in us and the exact sum of its values; quantiles are at most a bucket too high."""
        if not histogram.count:
            return None
        values = {name: histogram.quantile(q) for name, q in (QUANTILES | {"max": 1.0}).items()}
        mean = milliseconds(sum_ns / histogram.count)
        return cls(count=histogram.count, mean=mean, **{n: (v or 0) / US_PER_MS for n, v in values.items()})


QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def milliseconds(ns: float) -> float:
    """Nanoseconds as milliseconds, to the microsecond."""
    return round(ns / NS_PER_MS, 3)


class Figures(Frozen):
    """All figures of a run's measured part. Times in ms, rates a second; None: it cannot be known.

    The window runs from the first measured request's due time (open loop) or sending (closed loop) to
    the last measured request's end, failures included.

    - `requests` = `successes` + `failures`; `outcomes` and `errors` count them by kind.
    - `success_rate` = successes / requests; `error_rate` = failures / requests.
    - `ttft_ms` ... `queue_ms`: `Times`, over successes; `schedule_delay_ms` and `queue_ms` over all.
    - `icl_ms`: every gap between two content events, near-zero ones included. `itl_ms`: the same gaps
      where each is a token's, which is where the provider counted as many output tokens as there were
      content events: `itl_requests` of `streams` (successes that streamed content). None where none is.
    - `connect_ms`: of the `connects` requests that had to connect.
    - `request_throughput` = successes / window. `output_token_throughput` = output tokens of successes /
      window; `total_token_throughput` = (input + output) / window; both over the `usage_known` successes
      whose tokens the provider counted. `content_event_throughput` = content events of successes / window.
    - `request_goodput` = good requests / window; `slo_attainment` = good requests / all requests, failures
      included; None unless limits were asked for.
    - `concurrency_mean` = sum of all requests' E2E from sending / window (Little's law);
      `concurrency_max`: the most that were under way at once.
    - `shared_reads` of `events`, `stamps`: successes by who stamped, `stamp_error_us`: the worst of all.
    - `tokens_misfit`: successes with more content events than output tokens. `tokens_over`: those with more
      output tokens than the request allowed.
    - `violations`: broken stream rules and in how many requests; None where nobody checked.
    - `gpu`: what cards did in the window (`harness.load.gpu.summary`); None without a GPU log.
    """

    window_s: float
    requests: int
    successes: int
    failures: int
    success_rate: float | None
    error_rate: float | None
    outcomes: dict[str, int]
    errors: dict[str, int]
    warmup_requests: int
    warmup_failures: int
    ttft_ms: Spread | None
    ttst_ms: Spread | None
    icl_ms: Spread | None
    itl_ms: Spread | None
    tpot_ms: Spread | None
    e2el_ms: Spread | None
    e2el_scheduled_ms: Spread | None
    schedule_delay_ms: Spread | None
    queue_ms: Spread | None
    connect_ms: Spread | None
    streams: int
    itl_requests: int
    connects: int
    request_throughput: float | None
    output_token_throughput: float | None
    total_token_throughput: float | None
    content_event_throughput: float | None
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    usage_known: int
    good_requests: int | None
    request_goodput: float | None
    slo_attainment: float | None
    concurrency_mean: float | None
    concurrency_max: int
    events: int
    content_events: int
    shared_reads: int
    stamps: dict[str, int]
    stamp_error_us: float
    tokens_misfit: int
    tokens_over: int
    violations: dict[str, int] | None
    response_bytes: int
    gpu: dict[str, Any] | None = None

    @property
    def tokens_known(self) -> int | None:
        """Output tokens of all successes; None where a provider did not count those of one."""
        return self.tokens_out if self.usage_known == self.successes else None


type IsGood = Callable[[Result, Times], bool]
"""Whether a success is good enough for the user (`harness.load.slo.Goodput`)."""


def longs() -> "array[int]":
    """An empty array of 64-bit integers."""
    return array("q")


@dataclass(slots=True)
class Latencies:
    """Times of successes, 8 bytes each; gaps as histograms in us."""

    ttft: "array[int]" = field(default_factory=longs)
    ttst: "array[int]" = field(default_factory=longs)
    tpot: "array[int]" = field(default_factory=longs)
    e2e: "array[int]" = field(default_factory=longs)
    e2e_scheduled: "array[int]" = field(default_factory=longs)
    icl: Histogram = field(default_factory=lambda: Histogram(bits=FINE_BITS))
    itl: Histogram = field(default_factory=lambda: Histogram(bits=FINE_BITS))
    icl_ns: int = 0
    itl_ns: int = 0

    def add(self, result: Result, times: Times) -> None:
        """Take in a success."""
        for name in ("ttft", "ttst", "tpot", "e2e", "e2e_scheduled"):
            value = getattr(times, name)
            if value is not None:
                getattr(self, name).append(value)
        between = gap(result.first_token_ns, result.last_token_ns) or 0
        self.icl.add_pairs(result.icl, FINE_BITS)
        self.icl_ns += between
        if counts_tokens(result):
            self.itl.add_pairs(result.icl, FINE_BITS)
            self.itl_ns += between


def counts_tokens(result: Result) -> bool:
    """Whether each content event is known to be one token."""
    return result.content_events > 0 and result.tokens_out == result.content_events


class Tally:
    """Takes in results while they come; `figures` says what they amount to so far.

    `most_tokens`: call -> the most output tokens it allows (None: it does not say), if that is to be
    checked. `is_good`: what counts towards goodput. It keeps about 80 bytes a request.
    """

    def __init__(self, is_good: IsGood | None = None, most_tokens: Sequence[int | None] = ()) -> None:
        self._is_good, self._most_tokens = is_good, most_tokens
        self._latencies = Latencies()
        self._starts, self._ends, self._due = longs(), longs(), longs()
        self._delays, self._queues, self._connects = longs(), longs(), longs()
        self._outcomes: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._stamps: Counter[str] = Counter()
        self._violations: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._stamp_error_ns = 0
        self._good = 0
        self._validated = False

    def take(self, record: Record) -> None:
        """Take in a record whose stamps are all on one clock; others than results say nothing here."""
        if not isinstance(record, Result):
            return
        if record.phase is Phase.WARMUP:
            self._sums.update(warmup=1, warmup_failures=int(record.outcome.is_failure))
            return
        self._add(record, times_of(record))

    def _add(self, result: Result, times: Times) -> None:
        self._starts.append(result.sent_ns)
        self._ends.append(result.end_ns)
        self._outcomes[result.outcome.value] += 1
        self._stamp_error_ns = max(self._stamp_error_ns, result.stamp_error_ns)
        self._sums.update(
            events=result.events, shared_reads=result.shared_reads, response_bytes=result.response_bytes
        )
        self._add_delays(result, times)
        if result.violations is not None:
            self._validated = True
            self._violations.update(set(result.violations))
        if result.outcome.is_failure:
            count_kind(self._errors, kind_of(result))
        else:
            self._add_success(result, times)

    def _add_delays(self, result: Result, times: Times) -> None:
        if result.scheduled_ns is not None and times.schedule_delay is not None and times.queue is not None:
            self._due.append(result.scheduled_ns)
            self._delays.append(times.schedule_delay)
            self._queues.append(times.queue)
        if result.connect_ns:
            self._connects.append(result.connect_ns)

    def _add_success(self, result: Result, times: Times) -> None:
        self._latencies.add(result, times)
        self._stamps[result.stamps.value] += 1
        out = result.tokens_out
        self._sums.update(
            content_events=result.content_events,
            streams=int(result.content_events > 0),
            itl_requests=int(counts_tokens(result)),
            tokens_in=result.tokens_in or 0,
            tokens_out=out or 0,
            tokens_cached=result.tokens_cached or 0,
            usage_known=int(out is not None),
            tokens_misfit=int(out is not None and result.content_events > out),
            tokens_over=int(self._is_over(result)),
        )
        if self._is_good and self._is_good(result, times):
            self._good += 1

    def _is_over(self, result: Result) -> bool:
        if not self._most_tokens or result.tokens_out is None:
            return False
        most = self._most_tokens[result.call % len(self._most_tokens)]
        return most is not None and result.tokens_out > most

    def figures(self) -> Figures:
        """All figures so far."""
        latencies, sums = self._latencies, self._sums
        start_ns, end_ns = self.window()
        window_ns = end_ns - start_ns
        window_s = window_ns / NS_PER_S
        requests = self._outcomes.total()
        successes = sum(self._outcomes[kind.value] for kind in Outcome if not kind.is_failure)
        known = sums["usage_known"]
        good = self._good if self._is_good else None
        return Figures(
            window_s=round(window_s, 6),
            requests=requests,
            successes=successes,
            failures=requests - successes,
            success_rate=rate(successes, requests),
            error_rate=rate(requests - successes, requests),
            outcomes=dict(self._outcomes.most_common()),
            errors=dict(self._errors.most_common()),
            warmup_requests=sums["warmup"],
            warmup_failures=sums["warmup_failures"],
            ttft_ms=Spread.of_ns(latencies.ttft),
            ttst_ms=Spread.of_ns(latencies.ttst),
            icl_ms=Spread.of_us(latencies.icl, latencies.icl_ns),
            itl_ms=Spread.of_us(latencies.itl, latencies.itl_ns),
            tpot_ms=Spread.of_ns(latencies.tpot),
            e2el_ms=Spread.of_ns(latencies.e2e),
            e2el_scheduled_ms=Spread.of_ns(latencies.e2e_scheduled),
            schedule_delay_ms=Spread.of_ns(self._delays),
            queue_ms=Spread.of_ns(self._queues),
            connect_ms=Spread.of_ns(self._connects),
            streams=sums["streams"],
            itl_requests=sums["itl_requests"],
            connects=len(self._connects),
            request_throughput=rate(successes, window_s),
            output_token_throughput=rate(sums["tokens_out"], window_s) if known else None,
            total_token_throughput=rate(sums["tokens_in"] + sums["tokens_out"], window_s) if known else None,
            content_event_throughput=rate(sums["content_events"], window_s),
            tokens_in=sums["tokens_in"],
            tokens_out=sums["tokens_out"],
            tokens_cached=sums["tokens_cached"],
            usage_known=known,
            good_requests=good,
            request_goodput=None if good is None else rate(good, window_s),
            slo_attainment=None if good is None else rate(good, requests),
            concurrency_mean=rate(sum(self._ends) - sum(self._starts), window_ns),
            concurrency_max=most_at_once(self._starts, self._ends),
            events=sums["events"],
            content_events=sums["content_events"],
            shared_reads=sums["shared_reads"],
            stamps=dict(self._stamps),
            stamp_error_us=self._stamp_error_ns / 1000,
            tokens_misfit=sums["tokens_misfit"],
            tokens_over=sums["tokens_over"],
            violations=dict(self._violations.most_common()) if self._validated else None,
            response_bytes=sums["response_bytes"],
        )

    def window(self) -> tuple[int, int]:
        """Start and end of the window (`Figures`), on the records' clock."""
        start = min(self._due or self._starts, default=0)
        return start, max(self._ends, default=start)


def rate(amount: float, base: float) -> float | None:
    """amount / base; None where there is no base."""
    return amount / base if base > 0 else None


def kind_of(result: Result) -> str:
    """A failure's kind: its outcome, and the few words of its error.

    `http: 429`, `truncated: connection reset`, `timeout`.
    """
    return f"{result.outcome.value}: {result.error}" if result.error else result.outcome.value


def count_kind(counts: Counter[str], kind: str) -> None:
    """Count one of a kind; of too many kinds the new ones are counted together."""
    counts[kind if kind in counts or len(counts) < KINDS_KEPT else OTHERS] += 1


def most_at_once(starts: Iterable[int], ends: Iterable[int]) -> int:
    """The most intervals [start, end) that hold one moment in common.

    >>> most_at_once([0, 5, 10], [10, 12, 20])
    2
    """
    steps = sorted(chain(((end, -1) for end in ends), ((start, 1) for start in starts)))
    most = under_way = 0
    for _, step in steps:
        under_way += step
        most = max(most, under_way)
    return most
