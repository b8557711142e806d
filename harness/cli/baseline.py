"""`harness validate --baseline`: what changed in shape between two recordings."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.output import Column, print_json, print_rows
from harness.cli.progress import progress_bar
from harness.core.visible import counted

if TYPE_CHECKING:
    from harness.validate.baseline import Difference, Tally
    from harness.validate.outline import Outline

COLUMNS = (
    Column("change"),
    Column("part", folds=True, asks=16),
    Column("where", folds=True, asks=24),
    Column("before_→_now", folds=True, asks=18),
)


def compare_recordings(before: Path, now: Path, *, as_json: bool) -> int:
    """Print what differs; the exit code is 1 where something vanished or changed its type."""
    from harness.validate.baseline import Change, compare  # noqa: PLC0415

    old, new = outline_of(before), outline_of(now)
    found = compare(old, new)
    breaks = any(one.breaks for one in found)
    verdict = "changed" if breaks else "compatible" if found else "same"
    if as_json:
        from harness.validate.document import ComparisonDocument, difference, side  # noqa: PLC0415

        document = ComparisonDocument(
            before=side(str(before), old),
            now=side(str(now), new),
            verdict=verdict,
            differences=tuple(difference(one) for one in found),
        )
        print_json(document.model_dump(mode="json"))
        return int(breaks)
    for endpoint in dict.fromkeys(one.place.endpoint for one in found):
        print(f"{endpoint}:")
        print_rows(COLUMNS, [row_of(one) for one in found if one.place.endpoint == endpoint], as_json=False)
        print()
    counts = Counter(one.change for one in found)
    print(f"{counted(old.exchanges, 'exchange')} before, {new.exchanges} now")
    print(f"verdict: {verdict}: {', '.join(f'{counts[change]} {change.value}' for change in Change)}")
    return int(breaks)


def outline_of(recording: Path) -> "Outline":
    """The outline of a recording, with a progress bar."""
    from harness.store.open import open_recording  # noqa: PLC0415
    from harness.validate.outline import outline_of as outline  # noqa: PLC0415

    with open_recording(recording) as opened, progress_bar(f"reading {recording.name}") as progress:
        return outline(opened, progress=progress)


def row_of(one: "Difference") -> dict[str, Any]:
    """A difference as people read it."""
    return {
        "change": one.change.value,
        "part": one.place.part or "all of it",
        "where": one.place.where,
        "before_→_now": f"{cell_of(one.before)} → {cell_of(one.now)}",
    }


def cell_of(tally: "Tally") -> str:
    """How often, and with which types."""
    return f"{tally.seen} of {tally.of} {' or '.join(tally.types)}".rstrip()
