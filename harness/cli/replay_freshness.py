"""The options of `harness replay` on recordings that nobody uses, or that are old; what the summary says."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.replay_door import shortened

if TYPE_CHECKING:
    from harness.replay.freshness import Demands
    from harness.replay.service import Outcome

CENTURY_DAYS = 36_500

Strict = Annotated[bool, typer.Option("--strict", help="Exit code 1 where a recorded exchange was not used.")]
MaxAge = Annotated[
    float | None,
    typer.Option(
        "--max-age",
        metavar="DAYS",
        min=0,
        max=CENTURY_DAYS,
        show_default=False,
        help="Exit code 1 where a recorded exchange is older.",
    ),
]


def demands_from(max_age: float | None, *, strict: bool) -> "Demands":
    """What is asked of the recordings, now."""
    from harness.core.age import before  # noqa: PLC0415
    from harness.replay.freshness import Demands  # noqa: PLC0415

    return Demands(strict, None if max_age is None else before(datetime.now(UTC), max_age))


def summary(outcome: "Outcome") -> Iterator[str]:
    """The lines about unused and old exchanges."""
    yield from shortened([f"unused: {row}" for row in outcome.unused])
    yield from shortened([f"too old: {row}" for row in outcome.stale])
