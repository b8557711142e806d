"""Whether the recorder's memory stays flat: its processes' RSS while it records exchange after exchange.

    .venv/bin/python benchmarks/record_memory.py [--exchanges 10000] [--clients 20]

The exchanges are those of a recording, asked for again and again of `harness replay` at full speed, streams
among them, through `harness record`. Printed is, ten times on the way, the RSS of each of the recorder's
processes in MiB. It takes one to three minutes.
"""

import argparse
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import httpx
import psutil

from harness.child import Child, harness_command
from harness.core.exchange import Exchange, State
from harness.store.open import open_recording

RECORDING = Path(__file__).parents[1] / "recordings" / "tiny-llama.db"
STEPS = 10
OWN = ("host", "content-length", "transfer-encoding", "connection")


def main() -> None:
    """Record, and print a line a step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--exchanges", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=20)
    asked = parser.parse_args()
    with open_recording(RECORDING) as opened:
        wanted = [exchange for exchange in opened.exchanges() if exchange.state is State.COMPLETE]
    with tempfile.TemporaryDirectory() as folder:
        upstream = harness_command("replay", str(RECORDING), "--port", "0", "--speed", "0")
        with Child(upstream, quiet=True) as provider:
            options = ("--upstream", provider.url, "--port", "0", "--quiet", "--db", f"{folder}/a.db")
            with Child(harness_command("record", *options), quiet=True) as recorder:
                measure(recorder, cycle(wanted), asked.exchanges, asked.clients)


def measure(recorder: Child, wanted: Iterable[Exchange], count: int, clients: int) -> None:
    """Ask, and say after each step what the processes hold."""
    process = psutil.Process(recorder.process.pid)
    with httpx.Client(base_url=recorder.url, timeout=60) as client, ThreadPoolExecutor(clients) as pool:
        for step in range(STEPS + 1):
            processes = (process, *process.children(recursive=True))
            held = " ".join(f"{one.memory_info().rss >> 20:4}" for one in processes)
            print(f"{step * count // STEPS:6} exchanges: {held} MiB", flush=True)
            if step < STEPS:
                list(pool.map(lambda one: ask(client, one), islice(wanted, count // STEPS)))


def ask(client: httpx.Client, exchange: Exchange) -> None:
    """Make a recorded request once more."""
    request = exchange.request
    headers = [(name, value) for name, value in request.headers if name.lower() not in OWN]
    client.request(request.method, request.path, headers=headers, content=request.body).read()


if __name__ == "__main__":
    main()
