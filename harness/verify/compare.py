"""Comparing what a replay gave with what was recorded: bytes and times. Pure.

The error of a chunk is (arrival of its last byte - request sent) - recorded offset, in ns: above
zero is late. Drift is the error of the last chunk minus that of the first.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from harness.core.exchange import Exchange, State
from harness.core.metrics import quantile

CONTEXT = 20
"""Bytes that are shown of a difference."""
NS_PER_MS = 1e6
BROKEN = (State.UPSTREAM_CUT, State.UPSTREAM_ERROR)


@dataclass(frozen=True, slots=True)
class Received:
    """What came back: body pieces with their offsets from the moment the request was sent."""

    status: int
    pieces: Sequence[tuple[int, bytes]]
    complete: bool
    failure: str | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One exchange's result. `fault` is None where bytes, status and end are as recorded."""

    id: int
    what: str
    state: str
    chunks: int
    fault: str | None
    errors_ns: tuple[int, ...]
    ttft_ns: int | None
    ttft_error_ns: int | None

    @property
    def drift_ns(self) -> int | None:
        """Error of the last chunk minus error of the first; None for fewer than two."""
        return self.errors_ns[-1] - self.errors_ns[0] if len(self.errors_ns) > 1 else None


def compare(exchange: Exchange, received: Received, ttft_ns: int | None) -> Compared:
    """Judge one replayed exchange. `ttft_ns` is the recorded offset of its first token, if it has one."""
    chunks = exchange.response.chunks if exchange.response else ()
    fault = received.failure or difference(exchange, received)
    errors = () if fault or not exchange.timing_known else timing_errors(exchange, received.pieces)
    times = [at for at, data in chunks if data]
    first = next((error for at, error in zip(times, errors, strict=False) if at == ttft_ns), None)
    what = f"{exchange.request.method} {exchange.request.path.partition('?')[0]}"
    return Compared(exchange.id, what, exchange.state.value, len(chunks), fault, errors, ttft_ns, first)


def difference(exchange: Exchange, received: Received) -> str | None:
    """The first thing that is not as recorded: status, bytes, or the end."""
    response = exchange.response
    if response is None:
        return f"status {received.status} where nothing was recorded" if received.status else None
    if received.status != response.status:
        return f"status {received.status} instead of {response.status}"
    got = b"".join(data for _, data in received.pieces)
    if got != response.body:
        return first_difference(response.body, got)
    return other_end(exchange.state, complete=received.complete)


def other_end(state: State, *, complete: bool) -> str | None:
    """The end, where it is another; how the server ends what a client aborted is nobody's business."""
    if state is State.CLIENT_ABORT or complete != (state in BROKEN):
        return None
    return "a clean end where the recording was cut" if complete else "a cut where it ended cleanly"


def first_difference(recorded: bytes, got: bytes) -> str:
    """Where two bodies part, and what stands there."""
    at = next((i for i, (a, b) in enumerate(zip(recorded, got, strict=False)) if a != b), None)
    if at is None:
        return f"{len(got)} bytes instead of {len(recorded)}"
    there, here = (body[at : at + CONTEXT] for body in (recorded, got))
    return f"byte {at}: {here!r} instead of {there!r}"


def timing_errors(exchange: Exchange, pieces: Sequence[tuple[int, bytes]]) -> tuple[int, ...]:
    """The error of every chunk in ns."""
    chunks = exchange.response.chunks if exchange.response else ()
    reached = list(accumulate(len(data) for _, data in pieces))
    ends = accumulate(len(data) for _, data in chunks)
    return tuple(
        pieces[bisect_left(reached, end)][0] - max(0, offset_ns - exchange.connect_ns)
        for (offset_ns, data), end in zip(chunks, ends, strict=True)
        if data
    )


class Verdict(StrEnum):
    """What a verification comes to."""

    MET = "met"
    NOT_MET = "not met"
    TOO_NOISY = "machine too noisy to tell"
    NOTHING = "nothing to judge"


def verdict(results: Iterable[Compared], noise_ns: int, tolerance_ns: int) -> Verdict:
    """Bytes must be equal and the p99 of all errors within tolerance.

    `noise_ns` is the longest stall that was seen where no server had a part in it: of an idle timer, or
    of the client. Up to half the tolerance it excuses nothing. A longer one leaves errors up to the
    tolerance and twice the stall (one before the server read, one before it wrote) untold; what is
    later than that is late on any machine.
    """
    rows = list(results)
    if not rows:
        return Verdict.NOTHING
    if any(row.fault for row in rows):
        return Verdict.NOT_MET
    errors = sorted(abs(error) for row in rows for error in row.errors_ns)
    p99_ns = quantile(errors, 0.99) if errors else 0
    if p99_ns <= tolerance_ns:
        return Verdict.MET
    untold = tolerance_ns / 2 < noise_ns and p99_ns <= tolerance_ns + 2 * noise_ns
    return Verdict.TOO_NOISY if untold else Verdict.NOT_MET
