"""What recording costs: CPU of each process, lateness of the proxy's loop, bytes that waited for the writer.

The law of this file: figures count from the moment at which the recorder was ready, so that starting it
is in none. The proxy tells the writer (`Kind.COST`), that one tells the supervisor, whose own share comes
last; what nobody was left to say is None. CPU is user and system time of the process itself.
"""

import asyncio
import json
import time
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from harness.core.derive import Derived
from harness.core.exchange import Exchange
from harness.core.visible import counted
from harness.record.handover import Handover
from harness.record.lag import Lateness
from harness.record.message import STAMP, Kind, encode

DOUBTFUL_NS = 5_000_000
"""The rule: an `error_bound_ns` above this makes the times of an exchange doubtful.

As much as `harness verify` tolerates unless it is told otherwise.
"""

type Cost = Mapping[str, Any]
"""`exchanges`, `events`, `doubtful`: counts. `cpu_ns`: process -> CPU. `lag_ns`: `p50`, `p99`, `max`.
`queue_peak_bytes`."""


class Meter:
    """The proxy's side."""

    def __init__(self, lateness: Lateness, handover: Handover) -> None:
        self.lateness = lateness
        self.handover = handover
        self.began_ns = 0
        self.timer: asyncio.TimerHandle | None = None

    async def begin(self) -> None:
        """Count from now on, or rather from two passes of the loop later: this one may have been long."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.lateness.restart(time.monotonic_ns())
        self.began_ns = time.process_time_ns()

    def tell(self) -> None:
        """Send what recording has cost so far, if there is anybody to send it to."""
        if self.handover.transport is not None:
            self.handover.send(encode({"kind": Kind.COST, **self.figures()}, b"", array(STAMP), ()))

    def figures(self) -> dict[str, Any]:
        """CPU, lateness, queue."""
        lateness = self.lateness
        return {
            "cpu_ns": time.process_time_ns() - self.began_ns,
            "lag_ns": {
                "p50": lateness.quantile(0.5),
                "p99": lateness.quantile(0.99),
                "max": lateness.worst,
            },
            "queue_peak_bytes": self.handover.peak,
        }

    @contextmanager
    def telling(self, every_s: float) -> Iterator[None]:
        """Tell every so many seconds while this lasts; never with 0."""
        if every_s:
            self._later(every_s)
        yield
        if self.timer:
            self.timer.cancel()

    def _later(self, every_s: float) -> None:
        self.timer = asyncio.get_running_loop().call_later(every_s, self._again, every_s)

    def _again(self, every_s: float) -> None:
        self.tell()
        self._later(every_s)


class Account:
    """The writer's side: counts what it stores. `proxy` is what the proxy told last."""

    def __init__(self) -> None:
        self.began_ns = time.process_time_ns()
        self.exchanges = self.events = self.doubtful = self.told = 0
        self.proxy: Mapping[str, Any] | None = None

    def add(self, exchange: Exchange, derived: Derived) -> None:
        """An exchange is stored."""
        self.exchanges += 1
        self.events += len(derived.events)
        self.doubtful += is_doubtful(exchange.error_bound_ns)

    def report(self) -> Cost:
        """All so far."""
        proxy = self.proxy or {}
        return {
            "exchanges": self.exchanges,
            "events": self.events,
            "doubtful": self.doubtful,
            "cpu_ns": {
                "proxy": proxy.get("cpu_ns"),
                "writer": time.process_time_ns() - self.began_ns,
                "supervisor": None,
            },
            "lag_ns": proxy.get("lag_ns"),
            "queue_peak_bytes": proxy.get("queue_peak_bytes"),
        }

    def news(self) -> Cost | None:
        """All so far, unless nothing was stored since this was asked last."""
        before, self.told = self.told, self.exchanges
        return self.report() if self.told != before else None


def is_doubtful(error_bound_ns: int | None) -> bool:
    """Whether times may be off by too much."""
    return error_bound_ns is not None and error_bound_ns > DOUBTFUL_NS


def whole_cost(cost: Cost | None, supervisor_ns: int) -> Cost | None:
    """What the writer told, with the supervisor's share."""
    return None if cost is None else {**cost, "cpu_ns": {**cost["cpu_ns"], "supervisor": supervisor_ns}}


def cost_lines(cost: Cost, *, as_json: bool) -> list[str]:
    """The cost for people, in two lines, or for machines, in one."""
    if as_json:
        return [json.dumps({"cost": as_object(cost)})]
    return [f"harness record: {line}" for line in (spent_line(cost), times_line(cost))]


def spent_line(cost: Cost) -> str:
    """CPU and memory."""
    shares = [share(name, ns, cost) for name, ns in cost["cpu_ns"].items() if ns is not None]
    peak = cost["queue_peak_bytes"]
    waited = "" if peak is None else f"; at most {peak / 2**20:.1f} MiB waited to be stored"
    return f"cost: CPU of {', '.join(shares)}{waited}"


def share(name: str, cpu_ns: int, cost: Cost) -> str:
    """A process's CPU, and what of it falls to an exchange and an event.

    >>> share("proxy", 50_000_000, {"exchanges": 2, "events": 1000})
    'proxy 50 ms (25.0 ms an exchange, 50 µs an event)'
    """
    each = []
    if cost["exchanges"]:
        each.append(f"{cpu_ns / 1e6 / cost['exchanges']:.1f} ms an exchange")
    if cost["events"]:
        each.append(f"{cpu_ns / 1e3 / cost['events']:.0f} µs an event")
    whole = f"{cpu_ns / 1e9:.2f} s" if cpu_ns >= 1e9 else f"{cpu_ns / 1e6:.0f} ms"
    return f"{name} {whole}" + (f" ({', '.join(each)})" if each else "")


def times_line(cost: Cost) -> str:
    """How good the times are."""
    lag = cost["lag_ns"] or {}
    known = [f"{name} {ns / 1e6:.2f} ms" for name, ns in lag.items() if ns is not None]
    late = f"loop lag {', '.join(known)}; " if known else ""
    of = f"{cost['doubtful']} of {counted(cost['exchanges'], 'exchange')}"
    return f"times: {late}{of} doubtful (error_bound_ns above {DOUBTFUL_NS // 1_000_000} ms)"


def as_object(cost: Cost) -> dict[str, Any]:
    """The cost as machines get it: times in ms, CPU of an event in µs; None: unknown."""
    exchanges, events = cost["exchanges"], cost["events"]
    return {
        "exchanges": exchanges,
        "events": events,
        "processes": {
            name: {
                "cpu_ms": scaled(ns, 1e6),
                "cpu_ms_an_exchange": scaled(ns, 1e6 * exchanges),
                "cpu_us_an_event": scaled(ns, 1e3 * events),
            }
            for name, ns in cost["cpu_ns"].items()
        },
        "loop_lag_ms": {
            name: scaled((cost["lag_ns"] or {}).get(name), 1e6) for name in ("p50", "p99", "max")
        },
        "queue_peak_bytes": cost["queue_peak_bytes"],
        "doubtful": {"exchanges": cost["doubtful"], "error_bound_ms_above": DOUBTFUL_NS / 1e6},
    }


def scaled(ns: int | None, unit: float) -> float | None:
    """Nanoseconds in another unit, to three places; None: unknown, or of nothing."""
    return None if ns is None or not unit else round(ns / unit, 3)
