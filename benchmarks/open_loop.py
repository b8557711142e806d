"""What a closed loop hides: the same server, overloaded, under a closed and under an open loop.

    .venv/bin/python benchmarks/open_loop.py [--seconds 15] [--over 1.3]

The server is llama.cpp with the demo's model, which writes 4 answers at a time; more have to wait. First
a closed loop of 4 finds what it can do. Then requests come `--over` times as often as that: once with
at most 4 under way (which makes them wait in the client), once without a bound (which makes them wait
in the server). A closed loop sends when an answer is over, so that nothing ever waits: its figures are
those of a server that has time.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from harness.child import harness_command
from harness.demo.model_server import PACED, SLOTS, ModelServer

LENGTHS = ("--input-tokens", "40", "--output-tokens", "64", "--seed", "1")


def run(url: str, db: Path, *load: str) -> dict[str, Any]:
    """One `harness load`; what it prints with `--json`."""
    command = harness_command("load", "--target", url, *LENGTHS, "--no-null-test", "--quiet", "--json")
    done = subprocess.run([*command, "--db", str(db), *load], capture_output=True, text=True, check=False)
    if not done.stdout:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def report(name: str, found: dict[str, Any]) -> None:
    """One line of figures."""
    figures = found["figures"]
    sent, due = figures["e2el_ms"], figures["e2el_scheduled_ms"]
    scheduled = f"{due['p50']:8.0f} {due['p99']:8.0f}" if due else f"{'-':>8} {'-':>8}"
    print(
        f"{name:34s} {found['verdict']:8s} {figures['requests']:5d} {figures['request_throughput']:7.2f}"
        f" {sent['p50']:8.0f} {sent['p99']:8.0f} {scheduled}",
        flush=True,
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument(
        "--over", type=float, default=1.3, help="load, as a multiple of what the server can do"
    )
    given = parser.parse_args()
    length = ("--benchmark-duration", str(given.seconds))
    print(f"{'':34s} {'':8s} {'':5s} {'':7s} {'E2E from send':>17s} {'from schedule':>17s}  ms")
    print(f"{'load':34s} {'verdict':8s} {'reqs':>5s} {'reqs/s':>7s}" + f" {'p50':>8s} {'p99':>8s}" * 2)
    with ModelServer(PACED) as server, tempfile.TemporaryDirectory() as name:
        db = Path(name) / "runs.db"
        closed = run(server.url, db, "--concurrency", str(SLOTS), *length)
        report(f"closed loop, {SLOTS} at once", closed)
        rate = given.over * closed["figures"]["request_throughput"]
        schedule = ("--request-rate", f"{rate:.3f}", "--arrival-pattern", "constant", *length)
        bounded = run(server.url, db, *schedule, "--concurrency", str(SLOTS))
        report(f"open loop, {rate:.1f}/s, {SLOTS} at once", bounded)
        report(f"open loop, {rate:.1f}/s", run(server.url, db, *schedule))


if __name__ == "__main__":
    main()
