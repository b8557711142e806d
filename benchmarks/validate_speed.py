"""How fast `harness validate` is, and how much memory it takes.

    .venv/bin/python benchmarks/validate_speed.py [--events 100000] [--rounds 3] [--kinds chat responses]

Makes recordings of that many events, and of four times as many, in a temporary folder, out of the complete
streams of recordings/tiny-llama.db; every copy of an exchange gets ids of its own. Then it runs the whole
command on them, with jsonschema alone and with the accelerator, and prints for each:

- events a second of the command's CPU time (user and system, start-up included): the median of the rounds,
  with the slowest and the fastest;
- the same without start-up, which is the CPU time of validating a recording of one exchange;
- the largest resident memory, for both sizes.

Compiled modules are kept, as an installed package has them. A quiet machine is all that it asks for. It
takes some two minutes.
"""

import argparse
import os
import re
import secrets
import string
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import NamedTuple

from harness.core.derive import derive
from harness.core.exchange import Exchange, State
from harness.store.capture import Capture, now
from harness.store.open import open_recording
from harness.store.writer import RecordingWriter

TINY = Path(__file__).parents[1] / "recordings" / "tiny-llama.db"
DIALECTS = {
    "chat": "openai.chat",
    "completions": "openai.completions",
    "responses": "openai.responses",
    "anthropic": "anthropic.messages",
}
LARGER = 4
"""How many times as large the recording is that shows whether memory is flat."""

ID = re.compile(rb"(chatcmpl|cmpl|resp|msg|fc|rs)(-|_)[0-9A-Za-z]{16,}")
LETTERS = string.ascii_letters + string.digits

COMMAND = "import sys; {}; from harness.cli.app import main; sys.exit(main())"
CHECKERS = {"jsonschema": "sys.modules['jsonschema_rs'] = None", "jsonschema-rs": "import jsonschema_rs"}
"""Name of what checks -> the statement that leaves it to do so."""


class Cost(NamedTuple):
    """What a run took: CPU seconds, and the most memory in MB."""

    cpu_s: float
    memory_mb: float


def main() -> None:
    """Measure, and print a table."""
    asked = arguments()
    print(f"{'events':>22} {'checked by':14} {'a second':>9} {'slowest':>8} {'fastest':>8} ", end="")
    print(f"{'without start':>13} {'MB':>5} {f'MB x{LARGER}':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for kind in asked.kinds:
            measure(kind, asked.events, asked.rounds, Path(folder))


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=DIALECTS, default=["chat", "responses"])
    return parser.parse_args()


def measure(kind: str, events: int, rounds: int, folder: Path) -> None:
    """Measure one kind of events, and print its lines."""
    sizes = {"one": 1, "all": events, "larger": LARGER * events}
    paths = {name: folder / f"{kind}-{name}.db" for name in sizes}
    made = {name: record(paths[name], DIALECTS[kind], size) for name, size in sizes.items()}
    for checker, statement in CHECKERS.items():
        start = median(cost(statement, paths["one"]).cpu_s for _ in range(rounds))
        costs = [cost(statement, paths["all"]) for _ in range(rounds)]
        spent = sorted(one.cpu_s for one in costs)
        rates = [made["all"] / seconds for seconds in (median(spent), spent[-1], spent[0])]
        alone = made["all"] / (median(spent) - start)
        memory = (median(one.memory_mb for one in costs), cost(statement, paths["larger"]).memory_mb)
        print(f"{made['all']:>10} {kind:>11} {checker:14} ", end="")
        print("{:>9,.0f} {:>8,.0f} {:>8,.0f}".format(*rates), end=" ")
        print(f"{alone:>13,.0f} {memory[0]:>5.0f} {memory[1]:>6.0f}", flush=True)


def record(path: Path, dialect: str, events: int) -> int:
    """Make a recording of at least so many events of a dialect; how many there are."""
    made = 0
    with RecordingWriter(path) as writer:
        writer.start_capture(Capture(now()))
        for exchange in copies(dialect):
            derived = derive(exchange)
            writer.add(exchange, derived)
            made += len(derived.events)
            if made >= events:
                return made
    raise AssertionError("copies never end")


def copies(dialect: str) -> Iterator[Exchange]:
    """The complete streams of a dialect again and again, with other ids each time."""
    with open_recording(TINY) as recording:
        derived = [(exchange, derive(exchange)) for exchange in recording.exchanges()]
    complete = [(exchange, of) for exchange, of in derived if exchange.state is State.COMPLETE]
    for exchange in cycle([one for one, of in complete if of.stream and of.dialect == dialect]):
        yield with_other_ids(exchange)


def with_other_ids(exchange: Exchange) -> Exchange:
    """A copy of an exchange in which every id is another, the same one everywhere."""
    response = exchange.response
    assert response is not None
    fresh: dict[bytes, bytes] = {}

    def other(found: re.Match[bytes]) -> bytes:
        head = found[1] + found[2]
        letters = "".join(secrets.choice(LETTERS) for _ in range(len(found[0]) - len(head)))
        return fresh.setdefault(found[0], head + letters.encode())

    chunks = tuple((offset_ns, ID.sub(other, data)) for offset_ns, data in response.chunks)
    return replace(exchange, response=replace(response, chunks=chunks))


def cost(statement: str, recording: Path) -> Cost:
    """Run the command to its end; what it took."""
    command = [sys.executable, "-c", COMMAND.format(statement), "validate", str(recording), "--json"]
    keeping = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env=keeping | {"PYTHONPYCACHEPREFIX": str(recording.parent)}
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        sys.exit(f"harness validate left with exit code {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
