"""Records as lines: written by several threads, read back whole or while they are written."""

from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import TextIO

from pydantic import ValidationError

from harness.core.errors import BadInput
from harness.load.gpu.records import GPU_RECORD, GpuRecord


class LineWriter:
    """Writes each record as a line, at once and in one piece, from any thread."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._lock = file, Lock()

    def take(self, record: GpuRecord) -> None:
        """Write a record."""
        line = f"{record.model_dump_json(exclude_none=True)}\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()


def read_log(path: Path) -> Iterator[GpuRecord]:
    """The records of a log; an end that was cut off is left out. BadInput: no log, or damaged."""
    try:
        lines = path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    with lines:
        for number, line in enumerate(lines, 1):
            if line.endswith(b"\n"):
                yield record_of(line, path, number)


def record_of(line: bytes, path: Path, number: int) -> GpuRecord:
    """The record of a line."""
    try:
        return GPU_RECORD.validate_json(line)
    except ValidationError as error:
        why = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise BadInput(f"{path}:{number} is no record of a GPU log: {why}") from None
