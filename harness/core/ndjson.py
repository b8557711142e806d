"""Newline-delimited JSON, cut into lines as the bytes arrive.

The law of this file: bytes in, complete lines out, in any split of the bytes; no line is parsed
here. The format is the one of https://github.com/ndjson/ndjson-spec: a line ends with LF, a CR before
it is no part of it, blank lines are skipped. Time is linear in the bytes fed.
"""


class NdjsonDecoder:
    """Feed it bytes, get the lines that they completed, without white space around them."""

    __slots__ = ("_partial",)

    def __init__(self) -> None:
        self._partial: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """The lines completed by `data`, in their order."""
        head, newline, rest = data.partition(b"\n")
        self._partial.append(head)
        if not newline:
            return []
        lines = [b"".join(self._partial), *rest.split(b"\n")]
        self._partial = [lines.pop()]
        return [line for raw in lines if (line := raw.strip())]

    def close(self) -> list[bytes]:
        """The last line where it has no end of line; the decoder is as new then."""
        line = b"".join(self._partial).strip()
        self._partial = []
        return [line] if line else []
