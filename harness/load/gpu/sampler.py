"""Sampling the cards of this machine through NVML.

The law of this file: the ticks' thread reads what is quick, one thread what blocks (PCIe), one waits for
Xid errors; nothing but the end of the ticks ends it, least of all a card that is gone.
"""

import ctypes
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread
from typing import Any

from harness.load.gpu import nvml
from harness.load.gpu.devices import chosen, devices
from harness.load.gpu.nvml import FOR_GOOD, LOST, TIMEOUT, Api
from harness.load.gpu.reads import CALLS
from harness.load.gpu.records import Card, Emit, Ended, What, clock_record
from harness.load.gpu.ticks import Ticks
from harness.load.gpu.watch import GpuIsLost, Watch

BLOCKING_HZ = 1.0
XID_WAIT_MS = 200
"""How soon the thread that waits for Xid errors sees that it is over."""


class NvmlSampler:
    """Samples the wanted cards (index or UUID; none named: all) until `run` ends.

    Raises NoDriver, MissingExtra, or BadInput for cards that are not there.
    """

    def __init__(self, rate_hz: float, gpus: Sequence[str] = ()) -> None:
        self.rate_hz = rate_hz
        self.api: Api = nvml.load()
        found = list(devices(self.api))
        wanted = chosen([device.card for device in found], gpus)
        self.devices = [device for device in found if device.card.gpu in wanted]
        if not self.devices:
            raise nvml.NoDriver("no NVIDIA GPU here: the driver is loaded, and finds none")
        self.cards: Sequence[Card] = [device.card for device in self.devices]

    def run(self, emit: Emit, stop: Event, duration_s: float | None = None) -> None:
        """Emit the clock, the cards, their samples and what happens to them, and the end."""
        emit(clock_record())
        for card in self.cards:
            emit(card)
        watches = self.watches(emit, self.rate_hz, blocks=False)
        ticks, over = Ticks(self.rate_hz, stop, duration_s), Event()
        threads = self.threads(emit, over)
        try:
            for thread in threads:
                thread.start()
            for tick in ticks:
                for watch in watches:
                    watch.sample(tick)
            for watch in watches:
                watch.sample(None)  # the end of the span has figures too
        finally:
            over.set()
            for thread in threads:
                thread.join()
        emit(Ended(at_ns=time.monotonic_ns(), ticks=ticks.count, missed=ticks.missed))

    def watches(self, emit: Emit, rate_hz: float, *, blocks: bool) -> list[Watch]:
        """A watch a device, of the calls that block or of the others."""
        calls = [call for call in CALLS if call.blocks == blocks]
        return [Watch(self.api, device, calls, emit, rate_hz) for device in self.devices]

    def threads(self, emit: Emit, over: Event) -> list[Thread]:
        """The threads beside the ticks."""
        slow = self.watches(emit, BLOCKING_HZ, blocks=True)
        return [
            Thread(target=sample_blocking, args=(slow, over), name="gpu-blocking"),
            Thread(target=XidWatch(self.api, slow).run, args=(over,), name="gpu-xid"),
        ]


def sample_blocking(watches: Sequence[Watch], over: Event) -> None:
    """Read what blocks, device by device. Who cannot take records any more tells the ticks' thread so."""
    with suppress(OSError):
        for tick in Ticks(BLOCKING_HZ, over):
            for watch in watches:
                if not over.is_set():
                    watch.sample(tick)


class XidWatch:
    """Waits for the Xid errors of all cards in one event set."""

    def __init__(self, api: Api, watches: Sequence[Watch]) -> None:
        self.api = api
        self.watches = {
            address(watch.device.handle): watch for watch in watches if watch.device.instance is None
        }

    def run(self, over: Event) -> None:
        """Tell of each error until it is over, or until there is nothing to wait for."""
        with suppress(OSError, GpuIsLost):
            events = self.registered()
            while events is not None and not over.is_set():
                self.wait(events, over)
            if events is not None:
                self.api.nvmlEventSetFree(events)

    def wait(self, events: Any, over: Event) -> None:
        """Wait for an error, or a moment."""
        try:
            self.tell(self.api.nvmlEventSetWait(events, XID_WAIT_MS))
        except self.api.NVMLError as error:
            if error.value != TIMEOUT:
                over.wait(XID_WAIT_MS / 1e3)  # a lost card answers at once

    def registered(self) -> Any:
        """The event set with the cards that can tell; None if there is none."""
        try:
            events = self.api.nvmlEventSetCreate()
        except self.api.NVMLError as error:
            for watch in self.watches.values():
                watch.note("xid", nvml.Failure(error.value, str(error)))
            return None
        telling = [self.register(watch, events) for watch in self.watches.values()]
        return events if any(telling) else None

    def register(self, watch: Watch, events: Any) -> bool:
        """Ask for a card's errors; whether it tells them."""
        try:
            self.api.nvmlDeviceRegisterEvents(
                watch.device.handle, self.api.nvmlEventTypeXidCriticalError, events
            )
        except self.api.NVMLError as error:
            if error.value in FOR_GOOD and error.value not in LOST:
                watch.note("xid", nvml.Failure(error.value, str(error)))
            return False
        return True

    def tell(self, data: Any) -> None:
        """Tell of an error."""
        watch = self.watches.get(address(data.device))
        if watch and data.eventType == self.api.nvmlEventTypeXidCriticalError:
            watch.tell(What.XID, f"Xid {data.eventData}", code=data.eventData)


def address(handle: Any) -> int | None:
    """What NVML's opaque handles can be told apart by."""
    return ctypes.cast(handle, ctypes.c_void_p).value
