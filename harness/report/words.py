"""Figures in words, the same in the page and in Markdown."""

from harness.report.model import Added, Check, Slo

NOTHING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def digits(value: float | None) -> str:
    """A figure with three digits that matter.

    >>> digits(0.0), digits(0.0461), digits(1234.4), digits(12.34)
    ('0', '0.046', '1,234', '12.3')
    """
    if not value:
        return NOTHING if value is None else "0"
    size = abs(value)
    return f"{value:,.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"


def whole(value: int | None) -> str:
    """A count with its thousands apart."""
    return NOTHING if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """A share as percent.

    >>> percent(0.0123)
    '1.23 %'
    """
    return NOTHING if share is None else f"{digits(share * 100)} %"


def change(share: float | None) -> str:
    """A change as percent with its sign.

    >>> change(0.5), change(0.0)
    ('+50.0 %', '±0 %')
    """
    return NOTHING if share is None else f"{signed(share * 100)} %"


def signed(value: float | None) -> str:
    """A figure with its sign.

    >>> signed(0.46), signed(0.0)
    ('+0.460', '±0')
    """
    if value is None:
        return NOTHING
    return f"{'+' if value > 0 else MINUS if value < 0 else '±'}{digits(abs(value))}"


def bounds(added: Added) -> str:
    """Between what a figure lies, where enough was seen to tell."""
    if added.low_ms is None and added.high_ms is None:
        return "too few to tell"
    if added.high_ms is None:
        return f"at least {signed(added.low_ms)}"
    return f"{signed(added.low_ms)} to {signed(added.high_ms)}"


def with_unit(value: float | None, unit: str) -> str:
    """A figure and its unit; nothing has none."""
    return digits(value) if value is None else f"{digits(value)} {unit}".rstrip()


def got(slo: Slo) -> str:
    """What came of an SLO."""
    return "no data" if slo.got is None else with_unit(slo.got, slo.unit)


def check_value(check: Check) -> str:
    """The value of a check."""
    return percent(check.value) if check.unit == "share" else with_unit(check.value, check.unit)


def check_limit(check: Check) -> str:
    """The limit that a check was held against."""
    return percent(check.limit) if check.unit == "share" else with_unit(check.limit, check.unit)
