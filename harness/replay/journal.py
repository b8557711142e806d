"""The journal: the latest requests and what each got.

The law of this file: noting costs a request next to nothing. Of a request only its first line is kept;
secrets are masked, and dates made, when somebody asks.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from harness.core.admin import JournalEntry, Result
from harness.core.dates import date_of
from harness.core.visible import visible
from harness.replay.connection import Answer
from harness.replay.reader import Incoming

KEPT = 1000
LONGEST_PATH = 4096
"""Characters of a path that are kept."""

type Mask = Callable[[str], tuple[str, int]]
"""Masks the secrets of a URL; how many there were."""
type Noted = tuple[int, str, str, Result, str, str]
"""t0_ns, method, path, result, label of the exchange, fault."""


@dataclass(slots=True)
class Journal:
    """The latest so many requests, and how many got what."""

    kept: int = KEPT
    results: Counter[Result] = field(default_factory=Counter)
    latest: deque[Noted] = field(init=False)

    def __post_init__(self) -> None:
        self.latest = deque(maxlen=self.kept)

    def note(self, incoming: Incoming, answer: Answer) -> None:
        """Note a request and its answer."""
        asked = incoming.request
        self.results[answer.result] += 1
        path = asked.path[:LONGEST_PATH]
        self.latest.append((incoming.t0_ns, asked.method, path, answer.result, answer.label, answer.fault))

    def entries(self, mask: Mask, limit: int, result: Result | None) -> Iterator[JournalEntry]:
        """The latest so many (of one result), in the order in which they came."""
        found = [one for one in self.latest if result is None or one[3] is result]
        wall_ns = time.time_ns() - time.monotonic_ns()
        masked: dict[str, str] = {}  # most ask for the same few
        for t0_ns, method, path, got, label, fault in found[max(0, len(found) - limit) :]:
            if path not in masked:
                masked[path] = visible(mask(path)[0])
            yield JournalEntry(
                t0_ns=t0_ns,
                at=date_of(t0_ns + wall_ns),
                request=f"{visible(method)} {masked[path]}",
                result=got,
                exchange=label or None,
                fault=fault or None,
            )
