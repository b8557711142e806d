"""The journal of a worker: what it sent and what came back, on disk before anything is made of it.

The law of this file: a frame is written by one `write` and never changed, so a worker that is killed
leaves whole frames and at most one torn at the end, which readers do not see. A frame is a head (JSON)
and a blob:

    u32 length of the head, u32 length of the blob (little endian), head, blob

| `kind` of the head | written | its other keys |
|---|---|---|
| `worker` | first | those of `records.WorkerRecord` |
| `sent` | right before a request's bytes leave | `number`, `call`, `phase`, `scheduled_ns`, `at_ns` |
| `answer` | when an answer is over | those of `Answered`; the blob holds its pieces |
| `tick` | each second | those of `records.Tick` |
| `end` | last, in order | those of `records.EndRecord` |

The blob of an answer: the arrival of each piece (i64, ns on the monotonic clock), the size of each
piece (u32), then the pieces: the body without HTTP framing, still content-encoded. A piece is what one
read of the socket brought.
"""

import json
import os
import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from harness.load.records import Stamps

LENGTHS = struct.Struct("<II")
STAMP_BYTES, SIZE_BYTES = 8, 4


class Ending(StrEnum):
    """How the connection ended an answer.

    - `done`: as HTTP's framing says. - `closed`: by the end of the connection, where nothing else could
    tell the end. - `cut`: by the end of the connection where the framing says there is more, or before
    the head. - `reset`: the connection broke. - `refused`: there never was a connection. - `protocol`:
    what came is no HTTP. - `timeout`: the deadline passed. - `stall`: the silence was too long.
    - `cancelled`: the run ended.
    """

    DONE = "done"
    CLOSED = "closed"
    CUT = "cut"
    RESET = "reset"
    REFUSED = "refused"
    PROTOCOL = "protocol"
    TIMEOUT = "timeout"
    STALL = "stall"
    CANCELLED = "cancelled"


class Frame(NamedTuple):
    """One frame: `head` is its JSON object."""

    head: dict[str, Any]
    blob: bytes


class Sent(NamedTuple):
    """A request that is about to leave. `at_ns`: just before; the answer knows the exact moment."""

    number: int
    call: int
    phase: str
    scheduled_ns: int | None
    at_ns: int


class Answered(NamedTuple):
    """An answer, as far as its head goes. `pieces` is the count of those in the blob."""

    number: int
    sent_ns: int
    connect_ns: int
    first_byte_ns: int | None
    end_ns: int
    ending: str
    error: str | None
    status: int | None
    headers: tuple[tuple[str, str], ...]
    stamps: str
    stamp_error_ns: int
    request_bytes: int
    response_bytes: int
    pieces: int
    retried: bool = False

    @property
    def is_stamped_by_kernel(self) -> bool:
        """Whether every piece carries the kernel's stamp."""
        return self.stamps == Stamps.KERNEL


class JournalWriter:
    """Appends frames. OSError where the disk takes no more: what cannot be kept must not go on."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def append(self, kind: str, head: Mapping[str, Any], blob: bytes = b"") -> None:
        """Write one frame."""
        text = json.dumps({"kind": kind, **head}, separators=(",", ":")).encode()
        frame = b"".join((LENGTHS.pack(len(text), len(blob)), text, blob))
        if os.write(self.fd, frame) != len(frame):
            raise OSError("the journal could not be written whole: is the disk full?")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.fd)


class JournalReader:
    """Reads a journal while it is written: each call of `frames` goes on where the last one ended.

    Without `blobs` they are passed over, and every frame's is empty.
    """

    def __init__(self, path: Path, *, blobs: bool = True) -> None:
        self.file = path.open("rb")
        self.blobs = blobs

    def frames(self) -> Iterator[Frame]:
        """The whole frames that are there by now and were not read before."""
        while frame := self.frame():
            yield frame

    def frame(self) -> Frame | None:
        """The next frame; None while it is not there, or not whole."""
        start = self.file.tell()
        lengths = self.file.read(LENGTHS.size)
        if len(lengths) == LENGTHS.size:
            head_bytes, blob_bytes = LENGTHS.unpack(lengths)
            head = self.file.read(head_bytes)
            if len(head) == head_bytes and self.is_whole(start, head_bytes + blob_bytes):
                return Frame(json.loads(head), self.blob(blob_bytes))
        self.file.seek(start)
        return None

    def is_whole(self, start: int, length: int) -> bool:
        """Whether a frame that starts there is all there."""
        return os.fstat(self.file.fileno()).st_size >= start + LENGTHS.size + length

    def blob(self, length: int) -> bytes:
        """The blob that comes next."""
        if self.blobs:
            return self.file.read(length)
        self.file.seek(length, os.SEEK_CUR)
        return b""

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()


def blob_of(stamps: "array[int]", sizes: "array[int]", body: Iterable[bytes]) -> bytes:
    """The blob of an answer: `stamps` is an array of i64, `sizes` one of u32."""
    return b"".join((stamps.tobytes(), sizes.tobytes(), *body))


def pieces_of(blob: bytes, count: int) -> list[tuple[int, bytes]]:
    """The pieces in the blob of an answer, each with its arrival in ns."""
    stamps, sizes = array("q"), array("I")
    stamps.frombytes(blob[: count * STAMP_BYTES])
    at = count * (STAMP_BYTES + SIZE_BYTES)
    sizes.frombytes(blob[count * STAMP_BYTES : at])
    pieces = []
    for stamp_ns, size in zip(stamps, sizes, strict=True):
        pieces.append((stamp_ns, blob[at : at + size]))
        at += size
    return pieces
