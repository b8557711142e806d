"""The books of one process: its census when it is asked for, and the orders that it obeys.

The law of this file: streams go on meanwhile, so a census makes only the lists that are wished for.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

from harness.core.admin import JournalEntry, ReceivedRequest, Resettable
from harness.core.census import FINAL, Census, Order, Part, Wish, merged
from harness.core.fault_rules import rules_of
from harness.core.interchange import request_line
from harness.core.miss import missed_request
from harness.replay.connection import Connection
from harness.replay.door import Door
from harness.replay.errand import Errand
from harness.replay.site import MISSES_KEPT, Tally


class Books:
    """Those of a door. `connections` are the open ones; `earlier` is what was counted before a reset."""

    def __init__(self, door: Door, connections: Collection[Connection] = ()) -> None:
        self.door = door
        self.connections = connections
        self.earlier = Census()

    def census(self, wish: Wish) -> Census:
        """What was done since counting began."""
        door, site = self.door, self.door.site
        tally, guard, lateness = site.tally, site.guard, site.lateness
        histogram = lateness.fold() if "lateness" in wish.parts else None
        return Census(
            requests=tally.requests,
            answered=tally.answered,
            missed=tally.missed,
            invalid=guard.invalid if guard else 0,
            results={result.value: count for result, count in door.journal.results.items()},
            instead=dict(tally.instead),
            played=dict(door.faults.played),
            unfit=dict(door.faults.unfit),
            unauthorised=door.gate.unauthorised if door.gate else 0,
            limited=door.gate.limited if door.gate else 0,
            connections=len(self.connections),
            streams=self.streams(),
            events=lateness.parts,
            held=lateness.held,
            lateness=histogram.pairs() if histogram else (),
            worst_ns=histogram.worst if histogram else None,
            rules=door.faults.told(),
            misses=tuple(map(missed_request, tally.misses)) if "misses" in wish.parts else (),
            refused=tuple(guard.latest) if guard and "invalid" in wish.parts else (),
            faults=tuple(door.faults.latest) if "faults" in wish.parts else (),
            received=tuple(self.received()) if "received" in wish.parts else (),
            journal=self.journal(wish) if "journal" in wish.parts else (),
            unused=tuple(one.label for one in site.library.unused()) if "unused" in wish.parts else (),
        )

    def journal(self, wish: Wish) -> tuple[JournalEntry, ...]:
        """The latest requests."""
        return tuple(self.door.journal.entries(self.door.library.knowing.text, wish.limit, wish.result))

    def streams(self) -> int:
        """How many answers are under way; those of the admin pages do not count."""
        plays = (one.play for one in self.connections)
        return sum(play is not None and not isinstance(play, Errand) for play in plays)

    def received(self) -> Iterator[ReceivedRequest]:
        """The latest requests as they came in, without their secrets; masking waits until somebody asks."""
        mask = self.door.library.redactor.request
        for one in self.door.site.latest:
            yield ReceivedRequest(t0_ns=one.t0_ns, request=request_line(mask(one.request)))

    def whole(self) -> Census:
        """What was done since the start, for the sum at the end; its lists have what the resets left."""
        now = self.census(Wish(parts=FINAL))
        return merged([now, self.earlier]).model_copy(update={"unused": now.unused, "rules": now.rules})

    def obey(self, order: Order) -> None:
        """Change what is ordered, for requests from now on."""
        site, faults = self.door.site, self.door.faults
        if order.speed is not None:
            site.speed = order.speed
        if order.faults is not None:
            faults.rule_by(rules_of({"faults": list(order.faults)}), order.round)
        if order.session is not None:
            site.library.order.cursors.reset(order.session)
        for what in order.reset:
            RESETS[what](self, order.round)

    def reset_cursors(self, _round: int) -> None:
        """All repeats begin again."""
        self.door.library.order.cursors.reset()

    def reset_journal(self, _round: int) -> None:
        """The lists of requests are empty; the sum at the end still tells of misses."""
        door, site = self.door, self.door.site
        misses = (*self.earlier.misses, *map(missed_request, site.tally.misses))
        self.earlier = self.earlier.model_copy(update={"misses": misses[-MISSES_KEPT:]})
        for latest in (door.journal.latest, door.faults.latest, site.latest, site.tally.misses):
            latest.clear()
        if site.guard:
            site.guard.latest.clear()

    def reset_counters(self, _round: int) -> None:
        """All that is counted is zero, but for the sum at the end."""
        door, site = self.door, self.door.site
        open_now = {"connections": 0, "streams": 0, "rules": ()}
        self.earlier = merged([self.earlier, self.census(Wish(parts=LATENESS)).model_copy(update=open_now)])
        site.tally = Tally(misses=site.tally.misses)
        for counts in (door.journal.results, door.faults.played, door.faults.unfit):
            counts.clear()
        if site.guard:
            site.guard.invalid = 0
        if door.gate:
            door.gate.unauthorised = door.gate.limited = 0
        site.lateness.reset()

    def reset_faults(self, round_: int) -> None:
        """The rules of the start, which did nothing yet."""
        self.door.faults.rule_by(self.door.faults.at_start, round_)

    def reset_limits(self, _round: int) -> None:
        """Nobody used anything of a limit yet."""
        if self.door.gate:
            self.door.gate.limiter.reset()


LATENESS: frozenset[Part] = frozenset({"lateness"})

RESETS: Mapping[Resettable, Callable[[Books, int], None]] = {
    "cursors": Books.reset_cursors,
    "journal": Books.reset_journal,
    "counters": Books.reset_counters,
    "faults": Books.reset_faults,
    "limits": Books.reset_limits,
}
