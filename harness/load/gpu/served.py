"""What `harness gpu --serve` says over HTTP, and reading that again on another host.

The law of this file: both ends of one format, Prometheus text. Every answer carries the server's clocks
as they stand at that moment (`harness_gpu_clock_monotonic_ns`, `..._wall_ns`) and, for each counter of a
card, when it was read (`harness_gpu_sampled_monotonic_ns`), so that a reader who notes when it asked and
when it had the answer can carry the samples to its own clock, and knows how far off that may be at most.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan, nan
from typing import Any

from harness.load.gpu.board import Board, State
from harness.load.gpu.counters import COUNTERS, REASONS
from harness.load.gpu.readings import Families, Reading, Span
from harness.load.gpu.records import Card, Process, Sample

PREFIX = "harness_gpu_"
CLOCK = f"{PREFIX}clock_monotonic_ns"
WALL = f"{PREFIX}clock_wall_ns"
SAMPLED = f"{PREFIX}sampled_monotonic_ns"
SAMPLE_ERROR = f"{PREFIX}sample_error_ns"
INFO = f"{PREFIX}card"
MEMORY_TOTAL = f"{PREFIX}memory_total_bytes"
POWER_LIMIT = f"{PREFIX}power_limit_mw"
PROCESS = f"{PREFIX}process_memory_bytes"
THROTTLED = f"{PREFIX}throttled"
UNSUPPORTED = f"{PREFIX}unsupported"
XID = f"{PREFIX}xid"
LOST = f"{PREFIX}lost_monotonic_ns"

NAMES: Mapping[str, str] = {
    f"{PREFIX}{counter.name}{'_total' if counter.grows else ''}": counter.name for counter in COUNTERS
}
"""Name of a sample in the text -> counter. Prometheus ends the names of what only grows with `_total`."""


def serve(board: Board, host: str, port: int) -> tuple[str, Any]:
    """Serve a board until the server is shut down; its URL and the server. Raises OSError."""
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415  only when needed

    registry = CollectorRegistry(auto_describe=False)
    registry.register(BoardCollector(board))
    server, _thread = start_http_server(port, addr=host, registry=registry)
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{server.server_port}", server


class BoardCollector:
    """What prometheus_client asks for the families at every request."""

    def __init__(self, board: Board) -> None:
        self.board = board

    def describe(self) -> Iterable[Any]:
        """Nothing: names do not clash in a registry of our own."""
        return ()

    def collect(self) -> Iterator[Any]:
        """The families of metrics: the clocks first, as they are now."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

        yield GaugeMetricFamily(CLOCK, "monotonic clock of this host now", value=time.monotonic_ns())
        yield GaugeMetricFamily(WALL, "wall clock of this host now", value=time.time_ns())
        states = self.board.states()
        for counter in COUNTERS:
            help_text = f"{counter.says} ({counter.unit})"
            values = [((s.card.gpu,), s.values.get(counter.name)) for s in states]
            yield family(f"{PREFIX}{counter.name}", help_text, ("uuid",), values, grows=counter.grows)
        yield from facts(states)
        yield from happenings(states)


def family(
    name: str,
    says: str,
    labels: Sequence[str],
    values: Iterable[tuple[Sequence[str], float | None]],
    *,
    grows: bool = False,
) -> Any:
    """A family of metrics; values that are None are left out."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415

    made: Any = (CounterMetricFamily if grows else GaugeMetricFamily)(name, says, labels=labels)
    for named, value in values:
        if value is not None:
            made.add_metric(list(named), value)
    return made


def facts(states: Sequence[State]) -> Iterator[Any]:
    """What a card is, and when it was sampled."""
    from prometheus_client.core import InfoMetricFamily  # noqa: PLC0415

    info = InfoMetricFamily(INFO, "the cards and MIG instances", labels=("uuid",))
    for state in states:
        card = state.card
        named = {"index": str(card.index), "name": card.name, "host": card.host, "mig": str(int(card.mig))}
        known = {"parent": card.parent, "driver": card.driver}
        info.add_metric([card.gpu], named | {name: text for name, text in known.items() if text})
    yield info
    totals = [((state.card.gpu,), state.card.memory_total_bytes) for state in states]
    yield family(MEMORY_TOTAL, "memory (bytes)", ("uuid",), totals)
    limits = [((state.card.gpu,), state.card.power_limit_mw) for state in states]
    yield family(POWER_LIMIT, "power limit (mW)", ("uuid",), limits)
    stamps = [((s.card.gpu, name), *stamp) for s in states for name, stamp in s.stamps.items()]
    sampled = [(named, at_ns) for named, at_ns, _ in stamps]
    yield family(SAMPLED, "monotonic clock of this host when it was read", ("uuid", "counter"), sampled)
    errors = [(named, error_ns) for named, _, error_ns in stamps]
    yield family(SAMPLE_ERROR, "how far off that may be (ns)", ("uuid", "counter"), errors)


def happenings(states: Sequence[State]) -> Iterator[Any]:
    """Throttling, processes, and what went wrong."""
    reasons = [
        ((state.card.gpu, word), int(bool(int(bits) & bit)))
        for state in states
        if (bits := state.values.get("throttle_reasons")) is not None
        for bit, word in REASONS.items()
    ]
    yield family(THROTTLED, "whether this holds the clocks down", ("uuid", "reason"), reasons)
    processes = [
        ((state.card.gpu, str(process.pid)), nan if process.memory_bytes is None else process.memory_bytes)
        for state in states
        for process in state.processes or ()
    ]
    yield family(PROCESS, "memory of a process (bytes; NaN: not known)", ("uuid", "pid"), processes)
    lacks = [((s.card.gpu, name, why), 1) for s in states for name, why in s.unsupported.items()]
    yield family(UNSUPPORTED, "counters that are not to be had", ("uuid", "counter", "reason"), lacks)
    xids = [((s.card.gpu, str(code)), count) for s in states for code, count in s.xids.items()]
    yield family(XID, "errors that the driver reported", ("uuid", "code"), xids, grows=True)
    lost = [((state.card.gpu,), state.lost_ns) for state in states]
    yield family(LOST, "monotonic clock of this host when the card was lost", ("uuid",), lost)


def readings(families: Families, span: Span) -> Iterator[Reading]:
    """The cards in an answer that was asked for and had in `span`, on the clock of the span.

    Raises ValueError, KeyError, OverflowError: it is damaged.
    """
    metrics = [metric for found in families for metric in found.samples]
    [clock_ns] = [metric.value for metric in metrics if metric.name == CLOCK]
    offset_ns = span.middle_ns - round(clock_ns)
    cards = [card_of(metric.labels) for metric in metrics if metric.name == f"{INFO}_info"]
    for card in cards:
        own = [metric for metric in metrics if metric.labels.get("uuid") == card.gpu]
        yield reading_of(card, own, offset_ns, span)


def card_of(labels: Mapping[str, str]) -> Card:
    """A card without its figures."""
    return Card(
        gpu=labels["uuid"],
        host=labels.get("host", ""),
        index=int(labels.get("index", "0")),
        name=labels.get("name", ""),
        parent=labels.get("parent"),
        mig=labels.get("mig") == "1",
        driver=labels.get("driver"),
    )


def reading_of(card: Card, metrics: Sequence[Any], offset_ns: int, span: Span) -> Reading:
    """A card's part of an answer. Numbers of the text are floats; what is whole becomes whole again."""
    plain = {metric.name: whole(metric.value) for metric in metrics}
    known = {"memory_total_bytes": plain.get(MEMORY_TOTAL), "power_limit_mw": plain.get(POWER_LIMIT)}
    lost = plain.get(LOST)
    return Reading(
        card=card.model_copy(update=known),
        samples=tuple(samples_of(card.gpu, metrics, offset_ns, span)),
        span=span,
        unsupported={m.labels["counter"]: m.labels["reason"] for m in metrics if m.name == UNSUPPORTED},
        xids={int(m.labels["code"]): int(m.value) for m in metrics if m.name == f"{XID}_total"},
        lost_ns=None if lost is None else round(lost) + offset_ns,
    )


def samples_of(
    gpu: str, metrics: Sequence[Any], offset_ns: int, span: Span
) -> Iterator[tuple[object, Sample]]:
    """What was read of a card at one time is one sample, as it was there; its stamp is that host's."""
    values: dict[str, Any] = {NAMES[m.name]: whole(m.value) for m in metrics if m.name in NAMES}
    errors = {m.labels["counter"]: round(m.value) for m in metrics if m.name == SAMPLE_ERROR}
    stamps = {m.labels["counter"]: round(m.value) for m in metrics if m.name == SAMPLED}
    for stamp in sorted(set(stamps.values())):
        together = [name for name, other in stamps.items() if other == stamp]
        known = [errors[name] for name in together if name in errors]
        yield (
            stamp,
            Sample(
                gpu=gpu,
                at_ns=stamp + offset_ns,
                error_ns=max(known) + span.half_ns if known else None,
                values={name: values[name] for name in together if name in values},
                processes=processes_of(metrics) if "processes" in together else None,
            ),
        )


def processes_of(metrics: Sequence[Any]) -> tuple[Process, ...]:
    """The processes of a card."""
    found = ((int(m.labels["pid"]), m.value) for m in metrics if m.name == PROCESS)
    return tuple(Process(pid=pid, memory_bytes=None if isnan(used) else int(used)) for pid, used in found)


def whole(value: float) -> int | float:
    """A number as it was before it became text.

    >>> whole(3.0), whole(0.5)
    (3, 0.5)
    """
    return int(value) if value.is_integer() else value
