"""Limits a minute: how many requests and tokens a key may use, and what is left of them.

The law of this file: time comes in as integer ns of any monotonic clock, and nothing is rounded. A limit
is a token bucket, as OpenAI's and Anthropic's are: it holds what is allowed in a minute, is full at first,
and fills up evenly. A request is let in when both buckets hold at least one. Its tokens are taken when
they are known, so a bucket may go below zero; then it lets nothing in until it has filled up again.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

MINUTE_NS = 60 * 1_000_000_000
KEYS_KEPT = 10_000
"""Keys whose buckets are remembered; of more, those that were not seen for the longest time start anew."""


class Bucket:
    """`limit` a minute. `level` counts in parts so small that a ns brings `limit` of them."""

    __slots__ = ("at_ns", "level", "limit")

    def __init__(self, limit: int, now_ns: int) -> None:
        self.limit = limit
        self.level = limit * MINUTE_NS
        self.at_ns = now_ns

    def fill(self, now_ns: int) -> None:
        """Take in what the time since the last call brought; a clock that goes back brings nothing."""
        self.level = min(self.limit * MINUTE_NS, self.level + max(0, now_ns - self.at_ns) * self.limit)
        self.at_ns = max(self.at_ns, now_ns)

    def take(self, amount: int) -> None:
        """Take out so many, be they there or not."""
        self.level -= amount * MINUTE_NS

    def left(self) -> int:
        """How many are there."""
        return max(0, self.level // MINUTE_NS)

    def wait_ns(self) -> int:
        """How long until one is there."""
        return -(-max(0, MINUTE_NS - self.level) // self.limit)

    def full_ns(self) -> int:
        """How long until it is full."""
        return -(-(self.limit * MINUTE_NS - self.level) // self.limit)


@dataclass(frozen=True, slots=True)
class Standing:
    """One limit of a key: what it counts, how many a minute, how many are left, when it is full again."""

    counts: str
    limit: int
    left: int
    full_ns: int
    wait_ns: int


@dataclass(slots=True)
class Limiter:
    """Limits of each key for itself: requests and tokens a minute (None: no limit)."""

    requests: int | None = None
    tokens: int | None = None
    buckets: OrderedDict[Hashable, dict[str, Bucket]] = field(default_factory=OrderedDict)

    def of(self, key: Hashable, now_ns: int) -> dict[str, Bucket]:
        """The buckets of a key, filled up to now."""
        found = self.buckets.pop(key, None)
        if found is None:
            limits = {"requests": self.requests, "tokens": self.tokens}
            found = {name: Bucket(limit, now_ns) for name, limit in limits.items() if limit is not None}
        self.buckets[key] = found
        if len(self.buckets) > KEYS_KEPT:
            self.buckets.popitem(last=False)
        for bucket in found.values():
            bucket.fill(now_ns)
        return found

    def admit(self, key: Hashable, now_ns: int) -> Standing | None:
        """Let a request in and count it; else the limit that keeps it out for the longest time."""
        buckets = self.of(key, now_ns)
        refusing = max(standings(buckets), key=lambda one: one.wait_ns, default=None)
        if refusing is not None and refusing.wait_ns:
            return refusing
        if "requests" in buckets:
            buckets["requests"].take(1)
        return None

    def charge(self, key: Hashable, tokens: int, now_ns: int) -> None:
        """Take the tokens of an answer."""
        if (bucket := self.of(key, now_ns).get("tokens")) is not None:
            bucket.take(tokens)

    def reset(self) -> None:
        """Nobody used anything of theirs yet."""
        self.buckets.clear()

    def standing(self, key: Hashable, now_ns: int) -> list[Standing]:
        """What is left of each limit."""
        return standings(self.of(key, now_ns))


def standings(buckets: dict[str, Bucket]) -> list[Standing]:
    """Buckets as they stand."""
    return [
        Standing(name, one.limit, one.left(), one.full_ns(), one.wait_ns()) for name, one in buckets.items()
    ]
