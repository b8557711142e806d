"""Server-sent events, decoded from bytes as they arrive.

The law of this file: bytes in, complete events out, in any split of the bytes; nothing is decoded
as text but names and ids, so a character cut in two is no matter. Time is linear in the bytes fed,
also one by one. The format is the one of https://html.spec.whatwg.org/multipage/server-sent-events.html
with two additions for a recorder: blocks of comments alone are reported, and `close` returns an
event whose blank line never came, since real servers end without one.
"""

from typing import NamedTuple

BOM = b"\xef\xbb\xbf"
CR, LF = 13, 10


class SseEvent(NamedTuple):
    """One block of a stream. A tuple, since it is made in half of a dataclass's time.

    `name` is its `event:` (None: no name, or an empty one), `data` its `data:` lines joined by a
    line feed, `id` its own `id:` (None where this block has none; the last id is not carried on).
    With `comment` the block held only comments, and `data` is their text.
    """

    name: str | None
    data: bytes
    id: str | None
    comment: bool = False


class SseDecoder:
    """Feed it bytes, get the events that they completed.

    An event is complete with the first byte of its blank line's end: at the CR of a CRLF, since
    whether an LF follows may show only later.
    """

    __slots__ = ("_after_cr", "_comments", "_data", "_id", "_name", "_partial", "_started")

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._partial: list[bytes] = []  # pieces of the line that has no end yet
        self._after_cr = False
        self._started = False
        self._clear()

    def _clear(self) -> None:
        self._name: str | None = None
        self._id: str | None = None
        self._data: list[bytes] = []
        self._comments: list[bytes] = []

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events completed by `data`, in their order."""
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == LF:
                data = data[1:]
        if not data:
            return []
        lines = data.splitlines()  # of bytes: at LF, CR and CRLF, at nothing else
        last = data[-1]
        self._after_cr = last == CR
        rest = b"" if last in (LF, CR) else lines.pop()
        if lines and self._partial:
            lines[0] = b"".join((*self._partial, lines[0]))
            self._partial = []
        if rest:
            self._partial.append(rest)
        return self._events(lines) if lines else []

    def close(self) -> list[SseEvent]:
        """The event that waits for its blank line, if it has data; the decoder is as new then."""
        lines = [b"".join(self._partial)] if self._partial else []
        events = self._events(lines)
        if self._data:
            events.append(SseEvent(self._name, b"\n".join(self._data), self._id))
        self._reset()
        return events

    def _events(self, lines: list[bytes]) -> list[SseEvent]:
        if not self._started and lines:
            self._started = True
            lines[0] = lines[0].removeprefix(BOM)
        events = []
        for line in lines:
            if line.startswith(b"data: "):  # nearly all lines of an LLM's stream
                self._data.append(line[6:])
            elif line:
                self._field(line)
            elif self._data:
                events.append(SseEvent(self._name, b"\n".join(self._data), self._id))
                self._clear()
            else:
                events += self._comment()
        return events

    def _comment(self) -> list[SseEvent]:
        comments = [SseEvent(None, b"\n".join(self._comments), None, comment=True)] if self._comments else []
        self._clear()
        return comments

    def _field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace") or None
        elif field == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif not field:
            self._comments.append(value)


def plain_datas(body: bytes) -> list[bytes]:
    """The data of each event of a body of nothing but events of one `data: ` line; else none.

    With two line feeds for each event and one event after the other, none can be anywhere else. Most
    streams are such, and this takes a fraction of the decoder's time.
    """
    if not body.startswith(b"data: ") or not body.endswith(b"\n\n") or b"\r" in body:
        return []
    datas = body[6:-2].split(b"\n\ndata: ")
    return datas if body.count(b"\n") == 2 * len(datas) else []
