"""Dates as recordings hold them."""

import pytest

from harness.core.dates import date_of


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
