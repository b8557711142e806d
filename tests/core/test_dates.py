"""Dates as recordings hold them."""

import pytest

from harness.core.dates import date_of, wall_ns


@pytest.mark.parametrize(
    ("wall_ns", "date"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_700_000_000_002_000_999, "2023-11-14T22:13:20.002000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_735_689_599_999_999_999, "2024-12-31T23:59:59.999999Z"),
    ],
)
def test_a_moment_is_told_to_the_microsecond_before_it(wall_ns: int, date: str) -> None:
    assert date_of(wall_ns) == date


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T01:00:00.000000001+01:00", 1),
        ("2026-01-02T03:04:05.123456789Z", 1_767_323_045_123_456_789),
    ],
)
def test_moments_are_read_to_the_nanosecond(text: str, ns: int) -> None:
    assert wall_ns(text) == ns


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-02T03:04:05", "2026-01-02T03:04:05.Z"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        wall_ns(text)
