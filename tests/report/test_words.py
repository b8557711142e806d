"""Figures in words."""

import pytest

from harness.report.words import MINUS, NOTHING, change, digits, percent, whole, with_unit


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, NOTHING), (0.0, "0"), (0.0461, "0.046"), (-1.234, "-1.23"), (12.34, "12.3"), (1234.4, "1,234")],
)
def test_a_figure_has_three_digits_that_matter(value: float | None, shown: str) -> None:
    assert digits(value) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(None, NOTHING), (0.5, "+50.0 %"), (-0.021, f"{MINUS}2.10 %"), (0.0, "±0 %")]
)
def test_a_change_has_a_sign(share: float | None, shown: str) -> None:
    assert change(share) == shown


def test_what_is_not_known_has_no_unit() -> None:
    assert (with_unit(None, "ms"), with_unit(1.5, "ms"), with_unit(2, "")) == (NOTHING, "1.50 ms", "2.00")
    assert (percent(None), percent(0.0123), whole(None), whole(12_345)) == (
        NOTHING,
        "1.23 %",
        NOTHING,
        "12,345",
    )
