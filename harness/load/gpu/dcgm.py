"""dcgm-exporter's Prometheus text: which of its metrics is which of our counters.

The law of this file: pure. The exporter serves what it collected last (every 30 s where nobody told it
otherwise) and no stamp, so that how old a value is shows only when it changes: an answer that differs
from the one before was collected between the two (`harness.load.gpu.remote`). What DCGM had read then
may be as old as another interval.
Sources: https://github.com/NVIDIA/dcgm-exporter (etc/default-counters.csv, dcp-metrics-included.csv),
https://docs.nvidia.com/datacenter/dcgm/latest/dcgm-api/dcgm-api-field-ids.html; blank values: dcgm_structs.h.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.load.gpu.counters import BY_NAME
from harness.load.gpu.readings import Families, Reading, Span
from harness.load.gpu.records import Card, Sample
from harness.load.gpu.served import whole

PREFIX = "DCGM_FI_"
MIB = 1024 * 1024
BLANKS = (0x7FFFFFFFFFFFFFF0, 2.0**47)
"""DCGM's values for "not there", as integers and as floats; the next ones mean "not found", "not supported"
and "not permitted" (dcgm_structs.h, DCGM_INT64_BLANK, DCGM_FP64_BLANK)."""
BLANK_KINDS = 16
"""So many values from each of them on are taken for blanks; a float of 64 bits cannot tell them apart."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the exporter: our counter, and what its value is multiplied with."""

    counter: str
    times: float = 1


METRICS: Mapping[str, Metric] = {
    "DCGM_FI_DEV_GPU_UTIL": Metric("utilisation_percent"),
    "DCGM_FI_DEV_MEM_COPY_UTIL": Metric("memory_utilisation_percent"),
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": Metric("graphics_active_percent", 100),
    "DCGM_FI_PROF_SM_ACTIVE": Metric("sm_active_percent", 100),
    "DCGM_FI_PROF_SM_OCCUPANCY": Metric("sm_occupancy_percent", 100),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": Metric("tensor_active_percent", 100),
    "DCGM_FI_PROF_DRAM_ACTIVE": Metric("dram_active_percent", 100),
    "DCGM_FI_DEV_FB_USED": Metric("memory_used_bytes", MIB),
    "DCGM_FI_DEV_POWER_USAGE": Metric("power_mw", 1000),
    "DCGM_FI_DEV_POWER_USAGE_INSTANT": Metric("power_instant_mw", 1000),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": Metric("energy_mj"),
    "DCGM_FI_DEV_SM_CLOCK": Metric("sm_clock_mhz"),
    "DCGM_FI_DEV_MEM_CLOCK": Metric("memory_clock_mhz"),
    "DCGM_FI_DEV_GPU_TEMP": Metric("temperature_c"),
    "DCGM_FI_DEV_MEMORY_TEMP": Metric("memory_temperature_c"),
    "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS": Metric("throttle_reasons"),
    "DCGM_FI_DEV_CLOCKS_EVENT_REASONS": Metric("throttle_reasons"),
    "DCGM_FI_DEV_POWER_VIOLATION": Metric("violation_power_ns"),
    "DCGM_FI_DEV_THERMAL_VIOLATION": Metric("violation_thermal_ns"),
    "DCGM_FI_DEV_SYNC_BOOST_VIOLATION": Metric("violation_sync_boost_ns"),
    "DCGM_FI_DEV_BOARD_LIMIT_VIOLATION": Metric("violation_board_limit_ns"),
    "DCGM_FI_DEV_LOW_UTIL_VIOLATION": Metric("violation_low_utilisation_ns"),
    "DCGM_FI_DEV_RELIABILITY_VIOLATION": Metric("violation_reliability_ns"),
    "DCGM_FI_PROF_PCIE_TX_BYTES": Metric("pcie_tx_kb_s", 1e-3),
    "DCGM_FI_PROF_PCIE_RX_BYTES": Metric("pcie_rx_kb_s", 1e-3),
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": Metric("pcie_replays"),
    "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL": Metric("nvlink_crc_flit_errors"),
    "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL": Metric("nvlink_crc_data_errors"),
    "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL": Metric("nvlink_replay_errors"),
    "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL": Metric("nvlink_recovery_errors"),
    "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": Metric("ecc_corrected"),
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": Metric("ecc_uncorrected"),
}
"""Those of which the unit is the same in all releases. A counter's `_total` may be missing or there."""

XID = "DCGM_FI_DEV_XID_ERRORS"
"""The code of the last error; 0: none."""
MICROSECONDS = "(in us)"
"""Older releases count violations so, as the help of the metric says; newer ones in ns."""


def readings(families: Families, span: Span) -> Iterator[Reading]:
    """The cards in an answer. Their samples are as old as the answer says: its stamp is all its values."""
    found: dict[str, tuple[Card, dict[str, Any], dict[int, int]]] = {}
    for family in families:
        for sample in family.samples:
            if sample.labels.get("UUID"):
                card = card_of(sample.labels)
                _, values, xids = found.setdefault(card.gpu, (card, {}, {}))
                take(sample, family.documentation, values, xids)
    for card, values, xids in found.values():
        lacks = {name: "Not Supported" for name, value in values.items() if value is None}
        known = {name: value for name, value in values.items() if value is not None}
        sample = Sample(gpu=card.gpu, at_ns=span.middle_ns, error_ns=None, values=known)
        yield Reading(card, ((tuple(values.items()), sample),), span, False, lacks, xids)


def take(sample: Any, says: str, values: dict[str, Any], xids: dict[int, int]) -> None:
    """Take in a value: None where it is blank. A card shared by several pods is told of several times."""
    name = sample.name.removesuffix("_total") if sample.name not in METRICS else sample.name
    if name == XID and sample.value and not is_blank(sample.value):
        xids[int(sample.value)] = 1
    elif metric := METRICS.get(name):
        times = 1000 if MICROSECONDS in says else metric.times
        digits = 0 if BY_NAME[metric.counter].is_whole else 6
        values[metric.counter] = (
            None if is_blank(sample.value) else whole(float(round(sample.value * times, digits)))
        )


def card_of(labels: Mapping[str, str]) -> Card:
    """The card of a metric; an instance is told apart by its card's UUID and its own number."""
    uuid, instance = labels["UUID"], labels.get("GPU_I_ID")
    number = labels.get("gpu", "")
    return Card(
        gpu=f"{uuid}/{instance}" if instance else uuid,
        host=labels.get("Hostname") or labels.get("hostname", ""),
        index=int(instance or number) if (instance or number).isdigit() else 0,
        name=" MIG ".join(filter(None, (labels.get("modelName", ""), labels.get("GPU_I_PROFILE")))),
        parent=uuid if instance else None,
        driver=labels.get("DCGM_FI_DRIVER_VERSION") or None,
    )


def is_blank(value: float) -> bool:
    """Whether a value says that there is none.

    >>> is_blank(9223372036854775794.0), is_blank(0.0), is_blank(4096.0)
    (True, False, False)
    """
    return any(0 <= value - blank < BLANK_KINDS for blank in BLANKS) or value != value  # noqa: PLR0124  NaN
