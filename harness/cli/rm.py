"""`harness rm`: take exchanges out of a recording."""

from typing import TYPE_CHECKING

from harness.cli.editing import DryRun, Exchanges, Json, Output, RecordingPath, chosen, take_out
from harness.cli.filters import filtered

if TYPE_CHECKING:
    from harness.store.selection import Selection


@filtered
def rm(
    recording: RecordingPath,
    selection: "Selection",
    exchanges: Exchanges = None,
    output: Output = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove exchanges from a recording, by id, by filters, or by both; the others keep their ids.

    The file is written anew, so that no byte of what was removed is left in it.
    """
    rows, going = chosen(recording, exchanges, selection)
    take_out(recording, rows, going, output, dry=dry_run, as_json=as_json)
