"""What recording costs: counted, told by each process, and said in words and as JSON."""

import asyncio
import json
import socket
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.core.derive import derive
from harness.core.exchange import Exchange
from harness.record.cost import DOUBTFUL_NS, Account, Meter, cost_lines, is_doubtful, whole_cost
from harness.record.handover import Handover
from harness.record.lag import Lateness
from harness.record.message import Kind, read
from harness.record.supervisor import Settings, record
from harness.record.upstream import parse

if TYPE_CHECKING:
    from tests.plugins.wire import Upstream

MS = 1_000_000
COST: Mapping[str, Any] = {
    "exchanges": 2,
    "events": 1000,
    "doubtful": 1,
    "cpu_ns": {"proxy": 50 * MS, "writer": 1500 * MS, "supervisor": 2 * MS},
    "lag_ns": {"p50": 50_000, "p99": 2 * MS, "max": 7 * MS},
    "queue_peak_bytes": 3 << 20,
}


def test_people_get_two_lines() -> None:
    assert cost_lines(COST, as_json=False) == [
        (
            "harness record: cost: CPU of proxy 50 ms (25.0 ms an exchange, 50 µs an event), writer 1.50 s "
            "(750.0 ms an exchange, 1500 µs an event), supervisor 2 ms (1.0 ms an exchange, 2 µs an event); "
            "at most 3.0 MiB waited to be stored"
        ),
        (
            "harness record: times: loop lag p50 0.05 ms, p99 2.00 ms, max 7.00 ms; 1 of 2 exchanges "
            "doubtful (error_bound_ns above 5 ms)"
        ),
    ]


def test_machines_get_one() -> None:
    (line,) = cost_lines(COST, as_json=True)
    cost = json.loads(line)["cost"]
    assert (cost["exchanges"], cost["events"], cost["queue_peak_bytes"]) == (2, 1000, 3 << 20)
    assert cost["processes"]["proxy"] == {"cpu_ms": 50.0, "cpu_ms_an_exchange": 25.0, "cpu_us_an_event": 50.0}
    assert cost["loop_lag_ms"] == {"p50": 0.05, "p99": 2.0, "max": 7.0}
    assert cost["doubtful"] == {"exchanges": 1, "error_bound_ms_above": 5.0}


def test_what_nobody_told_is_left_out(make_exchange: Callable[..., Exchange]) -> None:
    account = Account()
    assert account.news() is None
    plain = replace(make_exchange(), response=None)
    account.add(plain, derive(plain))
    cost = account.news()
    assert cost is not None
    assert account.news() is None
    spent, times = cost_lines(cost, as_json=False)
    assert "proxy" not in spent
    assert "an event" not in spent
    assert times.endswith("times: 0 of 1 exchange doubtful (error_bound_ns above 5 ms)")
    told = json.loads(cost_lines(cost, as_json=True)[0])["cost"]
    assert told["processes"]["proxy"] == dict.fromkeys(("cpu_ms", "cpu_ms_an_exchange", "cpu_us_an_event"))
    assert told["loop_lag_ms"] == dict.fromkeys(("p50", "p99", "max"))
    assert whole_cost(None, 1) is None


@pytest.mark.parametrize(
    ("bound_ns", "doubtful"), [(None, False), (0, False), (DOUBTFUL_NS, False), (DOUBTFUL_NS + 1, True)]
)
def test_the_rule(bound_ns: int | None, doubtful: bool, make_exchange: Callable[..., Exchange]) -> None:
    assert is_doubtful(bound_ns) is doubtful
    account = Account()
    account.add(make_exchange(error_bound_ns=bound_ns), derive(make_exchange()))
    assert (account.report()["doubtful"], account.report()["events"]) == (int(doubtful), 5)


def test_the_proxy_tells_again_and_again_and_a_writer_that_is_gone_is_told_nothing() -> None:
    failures: list[str] = []

    async def run() -> list[Mapping[str, Any]]:
        ours, theirs = socket.socketpair()
        handover = await Handover.over(ours, failures.append)
        lateness = Lateness()
        lateness.note(1, 30 * MS)
        meter = Meter(lateness, handover)
        await meter.begin()
        lateness.note(2, 3 * MS)
        with theirs, theirs.makefile("rb") as source, meter.telling(0.01):
            messages = [await asyncio.to_thread(read, source) for _ in range(2)]
        await handover.closed
        meter.tell()
        return [message.head for message in messages if message]

    for head in asyncio.run(run()):
        assert head["kind"] == Kind.COST
        assert head["lag_ns"] == {"p50": 3 * MS, "p99": 3 * MS, "max": 3 * MS}
        assert 0 <= head["cpu_ns"] < 60_000 * MS  # since it began, and not since the machine did
    assert set(failures) <= {"the writer is gone"}
    assert len(failures) <= 1


def test_a_run_says_what_it_cost_while_it_goes_on_and_at_its_end(
    upstream: "Upstream", tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    upstream.on("/v1", upstream.head(200, "Content-Length: 2"), b"{}")
    heard: list[str] = []

    async def program(urls: Mapping[str, str]) -> int:
        await asyncio.to_thread(lambda: urllib.request.urlopen(f"{urls['default']}/v1").read())
        async with asyncio.timeout(20):
            while '{"cost"' not in "".join(heard):
                await asyncio.sleep(0.05)
                heard.append(capfd.readouterr().err)
        return 0

    settings = Settings((parse(upstream.url),), tmp_path / "a.db", "127.0.0.1", 0, lines="json", stats_s=0.1)
    outcome = record(settings, program)
    told = [json.loads(line) for line in "".join(heard).splitlines() if line.startswith('{"cost"')]
    assert told[0]["cost"]["exchanges"] == 1
    assert outcome.cost is not None
    assert set(outcome.cost["cpu_ns"]) == {"proxy", "writer", "supervisor"}
    assert min(outcome.cost["cpu_ns"].values()) > 0
    assert outcome.cost["lag_ns"]["max"] >= outcome.cost["lag_ns"]["p50"] > 0
    assert outcome.cost["queue_peak_bytes"] < 1 << 20  # of one small exchange
