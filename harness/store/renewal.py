"""Recording anew: a recording takes its name, and an old one's place, once it is whole."""

import os
from pathlib import Path

from harness.core.errors import BadInput
from harness.core.exchange import State
from harness.store.open import head_of, open_recording
from harness.store.snapshot import MAGIC

COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database that is in use (https://www.sqlite.org/tempfiles.html)."""

UNFIT = (State.INTERRUPTED, State.CONNECT_FAILED)
"""What a whole recording has none of."""


class Renewal:
    """A recording that is made anew at `path`, until then under `new`."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.new = self.path.with_name(f"{self.path.name}.new")
        check_not_in_use(self.path)
        for name in (self.new, *companions(self.new)):
            name.unlink(missing_ok=True)

    def finish(self, *, lost: bool) -> str | None:
        """Take the name, and an old one's place; or, in a line, why not: then an old one stays, and `new`.

        `lost`: whether the recorder said that something is missing.
        """
        if not count_in(self.new):
            self.new.unlink(missing_ok=True)
            return f"{self.path} stays as it was: nothing was recorded" if self.path.exists() else None
        reason = "something was not recorded (exit code 4)" if lost else unfit(self.new)
        if reason is None:
            check_not_in_use(self.path)
            self.new.replace(self.path)
            return None
        state = "stays as it was" if self.path.exists() else "is not made"
        return f"{self.path} {state}: {reason}; what was recorded is in {self.new}"


def count_in(path: Path) -> int:
    """How many exchanges a recording has, if it is there."""
    if not path.exists():
        return 0
    with open_recording(path) as recording:
        return sum(1 for _ in recording.listing())


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
    with open_recording(path) as recording:
        if any(capture.ended_at is None for capture in recording.captures()):
            return "the recorder was killed"
        bad = next((exchange for exchange in recording.listing() if exchange.state in UNFIT), None)
    return f"exchange {bad.id} of the new one ended as {bad.state}" if bad else None
