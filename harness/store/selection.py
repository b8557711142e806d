"""Which exchanges of a recording are meant: by what a list shows of them, and by SQL for the rest.

The law of this file: it means the same for both forms of a recording, and changes neither. What a
user wrote is read here (`statuses_of`, `moment_of`), once, before any file is.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from harness.core.dates import EPOCH, wall_ns
from harness.core.exchange import Exchange
from harness.store.listing import Listed
from harness.store.recording import Recording

type Statuses = range | None
"""Statuses that are meant; None: no response came."""

NO_RESPONSE = "none"
STATUS = re.compile(r"([1-9]\d\d)(?:-([1-9]\d\d))?|([1-5])xx", re.ASCII)
AGO = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])", re.ASCII)
UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked of an exchange: all of these, and of each at least one of its values.

    - `patterns`: field of `Listed` -> patterns of `fnmatch`, case counts; an empty one means unknown.
      A pattern of `path` is held against the path with its query, and without.
    - `statuses`: of the response. `since_ns`, `until_ns`: t0 on the wall clock, from and before.
    - `where`: an SQL expression over the columns of `exchanges` (`Recording.ids_where`).
    """

    patterns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    statuses: tuple[Statuses, ...] = ()
    since_ns: int | None = None
    until_ns: int | None = None
    where: str | None = None

    def has(self, one: Listed) -> bool:
        """Whether an exchange is meant, as far as a list tells (`where` aside)."""
        named = all(fits(values_of(one, name), patterns) for name, patterns in self.patterns.items())
        return named and self._has_status(one.status) and self._has_moment(one.started_at)

    def _has_status(self, status: int | None) -> bool:
        return not self.statuses or any(
            status is None if meant is None else status in meant for meant in self.statuses
        )

    def _has_moment(self, started_at: str) -> bool:
        if self.since_ns is None and self.until_ns is None:
            return True
        try:
            at_ns = wall_ns(started_at)
        except ValueError:
            return False
        return (self.since_ns is None or at_ns >= self.since_ns) and (
            self.until_ns is None or at_ns < self.until_ns
        )


ALL = Selection()


def values_of(one: Listed, name: str) -> tuple[str, ...]:
    """What a field says, in all its forms."""
    value = getattr(one, name) or ""
    return (value, value.partition("?")[0]) if name == "path" else (value,)


def fits(values: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    """Whether one of the values fits one of the patterns; no patterns fit all."""
    return not patterns or any(fnmatchcase(value, pattern) for pattern in patterns for value in values)


def listing(recording: Recording, selection: Selection) -> Iterator[Listed]:
    """The chosen exchanges at a glance, in recorded order. BadInput: `where` is no such expression."""
    chosen = recording.ids_where(selection.where) if selection.where is not None else None
    for one in recording.listing():
        if (chosen is None or one.id in chosen) and selection.has(one):
            yield one


def exchanges(recording: Recording, selection: Selection) -> Iterator[Exchange]:
    """The chosen exchanges, in recorded order; of the others no body is read where that can be helped."""
    if selection == ALL:
        return recording.exchanges()
    return recording.exchanges({one.id for one in listing(recording, selection)})


def statuses_of(text: str) -> tuple[Statuses, ...]:
    """The statuses that a text names: `200`, `4xx`, `400-499`, `none`, several with commas. ValueError.

    >>> statuses_of("200,5xx,none")
    (range(200, 201), range(500, 600), None)
    """
    return tuple(_status(part.strip().lower()) for part in text.split(","))


def _status(word: str) -> Statuses:
    if word == NO_RESPONSE:
        return None
    if not (found := STATUS.fullmatch(word)):
        raise ValueError(f"{word!r} is no status: give 200, 4xx, 400-499 or none")
    first, last, hundreds = found.groups()
    if hundreds:
        return range(int(hundreds) * 100, int(hundreds) * 100 + 100)
    return range(int(first), int(last or first) + 1)


def moment_of(text: str, now: datetime) -> int:
    """A moment in ns since 1970: a date or time in ISO 8601, or how long before `now` (`90s`, `2h`, `7d`).

    What names no zone is meant in this machine's; a date alone is its midnight. ValueError.
    """
    if found := AGO.fullmatch(text.strip()):
        return wall_ns(now.isoformat()) - round(float(found[1]) * UNIT_S[found[2]] * 1e9)
    try:
        moment = datetime.fromisoformat(text.strip())
        since = (moment if moment.tzinfo else moment.astimezone()) - EPOCH
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is no moment: give 2h, 7d, 2026-01-31 or 2026-01-31T12:00") from None
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
