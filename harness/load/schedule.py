"""Which call a worker makes next, and when it makes no more. Pure: time comes in as ns.

The law of this file: workers need not talk to one another while they send. The numbers of a run are
dealt out by the workers' indexes, and so are its limits: worker i of k makes the numbers that are i
modulo k, and has its share of the counts.
"""

from array import array
from collections.abc import Sequence
from typing import NamedTuple

from harness.load.plan import Open, Plan
from harness.load.records import Phase

NS_PER_S = 1_000_000_000
NEVER_NS = 2**63 - 1


def share(total: int, index: int, count: int) -> int:
    """How many of the numbers from 0 to total - 1 are `index` modulo `count`.

    >>> [share(10, index, 3) for index in range(3)]
    [4, 3, 3]
    """
    return max(0, (total - index + count - 1) // count)


class Turn(NamedTuple):
    """A call to make: its number, the part of the run it belongs to, and when it is due (None: now)."""

    number: int
    phase: Phase
    due_ns: int | None = None


class Schedule:
    """The part of worker `index` of `count`, for a run that starts at `start_ns`.

    `why` says why nothing more is sent (`records.EndRecord`), None while something is. `tokens` counts
    what was used up; the share of `max_tokens` is looked at before each call, so that what is under way
    then goes on top of it.
    """

    def __init__(
        self, plan: Plan, arrivals_ns: Sequence[int] = (), index: int = 0, count: int = 1, start_ns: int = 0
    ) -> None:
        self.plan, self.index, self.count, self.start_ns = plan, index, count, start_ns
        self.arrivals_ns = array("q", arrivals_ns[index::count])
        self.next_number = index
        self.measured = 0
        self.measured_from_ns: int | None = None
        self.tokens = 0
        self.why: str | None = None
        self.stopped_ns = NEVER_NS
        self.warm_ns = start_ns + int(plan.warmup_s * NS_PER_S)
        self.most_tokens = None if plan.max_tokens is None else max(1, share(plan.max_tokens, index, count))
        self.most_measured = NEVER_NS
        if plan.request_count is not None:
            self.most_measured = share(plan.request_count, (index - plan.warmup_requests) % count, count)

    @property
    def is_open(self) -> bool:
        """Whether calls have times of their own."""
        return isinstance(self.plan.loop, Open)

    @property
    def is_bounded(self) -> bool:
        """Whether the plan itself ends the run."""
        plan = self.plan
        return self.is_open or any((plan.request_count, plan.duration_s, plan.max_requests, plan.max_tokens))

    @property
    def most_open(self) -> int:
        """How many requests of an open loop may be under way on this worker."""
        most = self.plan.loop.most_open if isinstance(self.plan.loop, Open) else None
        return NEVER_NS if most is None else max(1, share(most, self.index, self.count))

    def due_ns(self, number: int) -> int:
        """When a call of an open loop is due."""
        return self.start_ns + self.arrivals_ns[number // self.count]

    def take(self, now_ns: int) -> Turn | None:
        """The next call; None: there is none, and `why` says why. Of an open loop it may be due later.

        It counts from here on, since between this and its sending a connection may have to be made.
        """
        number = self.next_number
        if self.is_open and number // self.count >= len(self.arrivals_ns):
            self.stop("done", now_ns)
            return None
        due_ns = self.due_ns(number) if self.is_open else None
        at_ns = now_ns if due_ns is None else due_ns
        if limit := self.reached(number, at_ns):
            self.stop(limit, now_ns)
        if self.why is not None:
            return None
        self.next_number += self.count
        return Turn(number, self.phase(number, at_ns), due_ns)

    def reached(self, number: int, at_ns: int) -> str | None:
        """What ends the sending before a call at a time: `limit`, `done`, or nothing."""
        if self.plan.max_requests is not None and number >= self.plan.max_requests:
            return "limit"
        if self.most_tokens is not None and self.tokens >= self.most_tokens:
            return "limit"
        counted_out = self.measured >= self.most_measured and number >= self.plan.warmup_requests
        return "done" if counted_out or at_ns >= self.end_ns else None

    def has_tokens_for(self, requests: int, most_each: int) -> bool:
        """Whether so many requests, beyond those that `tokens` counts, stay below the limit in any case."""
        return self.most_tokens is None or self.tokens + requests * most_each < self.most_tokens

    @property
    def end_ns(self) -> int:
        """When the measured part ends by its duration."""
        if self.plan.duration_s is None or self.measured_from_ns is None:
            return NEVER_NS
        return self.measured_from_ns + int(self.plan.duration_s * NS_PER_S)

    def phase(self, number: int, at_ns: int) -> Phase:
        """Count a call that is sent (or was due) at a time: the part of the run that it belongs to.

        The warm-up ends when its requests were sent and its time has passed.
        """
        if number < self.plan.warmup_requests or at_ns < self.warm_ns:
            return Phase.WARMUP
        if self.measured_from_ns is None:
            self.measured_from_ns = at_ns
        self.measured += 1
        return Phase.MEASURED

    def stop(self, why: str, now_ns: int) -> None:
        """Send nothing more; the first reason counts."""
        if self.why is None:
            self.why, self.stopped_ns = why, now_ns

    def is_past(self, now_ns: int) -> bool:
        """Whether the time for sending is over, even if nobody was free to notice.

        What an open loop could not send by its end, for want of room, may still go for the time of the
        drain; the rest is not sent at all.
        """
        if not self.is_open:
            return now_ns >= self.end_ns
        last_ns = self.start_ns + self.arrivals_ns[-1] if self.arrivals_ns else self.start_ns
        return now_ns >= min(last_ns, self.end_ns) + int(self.plan.drain_s * NS_PER_S)

    def unsent(self, sent: int) -> int:
        """How many calls of an open loop were due before it stopped, beyond those that were sent."""
        if not self.is_open:
            return 0
        until_ns = min(self.stopped_ns, self.end_ns)
        due = sum(self.start_ns + at_ns < until_ns for at_ns in self.arrivals_ns)
        return max(0, due - sent)
