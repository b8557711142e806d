"""One device being sampled: which of its counters are due, which it gives, and whether it is still there.

The law of this file: support is a matter of each counter, found out by asking. What the device does not
give is told once and not asked for again; what fails for another reason is told once and asked again.
"""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from harness.load.gpu.devices import Device
from harness.load.gpu.nvml import FOR_GOOD, LOST, Api, Failure
from harness.load.gpu.reads import Answers, Call
from harness.load.gpu.records import Emit, Event, Sample, What


class GpuIsLost(Exception):
    """The device is gone."""


class Watch:
    """Samples a device by `calls`, `rate_hz` ticks a second; what it finds goes to `emit`."""

    def __init__(self, api: Api, device: Device, calls: Iterable[Call], emit: Emit, rate_hz: float) -> None:
        self.api, self.device, self.emit, self.rate_hz = api, device, emit, rate_hz
        self.calls = [call for call in calls if device.instance is None or call.of_instances]
        self.unsupported: set[str] = set()
        self.failed: set[str] = set()
        self.next_tick = dict.fromkeys(range(len(self.calls)), 0)

    def sample(self, tick: int | None) -> None:
        """Read what is due at a tick (None: everything) and emit it; a device that is gone is told once."""
        if self.device.gone.locked():
            return
        before = time.monotonic_ns()
        values: dict[str, Any] = {}
        try:
            for call in self.due(tick):
                values.update(self.values(call))
        except GpuIsLost as error:
            self.lose(str(error))
            return
        after = time.monotonic_ns()
        processes = values.pop("processes", None)
        if values or processes is not None:
            self.emit(
                Sample(
                    gpu=self.device.card.gpu,
                    at_ns=(before + after) // 2,
                    error_ns=(after - before + 1) // 2,
                    values=values,
                    processes=processes,
                )
            )

    def due(self, tick: int | None) -> Iterator[Call]:
        """The calls of a tick: each as often as it is useful, without those that the device lacks.

        What was due at a tick that was missed is due at the next.
        """
        for place, call in enumerate(self.calls):
            if self.unsupported.issuperset(call.counters):
                continue
            if tick is None or tick >= self.next_tick[place]:
                yield call
                every = max(1, round(self.rate_hz / call.most_hz))
                self.next_tick[place] = ((tick or 0) // every + 1) * every

    def values(self, call: Call) -> Iterator[tuple[str, Any]]:
        """What a call gives; raises GpuIsLost."""
        for name, answer in self.answers(call).items():
            if isinstance(answer, Failure):
                self.note(name, answer)
            elif answer is not None:
                yield name, answer

    def answers(self, call: Call) -> Answers:
        """What a call answers; an error is the answer to all of its counters."""
        try:
            return call.read(self.api, self.device)
        except self.api.NVMLError as error:
            return dict.fromkeys(call.counters, Failure(error.value, str(error)))

    def note(self, counter: str, failure: Failure) -> None:
        """Tell of a failure the first time."""
        if failure.code in LOST:
            raise GpuIsLost(failure.words)
        for_good = failure.code in FOR_GOOD
        told = self.unsupported if for_good else self.failed
        if counter not in told:
            told.add(counter)
            self.tell(What.UNSUPPORTED if for_good else What.FAILED, failure.words, counter, failure.code)

    def lose(self, words: str) -> None:
        """The device is gone: tell it, once."""
        if self.device.gone.acquire(blocking=False):
            self.tell(What.LOST, words)

    def tell(self, what: What, detail: str, counter: str | None = None, code: int | None = None) -> None:
        """Emit an event of this moment."""
        gpu, now_ns = self.device.card.gpu, time.monotonic_ns()
        self.emit(Event(gpu=gpu, at_ns=now_ns, what=what, counter=counter, code=code, detail=detail))
