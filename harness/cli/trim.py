"""`harness trim`: cut a recording down to some of its exchanges."""

from harness.cli.editing import DryRun, Exchanges, Output, RecordingPath, chosen, listing_of, take_out


def trim(
    recording: RecordingPath, exchanges: Exchanges, output: Output = None, dry_run: DryRun = False
) -> None:
    """Keep these exchanges of a recording and remove all others: the opposite of rm."""
    rows = listing_of(recording)
    ids = {row.id for row in rows}
    take_out(recording, rows, ids - chosen(exchanges, ids, recording), output, dry=dry_run)
