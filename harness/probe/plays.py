"""The provider's side: what its write log says of each play, and which play belongs to which request."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from harness.core.admin import Received
from harness.core.exchange import Exchange, Request
from harness.core.interchange import RequestLine
from harness.probe.talk import Talk


@dataclass(frozen=True, slots=True)
class Play:
    """One play of the provider (`harness.replay.write_log`); moments in ns of the monotonic clock.

    `request` is what it answered, with secrets masked; None: it was not kept.
    """

    mark: int | None
    number: int
    t0_ns: int
    head_bytes: int
    chunked: bool
    writes: Sequence[tuple[int, int]]
    end_ns: int | None
    left_ns: int | None
    request: Request | None = None

    @classmethod
    def of(cls, row: dict[str, Any]) -> "Play":
        """The play of a line."""
        mark = row["request"]
        return cls(
            int(mark) if mark and mark.isdigit() else None,
            int(row["exchange"]),
            row["t0_ns"],
            row["head_bytes"],
            row["chunked"],
            [(at, size) for at, size in row["writes"]],
            row["end_ns"],
            row["left_ns"],
        )

    def written_ns(self, exchange: Exchange) -> list[int | None]:
        """When the last byte of each recorded chunk was written; None: it never was."""
        chunks = exchange.response.chunks if exchange.response else ()
        sizes = (framed(len(data)) if self.chunked else len(data) for _, data in chunks)
        reached = [size for _, size in self.writes]
        places = (bisect_left(reached, self.head_bytes + end) for end in accumulate(sizes))
        return [self.writes[place][0] if place < len(reached) else None for place in places]


def framed(size: int) -> int:
    """Bytes of a chunk with its framing; an empty one is not sent (RFC 9112, 7.1)."""
    return size + len(f"{size:x}") + 4 if size else 0


def read_log(path: Path) -> list[Play]:
    """All plays, in the order in which they began."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return sorted((Play.of(row) for row in rows), key=lambda play: play.t0_ns)


def with_requests(plays: Iterable[Play], received: Received) -> list[Play]:
    """The plays with the requests that they answered: those that came in at the same moment."""
    requests = {one.t0_ns: RequestLine.model_validate(one.request).request() for one in received.requests}
    return [replace(play, request=requests.get(play.t0_ns)) for play in plays]


def plays_of(talks: Iterable[Talk], plays: Sequence[Play]) -> dict[int, list[Play]]:
    """The plays of each request, by its mark: several where the gateway asked again, none where it did not.

    A play whose mark was lost on the way goes to the last request for its exchange that was sent before.
    """
    found: dict[int, list[Play]] = {}
    by_trial: dict[int, list[Talk]] = {}
    for talk in talks:
        found[talk.key] = []
        by_trial.setdefault(talk.trial.number, []).append(talk)
    for play in plays:
        mark = play.mark if play.mark is not None else guess(play, by_trial.get(play.number, []), found)
        if mark in found:
            found[mark].append(play)
    return found


def guess(play: Play, talks: Sequence[Talk], found: dict[int, list[Play]]) -> int | None:
    """The mark of the first request for this exchange that was sent before and has no play, else the last."""
    before = [talk for talk in talks if talk.sent_ns and talk.sent_ns <= play.t0_ns]
    waiting = [talk for talk in before if not found[talk.key] and talk.end_ns >= play.t0_ns]
    if waiting:
        return waiting[0].key
    return before[-1].key if before else None
