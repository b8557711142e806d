"""What a list of exchanges shows of each, without its bodies."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.derive import Derived
from harness.core.exchange import Exchange
from harness.core.metrics import worst_gaps

GAP_PARTS = 16
"""Parts of a stream of which the longest gap is shown."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One exchange at a glance. `path` includes the query; offsets are ns from t0; None: unknown.

    `gaps_ns`: the longest gap between two events in each of some parts of a stream, in order, from the
    first event with generated content on (`harness.core.metrics.worst_gaps`); empty where unknown.
    """

    id: int
    started_at: str
    upstream: str
    method: str
    path: str
    status: int | None
    model: str | None
    dialect: str
    events: int
    chunks: int
    tokens_in: int | None
    tokens_out: int | None
    ttft_ns: int | None
    end_ns: int
    state: str
    gaps_ns: tuple[int, ...] = ()


def listed(exchange: Exchange, derived: Derived) -> Listed:
    """What a list shows of an exchange that no database holds."""
    response = exchange.response
    return Listed(
        id=exchange.id,
        started_at=exchange.started_at,
        upstream=exchange.upstream,
        method=exchange.request.method,
        path=exchange.request.path,
        status=response.status if response else None,
        model=derived.model,
        dialect=derived.dialect,
        events=len(derived.events),
        chunks=len(response.chunks) if response else 0,
        tokens_in=derived.usage.input,
        tokens_out=derived.usage.output,
        ttft_ns=derived.ttft_ns,
        end_ns=response.end_ns if response else exchange.end_ns,
        state=exchange.state.value,
        gaps_ns=gaps_from([event.offset_ns for event in derived.events], derived.ttft_ns),
    )


def gaps_from(times_ns: Sequence[int], ttft_ns: int | None) -> tuple[int, ...]:
    """The longest gaps of a stream whose events came at these times."""
    if ttft_ns is None:
        return ()
    return worst_gaps([at_ns for at_ns in times_ns if at_ns >= ttft_ns], GAP_PARTS)
