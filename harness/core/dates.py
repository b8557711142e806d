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
