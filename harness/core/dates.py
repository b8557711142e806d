"""Dates as recordings hold them: RFC 3339 in UTC, to the microsecond, with a `Z`."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def date_of(wall_ns: int) -> str:
    """The date of a moment of the wall clock, in ns since the epoch.

    >>> date_of(1_700_000_000_002_000_999)
    '2023-11-14T22:13:20.002000Z'
    """
    return text_of(EPOCH + timedelta(microseconds=wall_ns // 1000))


def text_of(moment: datetime) -> str:
    """A moment in UTC as text."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def wall_ns(started_at: str) -> int:
    """A moment in RFC 3339 as ns since 1970. ValueError where it is none, or says no time zone.

    >>> wall_ns("1970-01-01T00:00:01.000000002Z")
    1000000002
    """
    head, point, rest = started_at.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    if point and not digits:
        raise ValueError("no digits behind the point")
    moment = datetime.fromisoformat(head + rest[len(digits) :])
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    since = moment - EPOCH
    seconds = since.days * 86_400 + since.seconds
    return seconds * 1_000_000_000 + int(digits[:9].ljust(9, "0"))


def age_days(started_at: str | None, now: datetime) -> float | None:
    """How many days ago that was, to a hundredth; None where it is no date.

    >>> age_days("2026-01-02T00:00:00Z", datetime(2026, 1, 3, 12, tzinfo=UTC)), age_days("", EPOCH)
    (1.5, None)
    """
    try:
        at_ns = wall_ns(started_at or "")
    except ValueError:
        return None
    return round((now - EPOCH).total_seconds() / 86_400 - at_ns / 86_400e9, 2)
