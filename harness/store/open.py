"""Opening a recording, whichever of its two forms it has."""

import stat
from pathlib import Path

from harness.core.errors import BadInput
from harness.store.recording import Recording
from harness.store.snapshot import MAGIC

SNIFFED_BYTES = 4096

NO_NAME = Path()
"""What an empty argument is taken for, as is `.`."""


def open_recording(path: Path) -> Recording:
    """Open an SQLite recording or an interchange file for reading, told apart by content.

    Raises BadInput: no such file, no recording, damaged, or written by a newer version.
    """
    head = head_of(path)
    if head.startswith(MAGIC):
        from harness.store.database import DatabaseRecording  # noqa: PLC0415  each form imports its own tools

        return DatabaseRecording(path)
    if not head.strip() or head.lstrip().startswith(b"{"):  # an export of no exchanges is an empty file
        from harness.store.lines import LinesRecording  # noqa: PLC0415

        return LinesRecording(path)
    raise BadInput(f"{path} is no recording: neither an SQLite database nor JSON Lines")


def head_of(path: Path) -> bytes:
    """The first bytes of a file; BadInput if it cannot be read."""
    if path == NO_NAME:
        raise BadInput("name a recording: an empty name, or '.', is the folder one is in")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadInput(f"{path} is no plain file, and a recording is read more than once")
        with path.open("rb") as file:
            return file.read(SNIFFED_BYTES)
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist: is the path right?") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
