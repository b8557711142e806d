"""What the proxy process tells the writer process: a head as JSON, and the bytes beside it.

The law of this file: pure, and cheap on the sender's side, which is the loop that stamps: nothing is
parsed, bytes are copied once. Sender and reader are the same machine and the same release, so numbers
are in the machine's own order. Layout: `SIZES`, head, stamps (int64 each), lengths (uint32 each), the
request's body, the chunks.
"""

import json
import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO

SIZES = struct.Struct("=IIQ")
"""Bytes of the head, number of chunks, bytes of everything behind the lengths."""

STAMP, LENGTH = "q", "I"
"""Types of `array`: a stamp on the monotonic clock in ns, a length in bytes."""


class Kind(StrEnum):
    """What a message is about; `head["kind"]`."""

    EXCHANGE = "exchange"
    UPLOAD = "upload"
    """`head["upload"]`: whose; a part of a large request body, which travels ahead of its exchange.

    `head["open"]`, with the first part of each: whose bodies are under way.
    """
    FORGET = "forget"
    """`head["upload"]`: whose parts belong to no exchange after all."""
    PASSED = "passed"
    """`head["what"]`, `head["text"]`: something of this kind (`Passed`) passes unrecorded, as it should."""
    COST = "cost"
    """What recording has cost the proxy so far (`harness.record.cost`)."""
    NOTE = "note"
    """`head["text"]`: something passed that is not recorded, as it should be."""
    TROUBLE = "trouble"
    """`head["text"]`: something went wrong, and may be missing in the recording."""


class Passed(StrEnum):
    """What passes as it is, and is counted."""

    WEBSOCKET = "websocket"
    CONNECTION = "connection"
    """One that is no HTTP, or no more."""
    HOST = "host"
    """Everything of a host that is not on the list of a forward proxy."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was sent. `stamps` (ns) and `chunks` belong together."""

    head: dict[str, Any]
    body: bytes = b""
    stamps: Sequence[int] = ()
    chunks: Sequence[bytes] = field(default=())


class CutShort(Exception):
    """The sender ended in the middle of a message, which is lost."""


def encode(head: dict[str, Any], body: bytes, stamps: "array[int]", chunks: Sequence[bytes]) -> bytes:
    """The bytes of a message. Headers in `head` may hold surrogate escapes."""
    text = json.dumps(head, separators=(",", ":")).encode()
    lengths = array(LENGTH, map(len, chunks))
    rest = len(body) + sum(lengths)
    sizes = SIZES.pack(len(text), len(lengths), rest)
    return b"".join([sizes, text, stamps.tobytes(), lengths.tobytes(), body, *chunks])


def plain(kind: Kind, text: str) -> bytes:
    """The bytes of a message without bytes beside it."""
    return encode({"kind": kind, "text": text}, b"", array(STAMP), ())


def passed(what: Passed, text: str) -> bytes:
    """The bytes of a message about something that is not recorded, as it should be."""
    return encode({"kind": Kind.PASSED, "what": what, "text": text}, b"", array(STAMP), ())


def read(source: BinaryIO) -> Message | None:
    """The next message; None at the end. Raises CutShort if the source ends within a message."""
    sizes = source.read(SIZES.size)
    if not sizes:
        return None
    if len(sizes) < SIZES.size:
        raise CutShort
    head_size, count, rest = SIZES.unpack(sizes)
    head = json.loads(_exactly(source, head_size))
    stamps, lengths = array(STAMP), array(LENGTH)
    stamps.frombytes(_exactly(source, count * stamps.itemsize))
    lengths.frombytes(_exactly(source, count * lengths.itemsize))
    data = _exactly(source, rest)
    body_size = rest - sum(lengths)
    return Message(head, data[:body_size], stamps, list(_cut(data, body_size, lengths)))


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise CutShort
    return data


def _cut(data: bytes, start: int, lengths: Iterable[int]) -> Iterable[bytes]:
    for length in lengths:
        yield data[start : start + length]
        start += length
