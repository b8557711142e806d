"""The document of a recording: how its models' tokens came, exchange by exchange.

The law of this file: pure, of exchanges and what is derived of them. Exchanges whose times are not known
count, and have no times. Figures are those of `harness stats`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.core.derive import Derived
from harness.core.exchange import Exchange
from harness.core.visible import visible
from harness.report.captures import CaptureTally
from harness.report.gpu import GpuRows
from harness.report.model import ModelReport, RecordingReport, Timelines
from harness.report.spread import About, distribution_of
from harness.report.times import ICL, rounded
from harness.report.waterfall import shown
from harness.store.capture import Capture

NO_MODEL = "(no model)"
MOST_ROWS = 20_000
MOST_MARKS = 500_000
"""What a page draws of timelines; figures are of all exchanges."""
TTFT = About("ttft_ms", "TTFT", "from the request's last byte to the first token")
NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class ModelTally:
    """What the exchanges of one model in one dialect amount to."""

    states: Counter[str] = field(default_factory=Counter)
    ttft_us: Counter[int] = field(default_factory=Counter)
    icl_us: Counter[int] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    timed_tokens: int = 0
    timed_ns: int = 0

    def add(self, exchange: Exchange, derived: Derived) -> None:
        """Take in an exchange."""
        self.states[exchange.state.value] += 1
        if derived.ttft_ns is not None:
            self.ttft_us[rounded(derived.ttft_ns)] += 1
        self.icl_us.update(map(rounded, derived.icl_ns))
        counts = {"in": derived.usage.input, "out": derived.usage.output}
        self.tokens.update({name: count for name, count in counts.items() if count is not None})
        if derived.usage.output is not None and exchange.response and exchange.timing_known:
            self.timed_tokens += derived.usage.output
            self.timed_ns += exchange.response.end_ns

    def report(self, model: str, dialect: str) -> ModelReport:
        """The document."""
        return ModelReport(
            model=model,
            dialect=dialect,
            exchanges=self.states.total(),
            states=dict(self.states.most_common()),
            tokens_in=self.tokens.get("in"),
            tokens_out=self.tokens.get("out"),
            tokens_per_s=round(self.timed_tokens * NS_PER_S / self.timed_ns, 3) if self.timed_ns else None,
            ttft=distribution_of(TTFT, self.ttft_us),
            icl=distribution_of(ICL, self.icl_us),
        )


@dataclass(frozen=True, slots=True)
class Line:
    """The timeline of one exchange."""

    key: tuple[str, str]
    exchange: Exchange
    tokens_out: int | None
    marks_us: tuple[int, ...]


@dataclass(slots=True)
class RecordingTally:
    """What all exchanges amount to. `captures`: those that have a GPU log, by id."""

    captures: Mapping[int, CaptureTally]
    models: dict[tuple[str, str], ModelTally] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    marks: int = 0
    untimed: int = 0
    states: Counter[str] = field(default_factory=Counter)
    upstreams: Counter[str] = field(default_factory=Counter)
    dates: list[str] = field(default_factory=list)

    def add(self, exchange: Exchange, derived: Derived) -> None:
        """Take in an exchange."""
        key = shown(derived.model or NO_MODEL), derived.dialect
        self.models.setdefault(key, ModelTally()).add(exchange, derived)
        if exchange.capture in self.captures:
            self.captures[exchange.capture].add(exchange, derived)
        self.untimed += not exchange.timing_known
        self.states[exchange.state.value] += 1
        self.upstreams[visible(exchange.upstream)] += 1
        self.dates += [visible(exchange.started_at)] if exchange.started_at else []
        self.marks += len(derived.content_ns)
        if exchange.timing_known and len(self.lines) < MOST_ROWS and self.marks <= MOST_MARKS:
            marks_us = tuple(map(rounded, derived.content_ns))
            self.lines.append(Line(key, exchange, derived.usage.output, marks_us))


def recording_report(
    file: str,
    captures: Sequence[Capture],
    exchanges: Iterable[tuple[Exchange, Derived]],
    gpus: Mapping[int, GpuRows],
) -> RecordingReport:
    """The document of the exchanges, which are read once, in their order. `gpus`: GPU logs by capture."""
    tally = RecordingTally({one.id: CaptureTally(one) for one in captures if one.id in gpus})
    for exchange, derived in exchanges:
        tally.add(exchange, derived)
    keys, count = sorted(tally.models), tally.states.total()
    return RecordingReport(
        file=visible(file),
        exchanges=count,
        untimed=tally.untimed,
        states=dict(tally.states.most_common()),
        first_at=min(tally.dates, default=None),
        last_at=max(tally.dates, default=None),
        hosts=tuple(dict.fromkeys(visible(capture.host) for capture in captures)),
        upstreams=tuple(name for name in tally.upstreams if name),
        models=tuple(tally.models[key].report(*key) for key in keys),
        timelines=timelines_of(tally.lines, keys, count - tally.untimed - len(tally.lines)),
        captures=tuple(one.report(gpus[number]) for number, one in tally.captures.items()),
    )


def timelines_of(lines: Sequence[Line], keys: Sequence[tuple[str, str]], left_out: int) -> Timelines:
    """The rows of the waterfall of tokens, models one after the other."""
    places = {key: place for place, key in enumerate(keys)}
    ordered = sorted(lines, key=lambda line: places[line.key])
    return Timelines(
        id=tuple(line.exchange.id for line in ordered),
        model=tuple(places[line.key] for line in ordered),
        started_at=tuple(visible(line.exchange.started_at) for line in ordered),
        state=tuple(line.exchange.state.value for line in ordered),
        path=tuple(shown(f"{line.exchange.request.method} {line.exchange.request.path}") for line in ordered),
        status=tuple(line.exchange.response.status if line.exchange.response else None for line in ordered),
        headers_us=tuple(
            rounded(line.exchange.response.headers_ns) if line.exchange.response else None for line in ordered
        ),
        end_us=tuple(rounded(end_of(line.exchange)) for line in ordered),
        tokens_out=tuple(line.tokens_out for line in ordered),
        marks_us=tuple(line.marks_us for line in ordered),
        left_out=left_out,
    )


def end_of(exchange: Exchange) -> int:
    """When an exchange ended, in ns from t0."""
    return exchange.response.end_ns if exchange.response else exchange.end_ns
