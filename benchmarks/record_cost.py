"""What `harness record` costs: CPU time an event of its proxy and of its writer.

    .venv/bin/python benchmarks/record_cost.py [--streams 25] [--passes 2] [--rounds 5]

Streams of 201 events of some 250 bytes, 20 ms apart on average, come from `harness replay` and go to a
client, in turn through mitmproxy that streams and records nothing (the same addons and options as the
recorder's, on the stock loop), and through `harness record`. Printed are, for each round and as medians,
µs of CPU (user and system) an event: of the plain proxy, of the recorder's proxy and how much more that
is, and of the writer, which redacts, derives and stores. It needs two quiet CPUs, of which what is
measured has one, and takes two minutes. Single rounds may be off by a third: look at the medians.
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from itertools import accumulate, count
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import psutil
from mitmproxy.addons import proxyserver
from mitmproxy.http import HTTPFlow

from harness.child import Child, harness_command
from harness.client import Conversation, converse
from harness.record.ports import free_ports
from harness.record.proxy import Ready, Settings, build_master
from harness.record.upstream import parse

HOST, URL = "127.0.0.1", "https://api.openai.com/v1/chat/completions"
RECORDINGS, TOKENS, GAP_NS = 50, 200, 20_000_000
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
MEASURED, OTHERS = 0, 1
"""Places in `CPUS`: what shares a CPU with whom would else make a difference of a fifth."""

LIMIT_NS = 60_000_000_000
SETTLE_S = 1.0
"""From the end of the last stream to the reading of what it cost: the writer comes after the proxy."""


def main() -> None:
    """Measure, and print a line a round."""
    asked = arguments()
    if asked.plain:
        asyncio.run(stream_plainly(*asked.plain))
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(asked, Path(folder))


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("streams", 25), ("passes", 2), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--plain", nargs=2, metavar=("PORT", "URL"), help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(asked: argparse.Namespace, folder: Path) -> None:
    """The rounds, the plain proxy and the recorder in turn."""
    workload = folder / "workload.jsonl"
    workload.write_text("".join(exchange(number) + "\n" for number in range(RECORDINGS)))
    print(f"{'':8}{'plain proxy':>12} {'recording':>12} {'more':>7} {'writer':>8}   µs an event")
    rounds = []
    pin(OTHERS)
    with Child(harness_command("replay", str(workload), "--port", "0"), quiet=True) as upstream:
        for number in count(1):
            (port,) = free_ports(HOST, 0, 1)
            plain = cost([*harness_command()[:1], __file__, "--plain", str(port), upstream.url], asked)
            db = str(folder / f"{number}.db")
            options = ("--upstream", upstream.url, "--port", "0", "--db", db, "--quiet")
            recorder = cost(harness_command("record", *options), asked)
            rounds.append((plain[""], recorder["harness.record.proxy"], recorder["harness.record.writer"]))
            show(f"round {number}", *rounds[-1])
            if number == asked.rounds:
                break
    show("median", *(median(column) for column in zip(*rounds, strict=True)))


def exchange(number: int) -> str:
    """A stream of chat chunks as an interchange line; the last one is `[DONE]`."""
    made, tokens = random.Random(number), [f" token{index:03d}" for index in range(TOKENS)]  # noqa: S311
    start = {"id": f"chatcmpl-{number:08d}", "object": "chat.completion.chunk", "created": 1767225600}
    start |= {"model": "gpt-4o-mini-2024-07-18", "system_fingerprint": "fp_0123456789"}
    choices = [[{"index": 0, "delta": {"content": text}, "finish_reason": None}] for text in tokens]
    times = accumulate(made.uniform(0, 2 * GAP_NS) for _ in range(TOKENS + 1))
    pads = ["x" * made.randint(0, 8) for _ in tokens]
    events = [
        start | {"choices": choice, "obfuscation": pad} for choice, pad in zip(choices, pads, strict=True)
    ]
    data = [*(json.dumps(event, separators=(",", ":")) for event in events), "[DONE]"]
    chunks = [[int(at), f"data: {text}\n\n"] for at, text in zip(times, data, strict=True)]
    request = {
        "method": "POST",
        "url": URL,
        "headers": [["content-type", "application/json"]],
        "body": body(number),
    }
    response = {"status": 200, "headers": [["content-type", "text/event-stream"]], "chunks": chunks}
    return json.dumps({"request": request, "response": response, "end": "complete"})


def body(number: int) -> str:
    """The body of a request, which tells the recordings apart."""
    return json.dumps({"model": "gpt-4o-mini", "stream": True, "messages": [{"content": f"number {number}"}]})


def cost(command: list[str], asked: argparse.Namespace) -> dict[str, float]:
    """µs of CPU an event of each child by its module, and of the process itself as "", under the load."""
    pin(MEASURED)
    with Child(command, quiet=True) as child:
        pin(OTHERS)
        main_process = psutil.Process(child.process.pid)
        processes = {process.cmdline()[-2]: process for process in main_process.children()} | {
            "": main_process
        }
        before = {name: spent(process) for name, process in processes.items()}
        load(urlsplit(child.url).port or 0, asked.streams, asked.streams * asked.passes)
        time.sleep(SETTLE_S)  # noqa: TID251 - nothing is paced by it
        events = asked.streams * asked.passes * (TOKENS + 1)
        return {name: (spent(process) - before[name]) / events * 1e6 for name, process in processes.items()}


def pin(cpu: int) -> None:
    """Have this process, and what it starts from now on, run on one CPU, where the system can do that."""
    if CPUS:
        os.sched_setaffinity(0, {CPUS[cpu % len(CPUS)]})


def spent(process: psutil.Process) -> float:
    """Seconds of CPU that a process took by now."""
    times = process.cpu_times()
    return times.user + times.system


def load(port: int, streams: int, total: int) -> None:
    """Read streams to their ends, so many at once."""
    conversations = [Conversation(number, request(number % RECORDINGS), LIMIT_NS) for number in range(total)]
    converse(HOST, port, conversations, streams, check)


def request(number: int) -> bytes:
    """The bytes of a request."""
    asks, path = body(number).encode(), urlsplit(URL).path
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(asks)}\r\n\r\n"
    return head.encode() + asks


def check(conversation: Conversation) -> None:
    """A stream that is not whole makes the figures worthless."""
    whole = b"".join(data for _, data in conversation.pieces).endswith(b"data: [DONE]\n\n")
    if conversation.failure or not whole:
        raise SystemExit(f"a stream was not whole: {conversation.failure or conversation.status}")


def show(name: str, plain: float, proxy: float, writer: float) -> None:
    """Print a line."""
    print(f"{name:8}{plain:12.1f} {proxy:12.1f} {proxy / plain - 1:+7.1%} {writer:8.1f}", flush=True)


async def stream_plainly(port: str, url: str) -> None:
    """Be mitmproxy that passes streams on and keeps nothing, until it is killed."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Ready()
        settings = Settings(HOST, {int(port): parse(url)})
        master = build_master(settings, folder, [Streaming(), ready, proxyserver.Proxyserver()])
        running = asyncio.create_task(master.run())
        await ready.event.wait()
        print(f"listening on http://{HOST}:{port}", flush=True)
        await running


class Streaming:
    """The addon that has mitmproxy pass bodies on as they come."""

    def responseheaders(self, flow: HTTPFlow) -> None:
        """The head of a response is here."""
        assert flow.response is not None
        flow.response.stream = True


if __name__ == "__main__":
    main()
