"""How NVML is asked: a table of calls, each of which reads one or several counters of a device.

The law of this file: a call gives a value, a `Failure`, or nothing for each of its counters, or raises
NVML's error for all of them. It keeps nothing but GPM's last sample on the device.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.load.gpu.counters import BY_NAME
from harness.load.gpu.devices import Device
from harness.load.gpu.nvml import FUNCTION_NOT_FOUND, NOT_SUPPORTED, Api, Failure, finite
from harness.load.gpu.records import Process

type Answers = Mapping[str, Any]
"""Counter -> number, `Failure`, or the processes."""
type Read = Callable[[Api, Device], Answers]

ALL_LINKS = 0xFFFFFFFF
"""The scope of a field over all NVLinks (nvml.h, nvmlFieldValue_t.scopeId)."""

GPM_METRICS = {
    "graphics_active_percent": "NVML_GPM_METRIC_GRAPHICS_UTIL",
    "sm_active_percent": "NVML_GPM_METRIC_SM_UTIL",
    "sm_occupancy_percent": "NVML_GPM_METRIC_SM_OCCUPANCY",
    "tensor_active_percent": "NVML_GPM_METRIC_ANY_TENSOR_UTIL",
    "dram_active_percent": "NVML_GPM_METRIC_DRAM_BW_UTIL",
}

FIELD_IDS: Mapping[str, tuple[str, int]] = {
    "power_instant_mw": ("NVML_FI_DEV_POWER_INSTANT", 0),
    "memory_temperature_c": ("NVML_FI_DEV_MEMORY_TEMP", 0),
    "pcie_replays": ("NVML_FI_DEV_PCIE_REPLAY_COUNTER", 0),
    "nvlink_tx_kib": ("NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX", ALL_LINKS),
    "nvlink_rx_kib": ("NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX", ALL_LINKS),
    "nvlink_crc_flit_errors": ("NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", 0),
    "nvlink_crc_data_errors": ("NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", 0),
    "nvlink_replay_errors": ("NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", 0),
    "nvlink_recovery_errors": ("NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", 0),
}
"""Counter -> NVML's field and its scope (0: the card)."""

FIELD_TYPES = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""The member of nvmlValue_t by nvmlValueType_t."""

POLICIES = {
    "violation_power_ns": "NVML_PERF_POLICY_POWER",
    "violation_thermal_ns": "NVML_PERF_POLICY_THERMAL",
    "violation_sync_boost_ns": "NVML_PERF_POLICY_SYNC_BOOST",
    "violation_board_limit_ns": "NVML_PERF_POLICY_BOARD_LIMIT",
    "violation_low_utilisation_ns": "NVML_PERF_POLICY_LOW_UTILIZATION",
    "violation_reliability_ns": "NVML_PERF_POLICY_RELIABILITY",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A way to read counters. `of_instances`: MIG instances have them, not only cards.

    `blocks`: it takes tens of milliseconds, so it has a thread of its own.
    """

    counters: tuple[str, ...]
    read: Read
    of_instances: bool = False
    blocks: bool = False

    @property
    def most_hz(self) -> float:
        """How often at most."""
        return max(BY_NAME[name].most_hz for name in self.counters)


def newer(api: Api, new: Callable[[], Any], old: Callable[[], Any]) -> Any:
    """What the new function gives, or the old one where the driver does not have the new one yet."""
    try:
        return new()
    except api.NVMLError as error:
        if error.value != FUNCTION_NOT_FOUND:
            raise
        return old()


def utilisation(api: Api, device: Device) -> Answers:
    """Time in which any kernel ran, over the last 1/6 to 1 s: not how much of the card it used."""
    rates = api.nvmlDeviceGetUtilizationRates(device.handle)
    return {"utilisation_percent": rates.gpu, "memory_utilisation_percent": rates.memory}


def gpm(api: Api, device: Device) -> Answers:
    """GPM's metrics since the reading before (Hopper and later); nothing in the first."""
    if device.gpm is None and not api.nvmlGpmQueryDeviceSupport(device.whole).isSupportedDevice:
        raise api.NVMLError(NOT_SUPPORTED)
    before, device.gpm = device.gpm, gpm_sample(api, device)
    if before is None:
        return {}
    try:
        return gpm_metrics(api, before, device.gpm)
    finally:
        api.nvmlGpmSampleFree(before)


def gpm_sample(api: Api, device: Device) -> Any:
    """A sample of GPM."""
    sample = api.nvmlGpmSampleAlloc()
    try:
        if device.instance is None:
            return api.nvmlGpmSampleGet(device.handle, sample)
        return api.nvmlGpmMigSampleGet(device.whole, device.instance, sample)
    except api.NVMLError:
        api.nvmlGpmSampleFree(sample)
        raise


def gpm_metrics(api: Api, before: Any, after: Any) -> Answers:
    """The metrics between two samples."""
    asked = api.c_nvmlGpmMetricsGet_t(
        version=api.NVML_GPM_METRICS_GET_VERSION, numMetrics=len(GPM_METRICS), sample1=before, sample2=after
    )
    for place, metric in enumerate(GPM_METRICS.values()):
        asked.metrics[place].metricId = getattr(api, metric)
    api.nvmlGpmMetricsGet(asked)
    answers = ((m.nvmlReturn, m.value) for m in asked.metrics[: len(GPM_METRICS)])
    return {
        name: Failure.of(api, code) if code else finite(value)
        for name, (code, value) in zip(GPM_METRICS, answers, strict=True)
    }


def memory(api: Api, device: Device) -> Answers:
    """Memory in use; the second version counts what the driver keeps for itself apart."""
    handle = device.handle
    info = newer(
        api,
        lambda: api.nvmlDeviceGetMemoryInfo(handle, version=api.nvmlMemory_v2),
        lambda: api.nvmlDeviceGetMemoryInfo(handle),
    )
    return {"memory_used_bytes": info.used}


def power(api: Api, device: Device) -> Answers:
    """Power."""
    return {"power_mw": api.nvmlDeviceGetPowerUsage(device.handle)}


def energy(api: Api, device: Device) -> Answers:
    """Energy since the driver was loaded."""
    return {"energy_mj": api.nvmlDeviceGetTotalEnergyConsumption(device.handle)}


def sm_clock(api: Api, device: Device) -> Answers:
    """Clock of the multiprocessors."""
    return {"sm_clock_mhz": api.nvmlDeviceGetClockInfo(device.handle, api.NVML_CLOCK_SM)}


def memory_clock(api: Api, device: Device) -> Answers:
    """Clock of the memory."""
    return {"memory_clock_mhz": api.nvmlDeviceGetClockInfo(device.handle, api.NVML_CLOCK_MEM)}


def temperature(api: Api, device: Device) -> Answers:
    """Temperature of the chip."""
    handle, sensor = device.handle, api.NVML_TEMPERATURE_GPU
    value = newer(
        api,
        lambda: api.nvmlDeviceGetTemperatureV(handle, sensor),
        lambda: api.nvmlDeviceGetTemperature(handle, sensor),
    )
    return {"temperature_c": value}


def throttle(api: Api, device: Device) -> Answers:
    """Why the clocks are not at their highest, as bits."""
    handle = device.handle
    bits = newer(
        api,
        lambda: api.nvmlDeviceGetCurrentClocksEventReasons(handle),
        lambda: api.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
    )
    return {"throttle_reasons": bits}


def fields(api: Api, device: Device) -> Answers:
    """All fields in one call; each has a return code of its own."""
    asked = [(getattr(api, field), scope) for field, scope in FIELD_IDS.values()]
    values = api.nvmlDeviceGetFieldValues(device.handle, asked)
    return {name: field_value(api, value) for name, value in zip(FIELD_IDS, values, strict=True)}


def field_value(api: Api, field: Any) -> Any:
    """The value of a field, by its type."""
    if field.nvmlReturn:
        return Failure.of(api, field.nvmlReturn)
    return getattr(field.value, FIELD_TYPES[field.valueType])


def violation(name: str, policy: str) -> Call:
    """A call for the time that a policy has held the card back, in ns."""

    def read(api: Api, device: Device) -> Answers:
        status = api.nvmlDeviceGetViolationStatus(device.handle, getattr(api, policy))
        return {name: status.violationTime}

    return Call((name,), read)


def pcie(name: str, direction: str) -> Call:
    """A call for the data over PCIe in 20 ms, for which it waits."""

    def read(api: Api, device: Device) -> Answers:
        return {name: api.nvmlDeviceGetPcieThroughput(device.handle, getattr(api, direction))}

    return Call((name,), read, blocks=True)


def ecc(name: str, kind: str) -> Call:
    """A call for memory errors since the driver was loaded."""

    def read(api: Api, device: Device) -> Answers:
        errors = api.nvmlDeviceGetTotalEccErrors
        return {name: errors(device.handle, getattr(api, kind), api.NVML_VOLATILE_ECC)}

    return Call((name,), read)


def processes(api: Api, device: Device) -> Answers:
    """The processes that compute on the device, with their memory."""
    found = api.nvmlDeviceGetComputeRunningProcesses(device.handle)
    return {"processes": tuple(Process(pid=each.pid, memory_bytes=each.usedGpuMemory) for each in found)}


CALLS = (
    Call(("energy_mj",), energy),
    Call(("power_mw",), power),
    Call(tuple(GPM_METRICS), gpm, of_instances=True),
    Call(("utilisation_percent", "memory_utilisation_percent"), utilisation, of_instances=True),
    Call(("memory_used_bytes",), memory, of_instances=True),
    Call(("sm_clock_mhz",), sm_clock),
    Call(("memory_clock_mhz",), memory_clock),
    Call(("temperature_c",), temperature),
    Call(("throttle_reasons",), throttle),
    Call(tuple(FIELD_IDS), fields),
    *(violation(name, policy) for name, policy in POLICIES.items()),
    ecc("ecc_corrected", "NVML_MEMORY_ERROR_TYPE_CORRECTED"),
    ecc("ecc_uncorrected", "NVML_MEMORY_ERROR_TYPE_UNCORRECTED"),
    Call(("processes",), processes, of_instances=True),
    pcie("pcie_tx_kb_s", "NVML_PCIE_UTIL_TX_BYTES"),
    pcie("pcie_rx_kb_s", "NVML_PCIE_UTIL_RX_BYTES"),
)
"""In this order: what changes quickest is read closest together, what may take long last."""
