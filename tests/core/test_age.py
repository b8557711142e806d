"""The age of exchanges."""

from datetime import UTC, datetime, timedelta

import pytest

from harness.core.age import UNKNOWN, before, stale_since

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("started_at", "told"),
    [
        ("2026-01-30T00:00:00Z", None),
        ("2026-01-29T23:59:59.999999999Z", "on 2026-01-29"),
        ("2026-03-02T00:00:00Z", None),
        ("", UNKNOWN),
        ("yesterday", UNKNOWN),
    ],
)
def test_what_is_older_than_thirty_days(started_at: str, told: str | None) -> None:
    assert stale_since(started_at, before(NOW, 30)) == told


def test_days_have_parts() -> None:
    assert before(NOW, 0) - before(NOW, 0.5) == timedelta(hours=12) // timedelta(microseconds=1) * 1000
