"""A capture: one run of a recorder, with what is needed to read its times and its masks later."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from harness.core.dates import text_of
from harness.core.redaction import Rules


@dataclass(frozen=True, slots=True)
class Capture:
    """One row of `captures`; `id` and `ended_at` are filled in by the store.

    `started_at` and `ended_at` are RFC 3339 with a `Z` (`ended_at` None: running, or killed).
    `upstreams` is name -> URL, `versions` program -> version, `clock` the wall-clock anchor of the
    monotonic clock; empty for imports, whose exchanges stay in the order in which they were added.
    `redaction` holds the rules in force; None where harness did not redact (imports). `masked` is at how
    many places each rule masked something (filled in by the store).
    """

    started_at: str
    upstreams: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    clock: Mapping[str, Any] = field(default_factory=dict)
    host: str = ""
    redaction: Rules | None = None
    ended_at: str | None = None
    id: int = 0
    masked: Mapping[str, int] = field(default_factory=dict)


def now() -> str:
    """The wall clock as captures note it: RFC 3339 with a `Z`, to the microsecond."""
    return text_of(datetime.now(UTC))
