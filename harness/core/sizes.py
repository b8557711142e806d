"""Amounts of bytes as people write them.

>>> parse_size("64MiB"), parse_size("1.5 kB"), parse_size("4096")
(67108864, 1500, 4096)
>>> size_text(64 * 2**20), size_text(1500)
('64 MiB', '1500 B')
"""

import re

UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
"""A unit in lower case -> its bytes (IEC 80000-13)."""

NAMES = {2**30: "GiB", 2**20: "MiB", 2**10: "KiB"}
MOST = 2**63
"""Bytes that no machine has."""

SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes, at least one; ValueError says how to write them."""
    found = SIZE.fullmatch(text)
    unit = UNITS.get(found[2].lower()) if found else None
    size = float(found[1]) * unit if found and unit else 0.0
    if found and unit and not 1 <= size < MOST:
        raise ValueError(
            f"{text!r} is too {'little: give 1 B or more' if size < 1 else 'much for any machine'}"
        )
    if not size:
        raise ValueError(f"{text!r} is no size: write bytes, or a number with kB, MB, GB, KiB, MiB or GiB")
    return int(size)


def size_text(size: int) -> str:
    """A size in the largest unit of which it is a multiple."""
    for unit, name in NAMES.items():
        if size and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"
