"""How soon `harness replay` listens with many exchanges in a recording, and what a miss costs.

    .venv/bin/python benchmarks/replay_match.py [--exchanges 10000] [--rounds 5]

Makes a recording of that many different chat streams in a temporary folder (one to four messages of 40
words, a system prompt, 20 events), starts the server on it as users do, and prints

- start: seconds from the start of the command until it says that it listens, the median of the rounds
  with the fastest and the slowest;
- a miss with its three nearest: milliseconds until its 404 is there, of the first and of 200 more, each a
  recorded request with some words changed: median, 99th percentile, largest;
- how late the server wrote to 20 streams that ran meanwhile, and to 20 without misses beside them.

A quiet machine is all that it asks for. It takes some two minutes.
"""

import argparse
import http.client
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from harness.child import Child, harness_command
from harness.core.admin import Timing
from harness.core.derive import derive
from harness.core.exchange import Exchange, Request, Response
from harness.core.metrics import quantile
from harness.core.redaction import Rules
from harness.store.capture import Capture, now
from harness.store.writer import RecordingWriter

MS = 1_000_000
PATH = "/v1/chat/completions"
EVENTS = 20
MISSES = 200
STREAMS = 20
WORDS = [
    f"{a}{b}" for a in ("ba", "de", "ki", "lo", "mu", "ra", "so") for b in ("n", "ra", "lis", "to", "ku")
]


def main() -> None:
    """Measure, and print."""
    asked = arguments()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.db"
        bodies = record(path, asked.exchanges)
        starts = sorted(start(path) for _ in range(asked.rounds))
        spread = f"{starts[0]:.2f} to {starts[-1]:.2f}"
        print(f"{asked.exchanges} exchanges, start: {median(starts):.2f} s ({spread})")
        with Child(harness_command("replay", str(path), "--port", "0"), quiet=True) as server:
            told("streams alone", timing(server.url, bodies, beside=iter(())))
        with Child(harness_command("replay", str(path), "--port", "0"), quiet=True) as server:
            misses: list[int] = []
            told(
                "streams beside misses",
                timing(server.url, bodies, beside=missing(server.url, bodies, misses)),
            )
            first, rest = misses[0], sorted(misses[1:])
            figures = (median(rest), quantile(rest, 0.99), rest[-1])
            print(f"a miss: first {first / MS:.1f} ms, then p50 {figures[0] / MS:.1f}, ", end="")
            print(f"p99 {figures[1] / MS:.1f}, max {figures[2] / MS:.1f} ms")


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--exchanges", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def record(path: Path, count: int) -> list[bytes]:
    """Make a recording of so many exchanges; the bodies of their requests."""
    chance, bodies = random.Random(1), []  # noqa: S311  no secret is made
    with RecordingWriter(path) as writer:
        writer.start_capture(Capture(now(), redaction=Rules.default()))
        for _ in range(count):
            bodies.append(request_body(chance))
            exchange = stream(bodies[-1], chance)
            writer.add(exchange, derive(exchange))
    return bodies


def request_body(chance: random.Random) -> bytes:
    """A chat of one to four messages after a system prompt."""
    roles = ["user", "assistant", "user", "assistant"][: chance.randint(1, 4)]
    messages = [{"role": "system", "content": words(chance, 60)}]
    messages += [{"role": role, "content": words(chance, 40)} for role in roles]
    return json.dumps({"model": "m", "stream": True, "temperature": 0.5, "messages": messages}).encode()


def words(chance: random.Random, count: int) -> str:
    """So many words."""
    return " ".join(chance.choices(WORDS, k=count))


def stream(body: bytes, chance: random.Random) -> Exchange:
    """An exchange with a stream of events 20 ms apart."""
    said = [
        {"model": "m", "choices": [{"index": 0, "delta": {"content": words(chance, 1)}}]}
        for _ in range(EVENTS)
    ]
    datas = [*map(json.dumps, said), "[DONE]"]
    chunks = tuple((300 * MS + 20 * MS * n, f"data: {data}\n\n".encode()) for n, data in enumerate(datas))
    headers = (("content-type", "text/event-stream"),)
    request = Request("POST", f"http://api.test{PATH}", (("content-type", "application/json"),), body)
    return Exchange(request, Response(200, headers, 290 * MS, chunks, chunks[-1][0]), upstream="openai")


def start(path: Path) -> float:
    """Seconds until a server on the recording listens."""
    started = time.perf_counter()
    with Child(harness_command("replay", str(path), "--port", "0"), quiet=True):
        return time.perf_counter() - started


def post(url: str, body: bytes) -> int:
    """Ask once; the status."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.request("POST", PATH, body)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def missing(url: str, bodies: list[bytes], took: list[int]) -> Iterator[None]:
    """Send requests that miss, and note what each took, in ns."""
    chance = random.Random(2)  # noqa: S311  no secret is made
    for _ in range(MISSES + 1):
        changed = json.loads(chance.choice(bodies))
        changed["messages"][-1]["content"] += " and something that nobody recorded"
        started = time.perf_counter_ns()
        if post(url, json.dumps(changed).encode()) != 404:
            sys.exit("a request that nobody recorded was answered")
        took.append(time.perf_counter_ns() - started)
        yield


def timing(url: str, bodies: list[bytes], beside: Iterator[None]) -> Timing:
    """How late the server wrote to streams while something went on beside them."""
    threads = [threading.Thread(target=post, args=(url, body)) for body in bodies[:STREAMS]]
    for thread in threads:
        thread.start()
    for _ in beside:
        pass
    for thread in threads:
        thread.join()
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.request("GET", "/__admin/timing")
    said = Timing.model_validate_json(connection.getresponse().read())
    connection.close()
    return said


def told(what: str, late: Timing) -> None:
    """Print how late the server wrote."""
    print(f"{what}: {late.writes} writes, late by p50 {late.p50_ms}, p99 {late.p99_ms}, max {late.max_ms} ms")


if __name__ == "__main__":
    main()
