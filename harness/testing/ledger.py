"""The ledger of a test session: which recordings and exchanges its tests used, and what that comes to.

It is judged once, when all tests have run: an exchange is unused that no test used, and only where all
tests that have the recording did run and pass. Workers of pytest-xdist keep a ledger each; they join.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field

from harness.core.age import before
from harness.core.visible import counted, visible
from harness.replay.freshness import stale_in
from harness.replay.server import prefixes_of
from harness.replay.site import endpoint
from harness.testing.served import Replay

SHOWN = 5


class FileUse(BaseModel):
    """One recording: its exchanges (id -> method and path), and which of them answered; by whom it was used.

    `stale` are those that are too old (id -> when they were recorded). `excused`: its tests do not mind
    unused exchanges.
    """

    exchanges: dict[str, str] = Field(default_factory=dict)
    used: set[str] = Field(default_factory=set)
    stale: dict[str, str] = Field(default_factory=dict)
    tests: set[str] = Field(default_factory=set)
    passed: set[str] = Field(default_factory=set)
    excused: bool = False

    def join(self, other: Self) -> None:
        """Take in what another worker knows of it."""
        self.exchanges |= other.exchanges
        self.stale |= other.stale
        self.used |= other.used
        self.tests |= other.tests
        self.passed |= other.passed
        self.excused |= other.excused


class Ledger(BaseModel):
    """All recordings of a session, by path.

    `claims` says which of the collected tests have a recording, also those that did not run; `lying`
    are recordings that lie where the tests have theirs.
    """

    files: dict[str, FileUse] = Field(default_factory=dict)
    claims: dict[str, set[str]] = Field(default_factory=dict)
    lying: set[str] = Field(default_factory=set)

    def add(self, test: str, replay: Replay, *, passed: bool, limit_ns: int | None) -> None:
        """Note what a test used. `limit_ns`: what was recorded before that moment is stale."""
        for prefix, path in zip(prefixes_of(replay.recordings), replay.recordings, strict=True):
            use = self.files.setdefault(str(path), FileUse())
            use.tests.add(test)
            use.excused |= replay.plan.allow_unused
            if passed:
                use.passed.add(test)
            note(use, replay, prefix, limit_ns)

    def join(self, other: "Ledger") -> None:
        """Take in the ledger of another worker."""
        for path, use in other.files.items():
            self.files.setdefault(path, FileUse()).join(use)
        for path, tests in other.claims.items():
            self.claims.setdefault(path, set()).update(tests)
        self.lying |= other.lying

    def unused(self) -> Iterator[tuple[str, str]]:
        """Recordings with what is unused of them, in words."""
        for path, use in sorted(self.files.items()):
            idle = {key: what for key, what in use.exchanges.items() if key not in use.used}
            everybody = use.tests | self.claims.get(path, set())
            if idle and not use.excused and everybody <= use.passed:
                yield path, f"{share(idle, use)} unused: {listed(idle)}"
        for path in sorted(self.lying - self.claims.keys() - self.files.keys()):
            yield path, "no test uses it"

    def stale(self, days: float) -> Iterator[tuple[str, str]]:
        """Recordings with what is too old in them, in words."""
        for path, use in sorted(self.files.items()):
            if use.stale:
                old = {key: f"{use.exchanges[key]}, recorded {when}" for key, when in use.stale.items()}
                yield path, f"{share(old, use)} older than {days:g} days: {listed(old)}"


def note(use: FileUse, replay: Replay, prefix: str, limit_ns: int | None) -> None:
    """Note which exchanges of one recording were there, answered, and are stale."""
    if replay.library is None:
        return
    stale = stale_in(replay.library, limit_ns)
    for entry in replay.library.playable():
        if not entry.label.startswith(prefix):
            continue
        key = entry.label.removeprefix(prefix)
        use.exchanges[key] = visible(endpoint(entry))
        if entry.uses:
            use.used.add(key)
        if entry.label in stale:
            use.stale[key] = stale[entry.label]


def share(some: Iterable[str], use: FileUse) -> str:
    """How many of the exchanges."""
    return f"{len(list(some))} of {counted(len(use.exchanges), 'exchange')}"


def listed(named: dict[str, str]) -> str:
    """The first of some exchanges."""
    shown = [f"{key} {what}" for key, what in list(named.items())[:SHOWN]]
    more = len(named) - SHOWN
    return "; ".join([*shown, f"and {more} more"] if more > 0 else shown)


def lying_in(folders: Iterable[Path], suffixes: tuple[str, ...]) -> set[str]:
    """The recordings in some folders."""
    found = (path for folder in folders if folder.is_dir() for path in folder.iterdir())
    return {str(path) for path in found if path.suffix in suffixes and path.is_file()}


def limit_of(now: datetime, days: float | None) -> int | None:
    """Before which moment a recording is stale; None: none is."""
    return None if days is None else before(now, days)
