"""The documents of a report: what `harness report --json` prints, and what its page is drawn from.

The law of this file: data alone. Times of a run are on its own clock, from its start: seconds (`_s`)
where they place something on the axis, milliseconds (`_ms`) where people read them, whole microseconds
(`_us`) in columns that may be long. What cannot be known is None; a column of which nothing is known is
empty. Columns of one model are of equal length otherwise. Text of others is already visible
(`harness.core.visible`); it is not escaped, which is the renderer's work.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

type Column = tuple[int | None, ...]
type Values = tuple[float | None, ...]


class Document(BaseModel):
    """A model of ours: unknown members are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Spread(Document):
    """A distribution in ms: quantiles are nearest rank, so always a value that was measured."""

    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float


class Distribution(Document):
    """A latency: its figures, a histogram (bins of equal ratio), and the cumulative share up to a time.

    `counts[i]` lie from `edges_ms[i]` up to `edges_ms[i + 1]`, the last bin's upper edge included. What is
    below a microsecond counts as one. `curve_share[i]` of all values are at most `curve_ms[i]`.
    """

    name: str
    title: str
    what: str
    spread: Spread
    edges_ms: tuple[float, ...]
    counts: tuple[int, ...]
    curve_ms: tuple[float, ...]
    curve_share: tuple[float, ...]


class OverTime(Document):
    """A latency over the time of the run: quantiles of each span of time, and single values as dots.

    `at_s` is the middle of a span; its quantiles are None where nothing fell into it. Of `dots_of` values
    the dots are all, or the worst and an even choice of the others.
    """

    name: str
    title: str
    what: str
    at_s: tuple[float, ...]
    count: tuple[int, ...]
    p50_ms: Values
    p90_ms: Values
    p99_ms: Values
    dots_s: tuple[float, ...]
    dots_ms: tuple[float, ...]
    dots_of: int


class Series(Document):
    """One line of a lane."""

    name: str
    values: Values


class Lane(Document):
    """Lines that share a unit, over the time of the run (`at_s`)."""

    title: str
    unit: str
    at_s: tuple[float, ...]
    series: tuple[Series, ...]


class Mark(Document):
    """Something that happened at a time; `at_s` None: before the run, or at no time that is known."""

    at_s: float | None
    text: str


class Card(Document):
    """A GPU over the measured window; power in W, energy in J, give or take `energy_error_j` (None: unknown).

    `throttled_s`: seconds by reason. `lost_s`: when the card was lost. `unsupported`: counters that
    it does not give. `notes`: what to know of its figures.
    """

    title: str
    host: str
    driver: str | None
    samples: int
    busy_mean_percent: float | None
    sm_mean_percent: float | None
    memory_max_gib: float | None
    power_mean_w: float | None
    power_max_w: float | None
    energy_j: float | None
    energy_error_j: float | None
    throttled_s: dict[str, float]
    lost_s: float | None
    unsupported: tuple[str, ...]
    notes: tuple[str, ...]


class Gpu(Document):
    """The cards of a run. `tokens_per_joule`: output tokens over the energy of all cards, if all is known."""

    cards: tuple[Card, ...]
    energy_j: float | None
    tokens_per_joule: float | None
    events: tuple[Mark, ...]


class Waterfall(Document):
    """Every request of a run in the order of sending, a column a fact.

    `sent_us` is on the run's clock, all other times count from it: `due_us` (negative: it was due before;
    of open loops), `connect_us` (a duration that ends at sending), `first_byte_us`, `first_token_us`,
    `last_token_us`, `end_us`. `outcome`, `error` and `model` are places in `outcomes`, `errors` and
    `models`; `warmup` is 1 for requests before the measured part.
    """

    outcomes: tuple[str, ...]
    failed: tuple[bool, ...]
    errors: tuple[str, ...]
    models: tuple[str, ...]
    number: Column
    worker: Column
    warmup: Column
    outcome: Column
    error: Column
    model: Column
    sent_us: Column
    due_us: Column
    connect_us: Column
    first_byte_us: Column
    first_token_us: Column
    last_token_us: Column
    end_us: Column
    tokens_out: Column


class Failure(Document):
    """Failures of one kind: how many, their share of all measured requests, when the first and last ended."""

    outcome: str
    error: str | None
    count: int
    share: float
    first_s: float
    last_s: float
    numbers: tuple[int, ...]


class Check(Document):
    """A check of the measurement itself, as the run was judged by (`docs/load-figures.md`)."""

    name: str
    grade: str
    line: str
    value: float | None
    unit: str
    limit: float | None


class Verdict(Document):
    """What the run's own judgement was: `valid`, `invalid`, or `unjudged` (still running, or killed)."""

    verdict: Literal["valid", "invalid", "unjudged"]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    checks: tuple[Check, ...]


class Slo(Document):
    """What was asked for, and what came (None: no data: not met)."""

    asked: str
    got: float | None
    unit: str
    met: bool


class Step(Document):
    """A run of a sweep in one row; latencies in ms, throughput in tokens (or requests) a second.

    `energy_j`: of all cards in its measured window.
    """

    run_id: int
    load: str
    level: float | None
    verdict: str
    requests: int
    failures: int
    requests_per_s: float | None
    tokens_per_s: float | None
    ttft_p50_ms: float | None
    ttft_p99_ms: float | None
    icl_p50_ms: float | None
    icl_p99_ms: float | None
    e2e_p50_ms: float | None
    e2e_p99_ms: float | None
    energy_j: float | None
    tokens_per_joule: float | None


class About(Document):
    """Which run this is. `load`: the load in words."""

    file: str
    run_id: int
    name: str | None
    sweep: str | None
    target: str
    load: str
    started_at: str
    ended_at: str | None
    host: str
    workers: int
    models: tuple[str, ...]
    versions: dict[str, str]
    plan: dict[str, Any]


class RunReport(Document):
    """A load run. `figures` are the stored ones (`harness.load.figures`); None: it did not end."""

    kind: Literal["run"] = "run"
    about: About
    verdict: Verdict
    slos: tuple[Slo, ...]
    figures: dict[str, Any] | None
    null_test: dict[str, Any] | None
    requests: int
    window_s: tuple[float, float] | None
    latencies: tuple[Distribution, ...]
    over_time: tuple[OverTime, ...]
    failures: tuple[Failure, ...]
    sweep: tuple[Step, ...]
    lanes: tuple[Lane, ...]
    gpu: Gpu | None
    waterfall: Waterfall


class Difference(Document):
    """A figure of two runs. `change` = (b - a) / a; `better`: whether that is good; None: no telling."""

    title: str
    unit: str
    a: float | None
    b: float | None
    change: float | None
    better: bool | None


class Setting(Document):
    """A setting in which two runs differ, as JSON."""

    name: str
    a: str
    b: str


class Comparison(Document):
    """Two runs, what differs in their settings and in their figures. `caution`: why not to trust it."""

    kind: Literal["comparison"] = "comparison"
    a: RunReport
    b: RunReport
    caution: tuple[str, ...]
    settings: tuple[Setting, ...]
    differences: tuple[Difference, ...]


class ModelReport(Document):
    """The exchanges of one model in one dialect; figures as in `harness stats`."""

    model: str
    dialect: str
    exchanges: int
    states: dict[str, int]
    tokens_in: int | None
    tokens_out: int | None
    tokens_per_s: float | None
    ttft: Distribution | None
    icl: Distribution | None


class Timelines(Document):
    """A row an exchange: when its tokens came. Times count from the request's last byte (t0).

    `marks_us` are the arrivals of events with generated content. `model` is a place in the models of the
    report. `left_out` exchanges have no row, since there are too many marks.
    """

    id: Column
    model: Column
    started_at: tuple[str, ...]
    state: tuple[str, ...]
    path: tuple[str, ...]
    status: Column
    headers_us: Column
    end_us: Column
    tokens_out: Column
    marks_us: tuple[tuple[int, ...], ...]
    left_out: int


class CaptureReport(Document):
    """A capture with a GPU log, on its own axis: seconds from its start.

    The figures of `gpu` are from the first request to the last byte.
    """

    id: int
    started_at: str
    host: str
    exchanges: int
    lanes: tuple[Lane, ...]
    gpu: Gpu


class RecordingReport(Document):
    """A recording: how its models' tokens came. `untimed` exchanges have no times that are known.

    `captures` are those that have a GPU log.
    """

    kind: Literal["recording"] = "recording"
    file: str
    exchanges: int
    untimed: int
    states: dict[str, int]
    first_at: str | None
    last_at: str | None
    hosts: tuple[str, ...]
    upstreams: tuple[str, ...]
    models: tuple[ModelReport, ...]
    timelines: Timelines
    captures: tuple[CaptureReport, ...]


class Conformance(Document):
    """A behaviour of a gateway: `pass`, `fail` or `not tested`, and what was seen; the direct path beside it.

    `sources`: whose exchanges showed it, of the recording or built-in ones.
    """

    behaviour: str
    verdict: str
    evidence: str
    direct: str | None
    direct_evidence: str | None
    sources: tuple[str, ...]


class Added(Document):
    """What a gateway adds at a quantile (`gateway_ms` - `direct_ms`), of each event or of TTFT (`kind`).

    It lies between `low_ms` and `high_ms` with 95 %; None: too few values were seen to tell.
    """

    kind: str
    quantile: str
    direct_ms: float
    gateway_ms: float
    added_ms: float
    low_ms: float | None
    high_ms: float | None


class ProbePath(Document):
    """One path at a concurrency. `merged` of `events_read` were read together with the one before."""

    streams: int
    failed: int
    events_read: int
    merged: int
    ttft: Distribution | None
    events: Distribution | None


class ProbeLevel(Document):
    """So many streams at once, directly and through the gateway."""

    concurrency: int
    direct: ProbePath | None
    gateway: ProbePath
    added: tuple[Added, ...]


class Changed(Document):
    """A place that is other behind the gateway than before it, and how often."""

    what: str
    place: str
    kind: str
    count: int


class ProbeReport(Document):
    """A gateway, as `harness probe` saw it (`harness.probe.document`).

    `verdicts`: how many behaviours have each. `events`: what became of those of whole streams. `missed`:
    requests that the provider could not answer. `marked`: the gateway passes on the header by which equal
    requests are told apart.
    """

    kind: Literal["probe"] = "probe"
    file: str
    version: str
    outcome: str
    reason: str
    gateway: str
    recording: str
    started_at: str
    max_added_ms: float | None
    verdicts: dict[str, int]
    conformance: tuple[Conformance, ...]
    levels: tuple[ProbeLevel, ...]
    events: dict[str, int]
    changes: tuple[Changed, ...]
    requests: int
    missed: int
    marked: bool


type Report = RunReport | Comparison | RecordingReport | ProbeReport
