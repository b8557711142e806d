"""Recording anew: the new recording takes the old one's place once it is whole."""

import os
from pathlib import Path

from harness.core.errors import BadInput
from harness.core.exchange import State
from harness.store.open import head_of, open_recording
from harness.store.snapshot import MAGIC

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database that is in use (https://www.sqlite.org/tempfiles.html)."""


class Renewal:
    """A recording that is made anew at `path`, until then under `new`."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.new = self.path.with_name(f"{self.path.name}.new")
        check_not_in_use(self.path)
        for name in (self.new, *companions(self.new)):
            name.unlink(missing_ok=True)

    def finish(self, *, lost: bool) -> str | None:
        """Take the old one's place; or why not, in which case the old one stays and `new` is kept.

        `lost`: whether the recorder said that something is missing.
        """
        if not self.new.exists() and not self.path.exists():
            return None  # nothing was to be recorded
        reason = "the recorder lost something" if lost else unfit(self.new)
        if reason is None:
            check_not_in_use(self.path)
            self.new.replace(self.path)
        return reason


def companions(path: Path) -> list[Path]:
    """The files beside a database that is in use."""
    return [path.with_name(path.name + ending) for ending in COMPANIONS]


def check_not_in_use(path: Path) -> None:
    """BadInput where a file cannot be replaced: some program has it open, or it is no recording."""
    if path.exists() and not head_of(path).startswith(MAGIC):
        raise BadInput(f"{path} is no SQLite recording: record into another file")
    if path.exists() and not os.access(path.parent, os.W_OK):
        raise BadInput(f"{path} cannot be replaced: its folder is not writable")
    busy = next((name for name in companions(path) if name.exists()), None)
    if busy is not None:
        raise BadInput(f"{path} is in use, or its program was killed: {busy.name} lies beside it")


def unfit(path: Path) -> str | None:
    """Why a new recording is not whole; None: it is."""
    if not path.exists():
        return "nothing was recorded"
    with open_recording(path) as recording:
        states = [exchange.state for exchange in recording.listing()]
        if any(capture.ended_at is None for capture in recording.captures()):
            return "the recorder was killed"
    if not states:
        return "nothing was recorded"
    return "an exchange was interrupted" if State.INTERRUPTED in states else None
