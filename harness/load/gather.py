"""Reads what the workers' reducers write, while they write it.

The law of this file: every line is read once; what cannot be read is counted and named, never skipped
in silence. Stamps leave here on the run's own clock (`harness.load.clock`). Memory holds one piece of
a file and the beginning of a line.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from harness.load.clock import RunClock, carried
from harness.load.folder import Folder
from harness.load.records import RECORD, EndRecord, Record, WorkerRecord

PIECE_BYTES = 1 << 20
RECORDS = "records-*.jsonl"


class Sink(Protocol):
    """What takes in records: figures, workers, the store, the display."""

    def take(self, record: Record) -> None:
        """Take in a record, whose stamps are on the run's clock."""


class Tail:
    """The lines of one file as they come; use `close`."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.lines = 0
        self.zero_ns: int | None = None
        self.ended = False
        self._file = path.open("rb")
        self._begun = b""

    def new_lines(self) -> Iterator[bytes]:
        """Complete lines up to the end of the file so far, without their ends."""
        while read := self._file.read(PIECE_BYTES):
            *lines, self._begun = (self._begun + read).split(b"\n")
            yield from lines

    @property
    def is_torn(self) -> bool:
        """Whether the file ends, so far, inside a line."""
        return bool(self._begun)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Gatherer:
    """Reads all records of a run's folder into sinks; `damage` names what could not be read."""

    def __init__(self, folder: Folder, clock: RunClock, sinks: Sequence[Sink]) -> None:
        self.damage: list[str] = []
        self._folder, self._clock, self._sinks = folder, clock, sinks
        self._tails: dict[Path, Tail] = {}

    def poll(self) -> int:
        """Read what has come since; returns how many records that was."""
        for path in sorted(self._folder.path.glob(RECORDS)):
            if path not in self._tails:
                self._tails[path] = Tail(path)
        return sum(map(self._read, self._tails.values()))

    def ended(self) -> int:
        """How many workers have said how they ended."""
        return sum(tail.ended for tail in self._tails.values())

    def finish(self) -> None:
        """Read the rest, when nobody writes any more, and close the files."""
        while self.poll():
            pass
        for tail in self._tails.values():
            if tail.is_torn:
                self.damage.append(f"{tail.name}: line {tail.lines + 1} breaks off")
            tail.close()

    def _read(self, tail: Tail) -> int:
        before = tail.lines
        for line in tail.new_lines():
            self._take(tail, line)
        return tail.lines - before

    def _take(self, tail: Tail, line: bytes) -> None:
        tail.lines += 1
        try:
            record = RECORD.validate_json(line)
        except ValidationError:
            self.damage.append(f"{tail.name}: line {tail.lines} is no record")
            return
        if isinstance(record, WorkerRecord):
            tail.zero_ns = self._clock.zero_of(record)
        if tail.zero_ns is None:
            self.damage.append(f"{tail.name}: line {tail.lines} comes before the worker's own record")
            return
        tail.ended = tail.ended or isinstance(record, EndRecord)
        moved = carried(record, tail.zero_ns)
        for sink in self._sinks:
            sink.take(moved)
