"""`harness trim`: cut a recording down to some of its exchanges."""

from typing import TYPE_CHECKING

from harness.cli.editing import DryRun, Exchanges, Json, Output, RecordingPath, chosen, take_out
from harness.cli.filters import filtered

if TYPE_CHECKING:
    from harness.store.selection import Selection


@filtered
def trim(
    recording: RecordingPath,
    selection: "Selection",
    exchanges: Exchanges = None,
    output: Output = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Keep some exchanges of a recording, by id, by filters, or by both, and remove all others.

    The opposite of rm.
    """
    rows, kept = chosen(recording, exchanges, selection)
    take_out(recording, rows, {row.id for row in rows} - kept, output, dry=dry_run, as_json=as_json)
