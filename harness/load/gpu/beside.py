"""A GPU log beside a run of load: started with it, glanced at while it goes on, kept and figured at its end.

The law of this file: whatever becomes of the log, the run goes on, and a line says what is missing.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from harness.core.errors import HarnessError
from harness.load.clock import RunClock
from harness.load.gather import Tail
from harness.load.gpu.board import Board, State
from harness.load.gpu.figures import Figures, Window, figures
from harness.load.gpu.keep import keep, on_clock
from harness.load.gpu.lines import read_log
from harness.load.gpu.records import GPU_RECORD
from harness.load.gpu.source import Asked, GpuLog
from harness.store.gpu_log import Owner

MW_PER_W = 1000


class Beside:
    """The log that was asked for, in a run's folder; a context manager that ends it."""

    def __init__(self, asked: Asked, folder: Path) -> None:
        self._asked, self._folder = asked, folder
        self._log: GpuLog | None = None
        self._tail: Tail | None = None
        self._board = Board()

    def __enter__(self) -> Self:
        asked = self._asked
        self._log = GpuLog.start(asked.source, self._folder, rate_hz=asked.rate_hz, gpus=asked.gpus)
        if self._log:
            self._tail = Tail(self._log.file)
        return self

    def __exit__(self, *what: object) -> None:
        if self._log and self._tail:
            self._log.__exit__(*what)
            self._tail.close()

    def now(self) -> str | None:
        """What the cards do now, in a few words; None without a log."""
        if not self._tail:
            return None
        for line in self._tail.new_lines():
            with suppress(ValidationError):  # the end tells of damage
                self._board.take(GPU_RECORD.validate_json(line))
        return glance(self._board.states())

    def figures(self, clock: RunClock, window: Window, tokens_out: int | None) -> Figures | None:
        """The figures of a log that has ended, on a run's clock; `tokens_out` came in the window.

        None where there is no log, or, with a line on stderr, where it cannot be read.
        """
        if not self._log:
            return None
        file = self._log.file
        return tried(
            "cannot be read", lambda: figures(on_clock(read_log(file), clock, file), window, tokens_out)
        )

    def keep(self, recording: Path, run_id: int, clock: RunClock) -> None:
        """Store a log that has ended; a line on stderr says where it cannot be."""
        if self._log:
            file = self._log.file
            tried("is not kept", lambda: keep(file, recording, Owner(run_id), clock))


def tried[T](what: str, does: Callable[[], T]) -> T | None:
    """What something gives; None, with a line on stderr, where it cannot be done with the log."""
    try:
        return does()
    except HarnessError as error:
        print(f"harness load: the GPU log {what}: {error}", file=sys.stderr)
        return None


def glance(states: Sequence[State]) -> str | None:
    """All cards in a few words: their power together, how busy they are on average. None: no cards.

    Instances are part of their card, whose power is all that is known of both.
    """
    whole = [state for state in states if state.card.parent is None]
    alive = [state for state in whole if state.lost_ns is None]
    power_mw = [value for state in alive if (value := power(state)) is not None]
    busy = [state.values["utilisation_percent"] for state in alive if "utilisation_percent" in state.values]
    told = [
        *([f"{sum(power_mw) / MW_PER_W:.0f} W"] if power_mw else []),
        *([f"busy {sum(busy) / len(busy):.0f}%"] if busy else []),
        *([f"{len(whole) - len(alive)} lost"] if len(alive) < len(whole) else []),
    ]
    name = "GPU" if len(whole) == 1 else f"{len(whole)} GPUs"
    return f"{name} {' '.join(told)}".rstrip() if whole else None


def power(state: State) -> float | None:
    """The power of a card in mW: of this moment, else the average that it gives."""
    return state.values.get("power_instant_mw", state.values.get("power_mw"))
