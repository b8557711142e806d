"""Messages of a stream that are the same but for their texts, told by their bytes.

Two messages teach which of their strings differ. A later one that has other text there, and every other
byte the same, has their shape (`harness.validate.shape`), so what was found for them holds for it. That
is told in a tenth of the time that its shape takes.

The law of this file: it is sound for JSON texts that were parsed. Where the bytes around them are the
same, only strings differ; a string that a schema names, and the name of a member, are never among those.
"""

import re
from itertools import pairwise

from harness.core.json_text import parse

QUOTE, ESCAPE = b'"', b"\\"
TEXT = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+')
"""What stands in a JSON string (RFC 8259, 7)."""
MOST = 4
"""Strings that may differ. OpenAI's chunks have two such, the text and its `obfuscation`."""
LONGEST = 512
"""Bytes of a message that is learnt from. Longer ones are seldom alike, and take long to compare."""
TRIES = 16
"""Messages of a stream from which nothing was learnt, before it is given up."""


class Alike[T]:
    """What was found for messages (of any type), known again for those that are alike.

    `words` are the strings that the schema names, in UTF-8.
    """

    __slots__ = ("_found", "_head", "_last", "_rest", "_tries", "_words")

    def __init__(self, words: frozenset[bytes]) -> None:
        self._words = words
        self._last = b""
        self._head = b""
        self._rest: list[bytes] = []
        self._found: T | None = None
        self._tries = TRIES

    def find(self, data: bytes) -> T | None:
        """What was found for messages like this JSON text; None: it is like none."""
        if self._found is None or not data.startswith(self._head):
            return None
        at = len(self._head)
        for fixed in self._rest:
            end = data.find(QUOTE, at)
            text = data[at:end]
            if ESCAPE in text:
                end, text = escaped_text(data, at)
            if text in self._words or not data.startswith(fixed, end):
                return None
            at = end + len(fixed)
        return self._found if at == len(data) else None

    def learn(self, data: bytes, found: T) -> None:
        """What was found for a message that `find` did not know."""
        if len(data) > LONGEST or not self._tries or ESCAPE in data:
            return  # without an escape, every quotation mark begins or ends a string
        before, self._last = self._last, data
        parts = self._parts(before, data) if before.count(QUOTE) == data.count(QUOTE) else []
        if parts:
            self._head, *self._rest = parts
            self._found = found
        else:
            self._tries -= 1

    def _parts(self, before: bytes, data: bytes) -> list[bytes]:
        """What two messages share, before, between and behind texts; empty: they differ in more."""
        ours, others = data.split(QUOTE), before.split(QUOTE)
        differ = [place for place, piece in enumerate(ours) if piece != others[place]]
        if len(differ) > MOST:
            return []
        for place in differ:
            is_text = place % 2 and not ours[place + 1].lstrip().startswith(b":")
            if not is_text or ours[place] in self._words or others[place] in self._words:
                return []
        return joined(ours, differ)


def joined(pieces: list[bytes], gaps: list[int]) -> list[bytes]:
    """The bytes before, between and behind some of the pieces between quotation marks.

    >>> joined([b"{", b"a", b": ", b"text", b"}"], [3])
    [b'{"a": "', b'"}']
    """
    edges = [-1, *gaps, len(pieces)]
    parts = [QUOTE.join(pieces[start + 1 : stop]) for start, stop in pairwise(edges)]
    return [
        (QUOTE if number else b"") + part + (QUOTE if number < len(gaps) else b"")
        for number, part in enumerate(parts)
    ]


def escaped_text(data: bytes, at: int) -> tuple[int, bytes]:
    """Where the string with escapes that begins here ends in a JSON text, and what it says."""
    found = TEXT.match(data, at)
    assert found is not None  # it may be empty
    text: str = parse(b'"%b"' % found[0])
    return found.end(), text.encode("utf-8", "surrogatepass")
