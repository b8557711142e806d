"""How well does the load client know when events came? Our reader and Locust's own, on the same server.

    .venv/bin/python benchmarks/load_reader.py PATH/TO/LAB [--streams 200,1000] [--seconds 6]

The server is the lab's floor (`floor.c`), which logs when it wrote each event. It is built here with
two lines changed, so that its log holds moments of the monotonic clock instead of offsets from the
request, and knows a stream by the number that our client sends. An event's error is the client's stamp
minus that moment: above 0 is late. First comes `loadtests/stream.py`, then a Locust user that reads
with `FastHttpSession.iter_lines` and stamps each line, as Locust's documentation shows it; both in one
process, with one server process beside them, one after another. It needs a C compiler.
"""

import argparse
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.core.metrics import quantile
from harness.load.child import LocustChild, free_port
from harness.load.folder import Folder
from harness.load.plan import Call, Closed, Plan
from harness.load.records import RECORD, Result, Tick

ROW = struct.Struct("<IIqq")
"""The floor's `write_log_t`: stream, event, planned offset, moment of writing."""
CHANGES = (
    ("now_ns() - c->arrival_ns;\n    for", "now_ns();\n    for"),
    ('"\\r\\nX-Stream:"', '"\\r\\nX-Harness-Request:"'),
)
WARMUP_S = 2.0
NS_PER_S = 1_000_000_000

LOCUST_FILE = '''
"""Locust's documented way to read a stream, with a stamp for each line."""
import json, os, time
from array import array
from itertools import count
from locust import FastHttpUser, events, task

CALLS = [json.loads(line) for line in open(os.environ["BENCH_CALLS"])]
NUMBERS = count()
ROWS = array("q")


class Reader(FastHttpUser):
    @task
    def stream(self):
        number = next(NUMBERS)
        call = CALLS[number % len(CALLS)]
        headers = {**dict(call["headers"]), "X-Harness-Request": str(number)}
        event = 0
        for line in self.client.iter_lines(call["path"], "POST", data=call["body"], headers=headers):
            if line.startswith("data:"):
                ROWS.extend((number, event, time.monotonic_ns()))
                event += 1


@events.quitting.add_listener
def write(**_):
    with open(os.environ["BENCH_ROWS"], "wb") as file:
        ROWS.tofile(file)
'''


def build(lab: Path, folder: Path) -> Path:
    """The floor with its changed lines, and the workload."""
    source = (lab / "floor.c").read_text()
    for before, after in CHANGES:
        if source.count(before) != 1:
            raise SystemExit(f"{lab / 'floor.c'} is not the one that this benchmark knows: no {before!r}")
        source = source.replace(before, after)
    (folder / "floor.c").write_text(source)
    floor = folder / "floor"
    subprocess.run(
        [shutil.which("cc") or "cc", "-O2", f"-I{lab}", "-o", floor, folder / "floor.c"], check=True
    )
    workload = [sys.executable, lab / "workload.py", "--seed", "1", "--out", folder]
    subprocess.run(workload, check=True, stdout=subprocess.DEVNULL)
    return floor


def calls_of(workload: Path) -> list[Call]:
    """The requests of the workload."""
    lines = workload.read_text().splitlines()
    return [
        Call(
            path="/v1/chat/completions",
            body=json.loads(line)["request"]["body"],
            headers=(("content-type", "application/json"), ("X-Recording", str(number))),
        )
        for number, line in enumerate(lines)
    ]


@contextmanager
def serving(floor: Path, folder: Path, log: Path) -> Iterator[str]:
    """The floor at work; its URL."""
    port = free_port()
    command = [str(floor), str(port), str(folder / "workload.bin"), str(log)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert server.stdout is not None
    server.stdout.readline()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
        server.stdout.close()


def written(log: Path) -> dict[tuple[int, int], int]:
    """When the floor wrote each event of each stream."""
    return {(stream, event): at_ns for stream, event, _, at_ns in ROW.iter_unpack(log.read_bytes())}


def run_ours(
    url: str, calls: list[Call], streams: int, seconds: float, folder: Path
) -> tuple[dict[tuple[int, int], int], float]:
    """When our client says that each event came, and its CPU time in s."""
    files = Folder(folder)
    loop = Closed(concurrency=streams, ramp_s=WARMUP_S)
    duration_s = WARMUP_S + seconds
    plan = Plan(
        target=url, loop=loop, duration_s=duration_s, drain_s=0.2, save_events=True, mark_requests=True
    )
    files.write(plan, calls)
    with LocustChild(files, 1) as child:
        if child.wait(seconds + 60) is None:
            raise SystemExit(child.output_tail())
    came, cpu_s = {}, 0.0
    for line in files.records(0).read_bytes().splitlines():
        record = RECORD.validate_json(line)
        if isinstance(record, Result):
            for event, (offset_ns, _) in enumerate(record.offsets or ()):
                came[record.number, event] = record.sent_ns + offset_ns
        elif isinstance(record, Tick):
            cpu_s = record.cpu_s
    return came, cpu_s


def run_iter_lines(url: str, streams: int, seconds: float, folder: Path) -> dict[tuple[int, int], int]:
    """When Locust's reader sees each event."""
    file, rows = folder / "iter_lines.py", folder / "iter_lines.bin"
    file.write_text(LOCUST_FILE)
    command = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "--only-summary", "--host", url]
    command += ["-u", str(streams), "-r", str(streams / WARMUP_S), "-t", f"{int(WARMUP_S + seconds)}s"]
    env = {**os.environ, "BENCH_CALLS": str(folder / "calls.jsonl"), "BENCH_ROWS": str(rows)}
    with (folder / "iter_lines.log").open("wb") as log:
        subprocess.run(command, stdout=log, stderr=log, env=env, check=False)
    data = struct.iter_unpack("<qqq", rows.read_bytes())
    return {(number, event): at_ns for number, event, at_ns in data}


def report(
    name: str, streams: int, came: dict[tuple[int, int], int], wrote: dict[tuple[int, int], int]
) -> None:
    """One line of figures, over what was written after the ramp."""
    from_ns = min(wrote.values()) + int(WARMUP_S * NS_PER_S)
    errors = sorted(at_ns - wrote[key] for key, at_ns in came.items() if wrote[key] >= from_ns)
    p50, p99 = (quantile(errors, q) / 1e6 for q in (0.5, 0.99))
    print(
        f"{streams:5d} streams  {name:10s}  {len(errors):8d} events  error p50 {p50:8.3f}  p99 {p99:8.3f}"
        f"  min {errors[0] / 1e6:7.3f}  max {errors[-1] / 1e6:8.3f} ms",
        flush=True,
    )


def compare(lab: Path, streams: int, seconds: float) -> None:
    """Both readers at so many streams."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        floor = build(lab, folder)
        calls = calls_of(folder / "workload.jsonl")
        with serving(floor, folder, folder / "ours.log") as url:
            came, cpu_s = run_ours(url, calls, streams, seconds, folder)
        report("harness", streams, came, written(folder / "ours.log"))
        print(f"               {cpu_s / max(1, len(came)) * 1e6:.1f} us of CPU an event, Locust's start too")
        with serving(floor, folder, folder / "theirs.log") as url:
            came = run_iter_lines(url, streams, seconds, folder)
        report("iter_lines", streams, came, written(folder / "theirs.log"))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lab", type=Path)
    parser.add_argument("--streams", default="200,1000")
    parser.add_argument("--seconds", type=float, default=6.0)
    given = parser.parse_args()
    for streams in given.streams.split(","):
        compare(given.lab, int(streams), given.seconds)


if __name__ == "__main__":
    main()
