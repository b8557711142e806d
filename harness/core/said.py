"""Secrets that a stream says piece by piece, masked in the events that say them.

The law of this file: the body keeps its length and its events their places; only what a piece of
generated text holds of a secret is overwritten.
"""

import json
from collections.abc import Iterator, Sequence

from harness.core.derive import Derived

ALONE = 4
"""Characters of a secret that are masked wherever their event has them, where the piece is no string."""


def mask_said(body: bytes, derived: Derived, masked: str) -> bytes:
    """The body that `derived` was made from, so that it says this text instead.

    `masked` is as long as all of `derived.content_text` together, and differs in secrets alone.
    """
    changed = bytearray(body)
    for (start, end), old, new in zip(_places(body, derived), *_pieces(derived, masked), strict=True):
        if old != new:
            changed[start:end] = _saying(body[start:end], old, new)
    return bytes(changed)


def _pieces(derived: Derived, masked: str) -> tuple[Sequence[str], Sequence[str]]:
    new, start = [], 0
    for old in derived.content_text:
        new.append(masked[start : start + len(old)])
        start += len(old)
    return derived.content_text, new


def _places(body: bytes, derived: Derived) -> Iterator[tuple[int, int]]:
    """Where the event of each piece stands in the body; empty where it is not there in one line."""
    located = _located(body, derived)
    for offset_ns, piece in zip(derived.content_ns, derived.content_text, strict=True):
        candidates = (place for at_ns, place in located if at_ns == offset_ns)
        yield next((place for place in candidates if _is_said(piece, body[slice(*place)])), (0, 0))


def _located(body: bytes, derived: Derived) -> Iterator[tuple[int, tuple[int, int]]]:
    end = 0
    for event in derived.events:
        start = body.find(event.data, end)
        if start >= 0:
            end = start + len(event.data)
            yield event.offset_ns, (start, end)


def _is_said(piece: str, event: bytes) -> bool:
    return any(string in event for string in _strings(piece)) or piece.encode() in event


def _strings(piece: str) -> tuple[bytes, bytes]:
    """The two ways in which JSON encoders write a string."""
    return json.dumps(piece).encode(), json.dumps(piece, ensure_ascii=False).encode()


def _saying(event: bytes, old: str, new: str) -> bytes:
    for was, becomes in zip(_strings(old), _strings(new), strict=True):
        if was in event:
            return event.replace(was, becomes)
    differing = [index for index in range(len(old)) if old[index] != new[index]]
    part = slice(differing[0], differing[-1] + 1)
    if differing[-1] - differing[0] + 1 < ALONE:
        return event
    return event.replace(old[part].encode(), new[part].encode())
