"""The tables as people find them who open the file with other tools."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.core.exchange import Exchange
from harness.store.schema import APPLICATION_ID

COLUMNS = {
    "captures": "id started_at ended_at upstreams versions clock host redaction masked",
    "exchanges": "id capture_id position started_at upstream state method scheme host port path query url"
    " request_http_version match_key dialect model stream status http_version connect_ns headers_ns first_ns"
    " end_ns ttft_ns error_bound_ns timing_known rewritten tokens_in tokens_out tokens_cached"
    " tokens_reasoning finish_reason error chunk_count request_headers response_headers extra request_body",
    "chunks": "exchange_id seq offset_ns data",
    "events": "exchange_id seq offset_ns name data",
    "validation_runs": "id started_at harness_version profile overlay exchanges not_checked errors warnings"
    " drift",
    "violations": "run_id exchange_id event_seq rule kind severity part pointer message",
    "load_runs": "id started_at ended_at name sweep target loop concurrency rate workers host verdict sent"
    " recorded plan versions clock reasons checks slos null_test figures",
    "load_workers": "run_id worker host pid start_ns monotonic_ns wall_ns anchor_error_ns carry_error_ns"
    " cpu_s cpu_p90 lag_p50_us lag_p99_us lag_max_us rss_bytes sent answered unsent why recorded",
    "load_requests": "id run_id number worker call phase outcome error status scheduled_ns sent_ns connect_ns"
    " first_byte_ns first_token_ns second_token_ns last_token_ns end_ns dialect model stream finish_reason"
    " tokens_in tokens_out tokens_cached tokens_reasoning events content_events shared_reads stamps"
    " stamp_error_ns request_bytes response_bytes icl violations",
    "load_events": "request_id seq offset_ns content",
    "host_samples": "id run_id host at_ns monotonic_ns wall_ns anchor_error_ns cpu_percent cores"
    " memory_used_bytes memory_total_bytes received_bytes sent_bytes",
    "gpus": "id run_id capture_id gpu host number name parent mig driver memory_total_bytes power_limit_mw",
    "gpu_samples": "id gpu_id at_ns error_ns utilisation_percent memory_utilisation_percent"
    " graphics_active_percent sm_active_percent sm_occupancy_percent tensor_active_percent"
    " dram_active_percent memory_used_bytes power_mw power_instant_mw energy_mj sm_clock_mhz memory_clock_mhz"
    " temperature_c memory_temperature_c throttle_reasons violation_power_ns violation_thermal_ns"
    " violation_sync_boost_ns violation_board_limit_ns violation_low_utilisation_ns"
    " violation_reliability_ns pcie_tx_kb_s pcie_rx_kb_s pcie_replays nvlink_tx_kib nvlink_rx_kib"
    " nvlink_crc_flit_errors nvlink_crc_data_errors"
    " nvlink_replay_errors nvlink_recovery_errors ecc_corrected ecc_uncorrected throttling processes",
    "gpu_events": "id run_id capture_id gpu_id at_ns error_ns what counter code detail",
}
CLUSTERED = {"chunks", "events", "load_workers", "load_events"}


@pytest.fixture
def database(write: Callable[..., Path], make_exchange: Callable[..., Exchange]) -> sqlite3.Connection:
    """A recording of one exchange, opened with nothing of ours."""
    return sqlite3.connect(write(make_exchange()), isolation_level=None)


def test_the_columns_are_an_interface(database: sqlite3.Connection) -> None:
    with closing(database):
        for table, names in COLUMNS.items():
            found = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            assert found == names.split()


def test_tables_are_strict_and_rows_of_a_stream_lie_together(database: sqlite3.Connection) -> None:
    with closing(database):
        rows = database.execute("SELECT name, wr, strict FROM pragma_table_list").fetchall()
    ours = {name: (wr, strict) for name, wr, strict in rows if name in COLUMNS}
    assert ours == {name: (int(name in CLUSTERED), 1) for name in COLUMNS}


def test_the_file_says_whose_it_is(database: sqlite3.Connection) -> None:
    with closing(database):
        assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        applied = database.execute("SELECT migration_set, name FROM _sqlite_migrations").fetchall()
        names = ("m0001_exchanges", "m0002_violations", "m0003_load", "m0004_gpu", "m0007_masked")
        assert applied == [("harness", name) for name in names]


def test_removing_a_capture_removes_all_of_it(database: sqlite3.Connection) -> None:
    with closing(database):
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("DELETE FROM captures")
        counts = [database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in COLUMNS]
        assert set(counts) == {0}
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
