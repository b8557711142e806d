"""What a list of exchanges shows of each, without its bodies."""

from dataclasses import dataclass

from harness.core.derive import Derived
from harness.core.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Listed:
    """One exchange at a glance. `path` includes the query; offsets are ns from t0; None: unknown."""

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
    )
