"""The table of counters: what is read of a card, in NVML's own units.

The law of this file: pure data. A name is a column of `gpu_samples`, a key of a sample's `values`, and,
behind `harness_gpu_`, a metric. Units are NVML's, so that nothing is rounded on the way; people read
watts and joules where figures are made of them.
Source of meanings: NVML API reference, https://docs.nvidia.com/deploy/nvml-api/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

WHOLE = ("bytes", "mJ", "MHz", "bits", "ns", "KiB", "count")
"""Units of which there are no parts."""


@dataclass(frozen=True, slots=True)
class Counter:
    """What is read. `most_hz`: reading it more often tells nothing new, or costs too much.

    `grows`: it only counts up (since the driver was loaded), so only differences mean anything; all
    others are gauges. `says`: what it is, in a few words.
    """

    name: str
    function: str
    unit: str
    most_hz: float
    says: str
    grows: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether its values are integers, of which there are no parts."""
        return self.unit in WHOLE


UTILISATION = "nvmlDeviceGetUtilizationRates"
GPM = "nvmlGpmMetricsGet"
FIELDS = "nvmlDeviceGetFieldValues"
CLOCK = "nvmlDeviceGetClockInfo"
VIOLATION = "nvmlDeviceGetViolationStatus"
PCIE = "nvmlDeviceGetPcieThroughput"
ECC = "nvmlDeviceGetTotalEccErrors"

COUNTERS = (
    Counter("utilisation_percent", UTILISATION, "%", 5, "part of the time in which any kernel ran"),
    Counter("memory_utilisation_percent", UTILISATION, "%", 5, "part of the time in which memory was used"),
    Counter("graphics_active_percent", GPM, "%", 10, "part of the time in which any engine was active"),
    Counter("sm_active_percent", GPM, "%", 10, "multiprocessors that were busy"),
    Counter("sm_occupancy_percent", GPM, "%", 10, "active warps against the most there can be"),
    Counter("tensor_active_percent", GPM, "%", 10, "part of the time in which tensor cores worked"),
    Counter("dram_active_percent", GPM, "%", 10, "memory bandwidth used against the most there is"),
    Counter("memory_used_bytes", "nvmlDeviceGetMemoryInfo", "bytes", 10, "memory in use"),
    Counter("power_mw", "nvmlDeviceGetPowerUsage", "mW", 10, "power, a 1 s average on most newer cards"),
    Counter("power_instant_mw", FIELDS, "mW", 10, "power at this moment"),
    Counter("energy_mj", "nvmlDeviceGetTotalEnergyConsumption", "mJ", 10, "energy taken", grows=True),
    Counter("sm_clock_mhz", CLOCK, "MHz", 10, "clock of the multiprocessors"),
    Counter("memory_clock_mhz", CLOCK, "MHz", 10, "clock of the memory"),
    Counter("temperature_c", "nvmlDeviceGetTemperatureV", "°C", 5, "temperature of the chip"),
    Counter("memory_temperature_c", FIELDS, "°C", 5, "temperature of the memory"),
    Counter("throttle_reasons", "nvmlDeviceGetCurrentClocksEventReasons", "bits", 10, "why clocks are low"),
    Counter("violation_power_ns", VIOLATION, "ns", 2, "time held back by the power limit", grows=True),
    Counter("violation_thermal_ns", VIOLATION, "ns", 2, "time held back by heat", grows=True),
    Counter("violation_sync_boost_ns", VIOLATION, "ns", 2, "time held back by sync boost", grows=True),
    Counter("violation_board_limit_ns", VIOLATION, "ns", 2, "time held back by the board", grows=True),
    Counter("violation_low_utilisation_ns", VIOLATION, "ns", 2, "time held back by idleness", grows=True),
    Counter("violation_reliability_ns", VIOLATION, "ns", 2, "time held back by voltage limits", grows=True),
    Counter("pcie_tx_kb_s", PCIE, "KB/s", 1, "sent over PCIe, in a window of 20 ms"),
    Counter("pcie_rx_kb_s", PCIE, "KB/s", 1, "received over PCIe, in a window of 20 ms"),
    Counter("pcie_replays", FIELDS, "count", 5, "PCIe packets sent again", grows=True),
    Counter("nvlink_tx_kib", FIELDS, "KiB", 5, "data sent over all NVLinks", grows=True),
    Counter("nvlink_rx_kib", FIELDS, "KiB", 5, "data received over all NVLinks", grows=True),
    Counter("nvlink_crc_flit_errors", FIELDS, "count", 5, "NVLink flow control CRC errors", grows=True),
    Counter("nvlink_crc_data_errors", FIELDS, "count", 5, "NVLink data CRC errors", grows=True),
    Counter("nvlink_replay_errors", FIELDS, "count", 5, "NVLink replays", grows=True),
    Counter("nvlink_recovery_errors", FIELDS, "count", 5, "NVLink recoveries", grows=True),
    Counter("ecc_corrected", ECC, "count", 1, "memory errors put right", grows=True),
    Counter("ecc_uncorrected", ECC, "count", 1, "memory errors not put right", grows=True),
)
"""All that are numbers. The fields are read in one call, as often as the quickest of them."""

PROCESSES = Counter(
    "processes", "nvmlDeviceGetComputeRunningProcesses", "pids and bytes", 1, "who uses the card's memory"
)
XID = Counter("xid", "nvmlEventSetWait", "code", 1, "errors that the driver reports, as they happen")
"""These two are no numbers, and have no column."""

BY_NAME: Mapping[str, Counter] = MappingProxyType({c.name: c for c in (*COUNTERS, PROCESSES, XID)})

IDLE = "gpu_idle"
REASONS: Mapping[int, str] = MappingProxyType(
    {
        0x1: IDLE,
        0x2: "clocks_setting",
        0x4: "sw_power_cap",
        0x8: "hw_slowdown",
        0x10: "sync_boost",
        0x20: "sw_thermal_slowdown",
        0x40: "hw_thermal_slowdown",
        0x80: "hw_power_brake_slowdown",
        0x100: "display_clock_setting",
    }
)
"""Bits of `throttle_reasons` (nvml.h, nvmlClocksEventReason*)."""


def reasons_of(bits: int) -> tuple[str, ...]:
    """The words of throttle reasons; a bit that is not known is named by its value.

    >>> reasons_of(0x5), reasons_of(0), reasons_of(0x200)
    (('gpu_idle', 'sw_power_cap'), (), ('0x200',))
    """
    set_bits = (1 << place for place in range(bits.bit_length()) if bits >> place & 1)
    return tuple(REASONS.get(bit, hex(bit)) for bit in set_bits)
