"""Lanes on the axis of a run: what was under way, what the hosts did.

The law of this file: pure, of rows of `load_requests` and `host_samples`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

from harness.core.visible import visible
from harness.report.model import Lane, Series
from harness.report.overtime import Axis, means, rates
from harness.report.times import Row, is_failure, rounded

NS_PER_S = 1_000_000_000
GIB = 1 << 30
MB = 1_000_000
MOST_POINTS = 4000
"""Samples of a lane that are drawn: hours of 10 Hz are thinned evenly."""


def request_lanes(rows: Sequence[Row], axis: Axis) -> Iterator[Lane]:
    """What was under way, tokens a second (evenly over each answer), requests a second."""
    at_s = axis.middles_s()
    yield lane(
        "Under way", "requests", at_s, [("requests", means(chain.from_iterable(map(stay, rows)), axis))]
    )
    tokens = [change for row in rows if not is_failure(row) for change in pace(row)]
    if tokens:
        yield lane("Output tokens", "tokens/s", at_s, [("of successes", means(tokens, axis))])
    failed = [rounded(row["end_ns"]) for row in rows if is_failure(row)]
    sent = ("sent", rates((rounded(row["sent_ns"]) for row in rows), axis))
    yield lane("Requests", "per s", at_s, [sent, *([("failed", rates(failed, axis))] if failed else [])])


def stay(row: Row) -> tuple[tuple[int, float], ...]:
    """A request as changes of what is under way."""
    return (rounded(row["sent_ns"]), 1.0), (rounded(row["end_ns"]), -1.0)


def pace(row: Row) -> tuple[tuple[int, float], ...]:
    """An answer as changes of the tokens a second; one that came at once counts as a millisecond."""
    tokens, first, last = row["tokens_out"], row["first_token_ns"], row["last_token_ns"]
    if not tokens or first is None or last is None:
        return ()
    start, end = rounded(first), max(rounded(last), rounded(first) + 1000)
    per_s = tokens * 1e6 / (end - start)
    return (start, per_s), (end, -per_s)


def host_lanes(samples: Sequence[Row]) -> Iterator[Lane]:
    """CPU, memory and network of each host."""
    hosts: dict[str, list[Row]] = defaultdict(list)
    for row in samples:
        hosts[row["host"]].append(row)
    for host, rows in hosts.items():
        yield from lanes_of_host(visible(host), thinned(rows))


def lanes_of_host(host: str, rows: Sequence[Row]) -> Iterator[Lane]:
    """The lanes of one host."""
    at_s = seconds(rows)
    busiest = tuple(max(row["cores"], default=None) for row in rows)
    cpu = tuple(row["cpu_percent"] for row in rows)
    yield lane(f"Host {host}: CPU", "%", at_s, [("all cores", cpu), ("busiest core", busiest)])
    network = [(name, speeds(rows, f"{name}_bytes")) for name in ("received", "sent")]
    yield lane(f"Host {host}: network", "MB/s", at_s, network)
    memory = tuple(round(row["memory_used_bytes"] / GIB, 3) for row in rows)
    yield lane(f"Host {host}: memory", "GiB", at_s, [("used", memory)])


def speeds(rows: Sequence[Row], column: str) -> tuple[float | None, ...]:
    """A counter of bytes as MB a second since the sample before."""
    steps = (
        (after[column] - before[column], after["at_ns"] - before["at_ns"]) for before, after in pairwise(rows)
    )
    known = (
        round(amount / MB / (ns / NS_PER_S), 4) if ns > 0 and amount >= 0 else None for amount, ns in steps
    )
    return (None, *known)


def seconds(rows: Sequence[Row]) -> tuple[float, ...]:
    """When the samples were."""
    return tuple(round(row["at_ns"] / NS_PER_S, 4) for row in rows)


def thinned(rows: Sequence[Row], most: int = MOST_POINTS) -> Sequence[Row]:
    """All rows, or every n-th."""
    return rows[:: -(-len(rows) // most)] if rows else rows


def lane(
    title: str, unit: str, at_s: tuple[float, ...], lines: Iterable[tuple[str, tuple[float | None, ...]]]
) -> Lane:
    """A lane of named lines."""
    return Lane(title=title, unit=unit, at_s=at_s, series=tuple(Series(name=n, values=v) for n, v in lines))
