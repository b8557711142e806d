"""What fails a replay beside misses: unused exchanges, and old ones."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.core.admin import WriteLateness
from harness.core.age import before
from harness.core.exchange import Exchange
from harness.replay.freshness import stale_lines
from harness.replay.server import load
from harness.replay.service import Outcome

FRESH_FROM_NS = before(datetime(2026, 1, 31, tzinfo=UTC), 30)
NOTHING = WriteLateness(writes=0, p50_ms=None, p99_ms=None, max_ms=None)


@pytest.mark.parametrize(
    ("unused", "stale", "strict", "program", "code"),
    [
        ((), (), True, 0, 0),
        (("1",), (), False, 0, 0),
        (("1",), (), True, 0, 1),
        ((), ("1",), False, 0, 1),
        (("1",), ("1",), True, 5, 5),
    ],
)
def test_the_exit_code(
    *, unused: tuple[str, ...], stale: tuple[str, ...], strict: bool, program: int, code: int
) -> None:
    outcome = Outcome(
        requests=0,
        answered=0,
        missed=0,
        unused=unused,
        exchanges=1,
        lateness=NOTHING,
        program_code=program,
        stale=stale,
        strict=strict,
    )
    assert outcome.exit_code == code


def test_each_exchange_has_an_age(exchange: Callable[..., Exchange], recording: Callable[..., Path]) -> None:
    library = load([recording(exchange(path="/v1/a"), exchange(path="/v1/b"))], keep_connect=False)
    assert stale_lines(library, None) == ()
    assert stale_lines(library, FRESH_FROM_NS) == ()
    assert stale_lines(library, FRESH_FROM_NS + 1) == (
        "1 POST /v1/a, recorded on 2026-01-01",
        "2 POST /v1/b, recorded on 2026-01-01",
    )
