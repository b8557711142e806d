"""Load runs in real recordings, through the writers of the store, for tests of what reads them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.load.figures import Tally
from harness.load.records import Result
from harness.load.rows import result_row
from harness.store.gpu_log import GpuWriter, Owner
from harness.store.load_runs import Completion, LoadRun, LoadWriter

CHECK = {
    "name": "loop_lag",
    "value": 1.5,
    "unit": "ms",
    "limit": 50.0,
    "grade": "ok",
    "line": "a worker was late",
}
CARD = {
    "gpu": "GPU-1",
    "host": "here",
    "number": 0,
    "name": "NVIDIA H100",
    "parent": None,
    "mig": False,
    "driver": "570.1",
    "memory_total_bytes": 80 << 30,
    "power_limit_mw": 700_000,
}
MS = 1_000_000


def stored_run(path: Path, results: Iterable[Result], done: dict[str, Any] | None = None, **run: Any) -> int:
    """Append a run to a recording; its id. `done` changes its completion; {"verdict": None}: it goes on."""
    kept, tally = list(results), Tally()
    for result in kept:
        tally.take(result)
    values: dict[str, Any] = {
        "started_at": "2026-01-02T03:04:05.000000Z",
        "target": "http://127.0.0.1:1",
        "loop": "closed",
        "concurrency": 8,
        "workers": 1,
        "host": "here",
        "plan": {"loop": {"kind": "closed", "concurrency": 8}},
        "clock": {"wall_ns": 1},
        "versions": {"harness": "1"},
    }
    with LoadWriter(path) as writer:
        run_id = writer.start(LoadRun(**(values | run)))
        writer.add_requests(map(result_row, kept))
        completion: dict[str, Any] = {
            "verdict": "valid",
            "sent": len(kept),
            "recorded": len(kept),
            "figures": tally.figures().model_dump(mode="json"),
            "checks": (CHECK,),
        }
        completion |= done or {}
        if completion["verdict"] is not None:
            writer.complete(Completion(**completion), [])
    return run_id


def stored_hosts(path: Path, run_id: int, percents: Sequence[float]) -> None:
    """Give a run a sample a second of its host, which receives 2 MB in each."""
    with LoadWriter(path) as writer:
        writer.run_id = run_id
        writer.add_samples(
            {
                "host": "here",
                "at_ns": second * 1000 * MS,
                "monotonic_ns": second,
                "wall_ns": second,
                "anchor_error_ns": 0,
                "cpu_percent": percent,
                "cores": [percent, percent / 2],
                "memory_used_bytes": 1 << 30,
                "memory_total_bytes": 2 << 30,
                "received_bytes": second * 2_000_000,
                "sent_bytes": 0,
            }
            for second, percent in enumerate(percents)
        )


def stored_card(
    path: Path, owner: int | Owner, samples: Iterable[dict[str, Any]], *events: dict[str, Any]
) -> None:
    """Give a run (its id) or a capture a card: samples (`at_ms`, counters), events (`at_ms`, `what`)."""
    plain = {"error_ns": 1000, "counter": None, "code": None, "detail": ""}
    with GpuWriter(path, owner if isinstance(owner, Owner) else Owner(run_id=owner)) as writer:
        writer.add(
            [CARD],
            [
                ("GPU-1", {"at_ns": round(s["at_ms"] * MS)} | {n: v for n, v in s.items() if n != "at_ms"})
                for s in samples
            ],
            [
                (
                    "GPU-1",
                    plain | {"at_ns": round(e["at_ms"] * MS)} | {n: v for n, v in e.items() if n != "at_ms"},
                )
                for e in events
            ],
        )
