"""How old recorded exchanges are. Pure: the present is handed in."""

from datetime import datetime, timedelta

from harness.core.dates import EPOCH, wall_ns

UNKNOWN = "at an unknown time"


def before(now: datetime, days: float) -> int:
    """The moment that many days ago, in ns since 1970."""
    return (now - timedelta(days=days) - EPOCH) // timedelta(microseconds=1) * 1000


def stale_since(started_at: str, limit_ns: int) -> str | None:
    """When an exchange was recorded, as people read it, if that is before a moment; None: it is fresh.

    What tells no date cannot be shown to be fresh, so it is stale.

    >>> stale_since("2026-01-02T03:04:05Z", before(datetime.fromisoformat("2026-03-01T00:00:00Z"), 30))
    'on 2026-01-02'
    """
    try:
        at_ns = wall_ns(started_at)
    except ValueError:
        return UNKNOWN
    return f"on {started_at[:10]}" if at_ns < limit_ns else None
