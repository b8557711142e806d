"""`harness rm`: take exchanges out of a recording."""

from harness.cli.editing import DryRun, Exchanges, Output, RecordingPath, chosen, listing_of, take_out


def rm(
    recording: RecordingPath, exchanges: Exchanges, output: Output = None, dry_run: DryRun = False
) -> None:
    """Remove exchanges from a recording; the others keep their ids.

    The file is written anew, so that no byte of what was removed is left in it.
    """
    rows = listing_of(recording)
    take_out(recording, rows, chosen(exchanges, {row.id for row in rows}, recording), output, dry=dry_run)
