"""Reading another host's cards over HTTP: from `harness gpu --serve` there, or from dcgm-exporter.

The law of this file: every answer is bracketed by our own clock, so that its error is known whatever the
network and the other host's clock do. One sample is told once, however often it is served. A host that
does not answer is asked again, and that is told once each time it goes away.
"""

import http.client
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from threading import Event as Flag
from urllib.parse import urlsplit

from harness.core.errors import BadInput
from harness.load.gpu import dcgm, served
from harness.load.gpu.absent import Absent
from harness.load.gpu.devices import chosen
from harness.load.gpu.readings import Families, Reading, Span
from harness.load.gpu.records import Card, Emit, Ended, Event, Sample, What, clock_record
from harness.load.gpu.ticks import Ticks

TIMEOUT_S = 5.0
MOST_BYTES = 32 * 1024 * 1024
CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
OK = 200

FORMATS: tuple[tuple[str, Callable[[Families, Span], Iterator[Reading]]], ...] = (
    (served.CLOCK, served.readings),
    (dcgm.PREFIX, dcgm.readings),
)
"""What a text must hold, and who reads it."""


class Unreachable(Exception):
    """The other host gave no answer that can be read."""


@dataclass(slots=True)
class Known:
    """What was told of a card already."""

    stamps: frozenset[object] = frozenset()
    asked_ns: int | None = None
    unsupported: set[str] = field(default_factory=set)
    xids: dict[int, int] | None = None
    lost: bool = False


class UrlReader:
    """Reads a URL `rate_hz` times a second (its path is /metrics where it has none).

    Raises Absent where the first answer is none of the known formats, tells of no card, or none comes;
    BadInput for what is no URL, and for cards that are not there.
    """

    def __init__(self, url: str, rate_hz: float, gpus: Sequence[str] = ()) -> None:
        self.url, self.rate_hz = checked(url), rate_hz
        try:
            first = self.read()
        except Unreachable as error:
            raise Absent(f"no GPU metrics at {self.url}: {error}") from None
        self.wanted = frozenset(chosen([reading.card for reading in first], gpus))
        if not self.wanted:
            raise Absent(f"{self.url} tells of no GPU")
        self.cards: Sequence[Card] = [each.card for each in first if each.card.gpu in self.wanted]
        self.known: dict[str, Known] = {}
        self.is_away = False

    def run(self, emit: Emit, stop: Flag, duration_s: float | None = None) -> None:
        """Emit the clock, the cards, their samples and what happens to them, and the end."""
        emit(clock_record())
        ticks = Ticks(self.rate_hz, stop, duration_s)
        for _ in ticks:
            self.tick(emit)
        self.tick(emit)  # the end of the span has figures too
        emit(Ended(at_ns=time.monotonic_ns(), ticks=ticks.count, missed=ticks.missed))

    def tick(self, emit: Emit) -> None:
        """Ask once, and tell what is new."""
        try:
            found = self.read()
        except Unreachable as error:
            if not self.is_away:
                emit(Event(gpu=None, at_ns=time.monotonic_ns(), what=What.UNREACHABLE, detail=str(error)))
            self.is_away = True
            return
        self.is_away = False
        for reading in found:
            if reading.card.gpu in self.wanted:
                self.tell(reading, emit)

    def read(self) -> list[Reading]:
        """What the host says now. Raises Unreachable."""
        text, span = fetched(self.url)
        return parsed(text, span)

    def tell(self, reading: Reading, emit: Emit) -> None:
        """Tell what is new of a card."""
        uuid = reading.card.gpu
        if uuid not in self.known:
            emit(reading.card)
        known = self.known.setdefault(uuid, Known())
        for event in events(reading, known):
            emit(event)
        for stamp, sample in reading.samples:
            if stamp not in known.stamps:
                emit(sample if reading.is_dated else dated(sample, reading.span, known))
        known.stamps = frozenset(stamp for stamp, _ in reading.samples)
        known.asked_ns = reading.span.asked_ns


def dated(sample: Sample, span: Span, known: Known) -> Sample:
    """A sample without a stamp: it is newer than the answer before, which had another one.

    Of the first one nobody knows how old it is.
    """
    if known.asked_ns is None:
        return sample
    since = Span(known.asked_ns, span.had_ns)
    return sample.model_copy(update={"at_ns": since.middle_ns, "error_ns": since.half_ns})


def events(reading: Reading, known: Known) -> Iterator[Event]:
    """What happened to a card since the answer before. Errors from before the first are not ours."""
    uuid, now_ns = reading.card.gpu, reading.span.middle_ns
    for counter in sorted(reading.unsupported.keys() - known.unsupported):
        why = reading.unsupported[counter]
        yield Event(gpu=uuid, at_ns=now_ns, what=What.UNSUPPORTED, counter=counter, detail=why)
    since = Span(known.asked_ns or reading.span.asked_ns, reading.span.had_ns)
    for code, count in reading.xids.items() if known.xids is not None else ():
        for _ in range(count - (known.xids or {}).get(code, 0)):
            yield Event(
                gpu=uuid,
                at_ns=since.middle_ns,
                error_ns=since.half_ns,
                what=What.XID,
                code=code,
                detail=f"Xid {code}",
            )
    if reading.lost_ns is not None and not known.lost:
        error_ns = reading.span.half_ns
        yield Event(gpu=uuid, at_ns=reading.lost_ns, error_ns=error_ns, what=What.LOST, detail="GPU is lost")
    known.unsupported.update(reading.unsupported)
    known.xids, known.lost = dict(reading.xids), reading.lost_ns is not None


def checked(url: str) -> str:
    """A URL that can be asked, with its path. BadInput: another scheme, no host, no port number."""
    parts = urlsplit(url)
    try:
        usable = parts.scheme in CONNECTIONS and bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        usable = False
    if not usable:
        raise BadInput(f"{url!r} is no URL to read GPU metrics from: http://HOST:PORT names one")
    return url if parts.path not in ("", "/") else parts._replace(path="/metrics").geturl()


def fetched(url: str) -> tuple[str, Span]:
    """The text at a URL, and when it was asked for and had. Raises Unreachable."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    try:
        with closing(CONNECTIONS[parts.scheme](str(parts.hostname), parts.port, timeout=TIMEOUT_S)) as web:
            web.connect()
            asked_ns = time.monotonic_ns()
            web.request("GET", path, headers={"Accept": "text/plain", "Accept-Encoding": "identity"})
            answer = web.getresponse()
            body = answer.read(MOST_BYTES)
            had_ns = time.monotonic_ns()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(why(error)) from None
    if answer.status != OK:
        raise Unreachable(f"HTTP {answer.status}")
    return body.decode(errors="replace"), Span(asked_ns, had_ns)


def why(error: Exception) -> str:
    """Why there is no answer, in a few words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def parsed(text: str, span: Span) -> list[Reading]:
    """The cards that a text tells of. Raises Unreachable: it is none of the known formats."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415  only when needed

    reader = next((read for mark, read in FORMATS if mark in text), None)
    if reader is None:
        raise Unreachable("the answer holds neither metrics of harness gpu --serve nor of dcgm-exporter")
    try:
        return list(reader(list(text_string_to_metric_families(text)), span))
    except (ValueError, KeyError, OverflowError) as error:
        raise Unreachable(f"the answer cannot be read: {error}") from None
