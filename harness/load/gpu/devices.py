"""The cards of this machine and their MIG instances, and which of them the user wants."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from socket import gethostname
from threading import Lock
from typing import Any

from harness.core.errors import BadInput
from harness.load.gpu.nvml import Api
from harness.load.gpu.records import Card


@dataclass(slots=True)
class Device:
    """A card or instance that can be read. `whole` is the handle of the card that an instance belongs to.

    `instance` is the GPU instance's id, None for a card. `gpm` is the last sample of GPM: a metric is what
    happened between two. `gone` is locked by the thread that finds the device gone, which tells it.
    """

    card: Card
    handle: Any
    whole: Any
    instance: int | None = None
    gpm: Any = None
    gone: Lock = field(default_factory=Lock)


def devices(api: Api) -> Iterator[Device]:
    """All cards by NVML's index, each followed by its instances. One that cannot be opened is left out."""
    driver = optional(api, api.nvmlSystemGetDriverVersion)
    for index in range(api.nvmlDeviceGetCount()):
        try:
            handle = api.nvmlDeviceGetHandleByIndex(index)
            device = card_device(api, handle, index, driver)
        except api.NVMLError:  # fallen off the bus: the others are there
            continue
        yield device
        if device.card.mig:
            yield from instances(api, device)


def card_device(api: Api, handle: Any, index: int, driver: str | None) -> Device:
    """A card."""
    memory = optional(api, api.nvmlDeviceGetMemoryInfo, handle)
    modes = optional(api, api.nvmlDeviceGetMigMode, handle)
    card = Card(
        gpu=api.nvmlDeviceGetUUID(handle),
        host=gethostname(),
        index=index,
        name=api.nvmlDeviceGetName(handle),
        mig=bool(modes and modes[0] == api.NVML_DEVICE_MIG_ENABLE),
        driver=driver,
        memory_total_bytes=memory.total if memory else None,
        power_limit_mw=optional(api, api.nvmlDeviceGetEnforcedPowerLimit, handle),
    )
    return Device(card, handle, handle)


def instances(api: Api, whole: Device) -> Iterator[Device]:
    """The MIG instances of a card; the places of those that do not exist are empty."""
    for index in range(optional(api, api.nvmlDeviceGetMaxMigDeviceCount, whole.handle) or 0):
        handle = optional(api, api.nvmlDeviceGetMigDeviceHandleByIndex, whole.handle, index)
        if handle is None:
            continue
        memory = optional(api, api.nvmlDeviceGetMemoryInfo, handle)
        card = Card(
            gpu=api.nvmlDeviceGetUUID(handle),
            host=whole.card.host,
            index=index,
            name=optional(api, api.nvmlDeviceGetName, handle) or f"{whole.card.name} MIG",
            parent=whole.card.gpu,
            driver=whole.card.driver,
            memory_total_bytes=memory.total if memory else None,
        )
        yield Device(card, handle, whole.handle, optional(api, api.nvmlDeviceGetGpuInstanceId, handle))


def optional(api: Api, function: Any, *arguments: Any) -> Any:
    """What a function gives, None where it fails."""
    try:
        return function(*arguments)
    except api.NVMLError:
        return None


def chosen(cards: Sequence[Card], wanted: Iterable[str]) -> list[str]:
    """The UUIDs of the wanted cards, by NVML's index or by UUID (or its beginning); none named: all.

    A card brings its instances. BadInput: no such card. NVML does not heed `CUDA_VISIBLE_DEVICES`.
    """
    names = list(wanted)
    if not names:
        return [card.gpu for card in cards]
    picked = {uuid for name in names for uuid in matching(cards, name)}
    return [card.gpu for card in cards if card.gpu in picked or card.parent in picked]


def matching(cards: Sequence[Card], name: str) -> list[str]:
    """The card of a name."""
    whole = (card for card in cards if card.parent is None and name == str(card.index))
    found = [card.gpu for card in whole] or [card.gpu for card in cards if card.gpu.startswith(name)]
    if not name or not found:
        known = ", ".join(f"{card.index} ({card.gpu})" for card in cards if card.parent is None)
        raise BadInput(f"there is no GPU {name!r}; there are {known or 'none'}")
    return found
