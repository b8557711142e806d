"""The sampler as a process beside a run: `python -m harness.load.gpu.child SOURCE --output FILE ...`.

The law of this file: what is on stdout is one word, `ready`, once sampling begins. It ends when its stdin
does, so that it never outlives who started it; Ctrl-C is not for it, nor is the end of a terminal, since the
run's end has to be logged too. What is wrong is one line on stderr and exit code 2, or ABSENT. With
`--check` it only looks whether it could.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread

from harness.core.errors import HarnessError
from harness.load.gpu.absent import Absent
from harness.load.gpu.lines import LineWriter
from harness.load.gpu.open import Source, opened

ABSENT = 5
"""Exit code: nothing was asked for wrongly, but there is nothing to sample."""


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """What the one who starts it says."""
    parser = argparse.ArgumentParser(prog="harness.load.gpu.child")
    parser.add_argument("source", help="nvml or a URL")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--output", type=Path)
    what.add_argument("--check", action="store_true")
    parser.add_argument("--rate", type=float, default=5.0)
    parser.add_argument("--gpus", action="append", default=[])
    return parser.parse_args(given)


def log(source: Source, output: Path) -> None:
    """Log until stdin ends."""
    stop = Event()
    Thread(target=wait_for_end, args=(stop,), daemon=True).start()
    with output.open("w", encoding="utf-8") as file:
        print("ready", flush=True)
        source.run(LineWriter(file).take, stop)


def wait_for_end(stop: Event) -> None:
    """Wait for the end of stdin."""
    while sys.stdin.buffer.read(1):
        pass
    stop.set()


def main() -> int:
    """Run it; the exit code."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    given = arguments(sys.argv[1:])
    try:
        source = opened(given.source, given.rate, given.gpus)
        if not given.check:
            log(source, given.output)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return ABSENT if isinstance(error, Absent) else error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
