"""The tables of a recording. Names are an interface: people query them.

The law of this file: a format, once released, is never edited. A change is a new entry of `FORMATS`,
which a recorder applies to the file it appends to, and a reader to a temporary copy. Small columns
stand before large ones, since SQLite walks over a large value to reach what stands behind it.
All offsets are nanoseconds from t0 (`harness.core.exchange`); booleans are 0 and 1.
"""

from collections.abc import Mapping

APPLICATION_ID = 0x48524E53
"""`PRAGMA application_id` of every recording: "HRNS" (https://www.sqlite.org/fileformat.html, offset 68)."""

MIGRATION_SET = "harness"
"""The name of our set in `_sqlite_migrations`, the table in which sqlite-utils notes what was applied."""

CAPTURES = """
CREATE TABLE captures (
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL,          -- RFC 3339, UTC
    ended_at TEXT,                     -- null: still running, or killed
    upstreams TEXT NOT NULL,           -- JSON {name: URL}
    versions TEXT NOT NULL,            -- JSON {program: version}
    clock TEXT NOT NULL,               -- JSON: the wall-clock anchor of the monotonic clock
    host TEXT NOT NULL,
    redaction TEXT                     -- JSON of the rules; null: not redacted by harness
) STRICT
"""

EXCHANGES = """
CREATE TABLE exchanges (
    id INTEGER PRIMARY KEY,
    capture_id INTEGER NOT NULL REFERENCES captures (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,         -- order of storing in its capture, from 1
    started_at TEXT NOT NULL,          -- wall clock of t0, RFC 3339, UTC; empty: unknown
    upstream TEXT NOT NULL,
    state TEXT NOT NULL,               -- harness.core.exchange.State
    method TEXT NOT NULL,
    scheme TEXT NOT NULL,
    host TEXT NOT NULL,
    port INTEGER,                      -- null: the scheme's own
    path TEXT NOT NULL,                -- what the client asked for, without the query
    query TEXT,                        -- null: no question mark
    url TEXT NOT NULL,                 -- what the upstream was asked for
    request_http_version TEXT NOT NULL,
    match_key TEXT NOT NULL,           -- harness.core.canonical.match_key
    dialect TEXT NOT NULL,
    model TEXT,
    stream INTEGER NOT NULL,
    status INTEGER,                    -- null, as all of the response: no response head came
    http_version TEXT,
    connect_ns INTEGER NOT NULL,       -- connection set-up that fell after t0
    headers_ns INTEGER,
    first_ns INTEGER,                  -- first chunk
    end_ns INTEGER NOT NULL,
    ttft_ns INTEGER,                   -- first generated content
    error_bound_ns INTEGER,            -- null: unknown
    timing_known INTEGER NOT NULL,
    rewritten INTEGER NOT NULL,
    tokens_in INTEGER,
    tokens_out INTEGER,
    tokens_cached INTEGER,
    tokens_reasoning INTEGER,
    finish_reason TEXT,
    error TEXT,
    chunk_count INTEGER NOT NULL,
    request_headers TEXT NOT NULL,     -- JSON [[name, value], ...]
    response_headers TEXT,             -- JSON [[name, value], ...]
    extra TEXT,                        -- JSON: unknown keys of an interchange line
    request_body BLOB NOT NULL
) STRICT
"""

CHUNKS = """
CREATE TABLE chunks (
    exchange_id INTEGER NOT NULL REFERENCES exchanges (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,              -- from 0
    offset_ns INTEGER NOT NULL,
    data BLOB NOT NULL,                -- as it came off the wire, still content-encoded
    PRIMARY KEY (exchange_id, seq)
) STRICT, WITHOUT ROWID
"""

EVENTS = """
CREATE TABLE events (                  -- derived from chunks: one SSE event or NDJSON line a row
    exchange_id INTEGER NOT NULL REFERENCES exchanges (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,              -- from 0
    offset_ns INTEGER NOT NULL,        -- arrival of the event's last byte
    name TEXT,                         -- the SSE event's name
    data TEXT NOT NULL,                -- bytes that are no UTF-8 are replaced by U+FFFD
    PRIMARY KEY (exchange_id, seq)
) STRICT, WITHOUT ROWID
"""

INDEXES = (
    "CREATE INDEX exchanges_by_match_key ON exchanges (match_key)",
    "CREATE INDEX exchanges_by_capture ON exchanges (capture_id)",
)

VALIDATION_RUNS = """
CREATE TABLE validation_runs (         -- one `harness validate --save`
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL,          -- RFC 3339, UTC
    harness_version TEXT NOT NULL,
    profile TEXT NOT NULL,             -- harness.validate.finding.Profile
    overlay TEXT,                      -- null: chosen for each exchange
    exchanges INTEGER NOT NULL,        -- all that were read
    not_checked INTEGER NOT NULL,      -- of those, the ones whose endpoint has no schema
    errors INTEGER NOT NULL,
    warnings INTEGER NOT NULL,
    drift INTEGER NOT NULL
) STRICT
"""

VIOLATIONS = """
CREATE TABLE violations (              -- what a run found; it never holds text of prompts or answers
    run_id INTEGER NOT NULL REFERENCES validation_runs (id) ON DELETE CASCADE,
    exchange_id INTEGER NOT NULL REFERENCES exchanges (id) ON DELETE CASCADE,
    event_seq INTEGER,                 -- `seq` of the event, from 0; null: in no event
    rule TEXT NOT NULL,
    kind TEXT NOT NULL,                -- harness.validate.finding.Kind
    severity TEXT NOT NULL,            -- error, warning, drift
    part TEXT NOT NULL,                -- request, response, event, stream, transport
    pointer TEXT NOT NULL,             -- JSON pointer (RFC 6901) into the message
    message TEXT NOT NULL
) STRICT
"""

VIOLATION_INDEXES = (
    "CREATE INDEX violations_by_run ON violations (run_id)",
    "CREATE INDEX violations_by_exchange ON violations (exchange_id)",
)

LOAD_RUNS = """
CREATE TABLE load_runs (               -- one run of load; a sweep is several
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL,          -- RFC 3339, UTC: the zero of the run's clock
    ended_at TEXT,                     -- null: still running, or killed
    name TEXT,                         -- as the user called it
    sweep TEXT,                        -- the same in all runs of a sweep; null: no sweep
    target TEXT NOT NULL,
    loop TEXT NOT NULL,                -- closed, open
    concurrency INTEGER,               -- of a closed loop
    rate REAL,                         -- requests a second of an open loop; null: recorded, or a trace
    workers INTEGER NOT NULL,
    host TEXT NOT NULL,
    verdict TEXT,                      -- valid, invalid; null: not judged yet
    sent INTEGER,
    recorded INTEGER,
    plan TEXT NOT NULL,                -- JSON (harness.load.plan)
    versions TEXT NOT NULL,            -- JSON {program: version}
    clock TEXT NOT NULL,               -- JSON: the run's zero on wall and monotonic clock, and the error
    reasons TEXT,                      -- JSON: why it is invalid, a line each
    checks TEXT,                       -- JSON: what was checked of the measurement itself
    slos TEXT,                         -- JSON: what was asked, what came, whether it was met
    null_test TEXT,                    -- JSON: the client's own error, measured; null: no null test
    figures TEXT                       -- JSON (harness.load.figures)
) STRICT
"""

LOAD_WORKERS = """
CREATE TABLE load_workers (            -- the processes that sent a run's requests
    run_id INTEGER NOT NULL REFERENCES load_runs (id) ON DELETE CASCADE,
    worker INTEGER NOT NULL,           -- from 0
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,         -- when it began, on the run's clock
    monotonic_ns INTEGER NOT NULL,     -- anchor of its clock: the same moment on the monotonic
    wall_ns INTEGER NOT NULL,          -- and on the wall clock,
    anchor_error_ns INTEGER NOT NULL,  -- give or take
    carry_error_ns INTEGER NOT NULL,   -- how far off its times may be on the run's clock; 0: the same host
    cpu_s REAL,                        -- null, as what follows: no sign of life came
    cpu_p90 REAL,                      -- share of a core in its seconds, 0.9 quantile
    lag_p50_us INTEGER,                -- lateness of its loop's 10 ms timer
    lag_p99_us INTEGER,
    lag_max_us INTEGER,
    rss_bytes INTEGER,                 -- the most memory it had
    sent INTEGER,                      -- null, as what follows: it did not end in order
    answered INTEGER,
    unsent INTEGER,                    -- due, and never sent
    why TEXT,                          -- done, limit, stopped
    recorded INTEGER NOT NULL,         -- results that arrived
    PRIMARY KEY (run_id, worker)
) STRICT, WITHOUT ROWID
"""

LOAD_REQUESTS = """
CREATE TABLE load_requests (           -- all times: ns on the run's own clock, from its start
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES load_runs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,           -- counts all calls of the run, from 0
    worker INTEGER NOT NULL,
    call INTEGER NOT NULL,             -- which of the run's calls it was, from 0
    phase TEXT NOT NULL,               -- warmup, measured
    outcome TEXT NOT NULL,             -- harness.load.records.Outcome
    error TEXT,
    status INTEGER,                    -- null: no response head came
    scheduled_ns INTEGER,              -- when it was due; null: closed loop
    sent_ns INTEGER NOT NULL,          -- its last byte went to the kernel
    connect_ns INTEGER NOT NULL,       -- a duration: connecting, before it was sent; 0: a kept connection
    first_byte_ns INTEGER,
    first_token_ns INTEGER,            -- first event with generated content
    second_token_ns INTEGER,
    last_token_ns INTEGER,
    end_ns INTEGER NOT NULL,           -- last byte, or when it was given up
    dialect TEXT NOT NULL,
    model TEXT,
    stream INTEGER NOT NULL,
    finish_reason TEXT,
    tokens_in INTEGER,                 -- tokens are the provider's own count
    tokens_out INTEGER,
    tokens_cached INTEGER,
    tokens_reasoning INTEGER,
    events INTEGER NOT NULL,
    content_events INTEGER NOT NULL,   -- those with generated content
    shared_reads INTEGER NOT NULL,     -- events that were read together with a later one
    stamps TEXT NOT NULL,              -- kernel, reader
    stamp_error_ns INTEGER NOT NULL,
    request_bytes INTEGER NOT NULL,
    response_bytes INTEGER NOT NULL,
    icl TEXT NOT NULL,                 -- JSON [[up to so many us, count], ...]: gaps between content events
    violations TEXT                    -- JSON: broken stream rules; null: not checked
) STRICT
"""

LOAD_EVENTS = """
CREATE TABLE load_events (             -- only of runs that were asked to keep them
    request_id INTEGER NOT NULL REFERENCES load_requests (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,              -- from 0
    offset_ns INTEGER NOT NULL,        -- from the request's sent_ns
    content INTEGER NOT NULL,          -- whether it carried generated content
    PRIMARY KEY (request_id, seq)
) STRICT, WITHOUT ROWID
"""

HOST_SAMPLES = """
CREATE TABLE host_samples (            -- a host's second
    id INTEGER PRIMARY KEY,
    run_id INTEGER REFERENCES load_runs (id) ON DELETE CASCADE, -- null: sampled without a run
    host TEXT NOT NULL,
    at_ns INTEGER NOT NULL,            -- on the run's clock
    monotonic_ns INTEGER NOT NULL,     -- the same moment on the host's monotonic
    wall_ns INTEGER NOT NULL,          -- and on its wall clock,
    anchor_error_ns INTEGER NOT NULL,  -- give or take
    cpu_percent REAL NOT NULL,         -- of all cores together, since the sample before
    cores TEXT NOT NULL,               -- JSON: the same, core by core
    memory_used_bytes INTEGER NOT NULL,
    memory_total_bytes INTEGER NOT NULL,
    received_bytes INTEGER NOT NULL,   -- network, all interfaces, since the host's start
    sent_bytes INTEGER NOT NULL
) STRICT
"""

LOAD_INDEXES = (
    "CREATE INDEX load_requests_by_run ON load_requests (run_id)",
    "CREATE INDEX host_samples_by_run ON host_samples (run_id)",
)

GPUS = """
CREATE TABLE gpus (                    -- a card, or a MIG instance of one, in one run or capture
    id INTEGER PRIMARY KEY,
    run_id INTEGER REFERENCES load_runs (id) ON DELETE CASCADE,    -- null: no load run
    capture_id INTEGER REFERENCES captures (id) ON DELETE CASCADE, -- null: no capture
    gpu TEXT NOT NULL,                 -- its UUID
    host TEXT NOT NULL,                -- where it is
    number INTEGER NOT NULL,           -- NVML's index; of an instance, that within its card
    name TEXT NOT NULL,
    parent TEXT,                       -- UUID of an instance's card; null: a card
    mig INTEGER NOT NULL,              -- whether the card is cut into instances
    driver TEXT,
    memory_total_bytes INTEGER,
    power_limit_mw INTEGER
) STRICT
"""

GPU_SAMPLES = """
CREATE TABLE gpu_samples (             -- what was read at once; null: not due, or not to be had
    id INTEGER PRIMARY KEY,
    gpu_id INTEGER NOT NULL REFERENCES gpus (id) ON DELETE CASCADE,
    at_ns INTEGER NOT NULL,            -- on the clock of the run, or from the capture's anchor
    error_ns INTEGER,                  -- how far off that may be; null: unknown
    utilisation_percent REAL,          -- time in which any kernel ran: not how much of the card it used
    memory_utilisation_percent REAL,
    graphics_active_percent REAL,      -- GPM: Hopper and later
    sm_active_percent REAL,
    sm_occupancy_percent REAL,
    tensor_active_percent REAL,
    dram_active_percent REAL,
    memory_used_bytes INTEGER,
    power_mw REAL,                     -- a 1 s average on most newer cards
    power_instant_mw REAL,
    energy_mj INTEGER,                 -- since the driver was loaded: only differences mean anything
    sm_clock_mhz INTEGER,
    memory_clock_mhz INTEGER,
    temperature_c REAL,
    memory_temperature_c REAL,
    throttle_reasons INTEGER,          -- bits, as in nvml.h
    violation_power_ns INTEGER,        -- these only grow: time for which the card was held back
    violation_thermal_ns INTEGER,
    violation_sync_boost_ns INTEGER,
    violation_board_limit_ns INTEGER,
    violation_low_utilisation_ns INTEGER,
    violation_reliability_ns INTEGER,
    pcie_tx_kb_s REAL,                 -- in a window of 20 ms
    pcie_rx_kb_s REAL,
    pcie_replays INTEGER,              -- from here on all only grow
    nvlink_tx_kib INTEGER,
    nvlink_rx_kib INTEGER,
    nvlink_crc_flit_errors INTEGER,
    nvlink_crc_data_errors INTEGER,
    nvlink_replay_errors INTEGER,
    nvlink_recovery_errors INTEGER,
    ecc_corrected INTEGER,
    ecc_uncorrected INTEGER,
    throttling TEXT,                   -- throttle_reasons in words, with commas between; empty: none
    processes TEXT                     -- JSON [{"pid", "memory_bytes"}, ...]
) STRICT
"""

GPU_EVENTS = """
CREATE TABLE gpu_events (              -- harness.load.gpu.records.Event
    id INTEGER PRIMARY KEY,
    run_id INTEGER REFERENCES load_runs (id) ON DELETE CASCADE,
    capture_id INTEGER REFERENCES captures (id) ON DELETE CASCADE,
    gpu_id INTEGER REFERENCES gpus (id) ON DELETE CASCADE, -- null: all of another host
    at_ns INTEGER NOT NULL,
    error_ns INTEGER NOT NULL,
    what TEXT NOT NULL,                -- unsupported, failed, lost, xid, unreachable
    counter TEXT,
    code INTEGER,                      -- of Xid errors the driver's code, else NVML's
    detail TEXT NOT NULL
) STRICT
"""

GPU_INDEXES = (
    "CREATE INDEX gpus_by_run ON gpus (run_id)",
    "CREATE INDEX gpus_by_capture ON gpus (capture_id)",
    "CREATE INDEX gpu_samples_by_time ON gpu_samples (gpu_id, at_ns)",
    "CREATE INDEX gpu_events_by_run ON gpu_events (run_id)",
)

MASKED = "ALTER TABLE captures ADD COLUMN masked TEXT /* JSON {rule: places where it masked something} */"

type Formats = Mapping[str, tuple[str, ...]]
"""Name of a migration -> its SQL statements, in the order in which they are applied."""

FORMATS: Formats = {
    "m0001_exchanges": (CAPTURES, EXCHANGES, CHUNKS, EVENTS, *INDEXES),
    "m0002_violations": (VALIDATION_RUNS, VIOLATIONS, *VIOLATION_INDEXES),
    "m0003_load": (LOAD_RUNS, LOAD_WORKERS, LOAD_REQUESTS, LOAD_EVENTS, HOST_SAMPLES, *LOAD_INDEXES),
    "m0004_gpu": (GPUS, GPU_SAMPLES, GPU_EVENTS, *GPU_INDEXES),
    "m0007_masked": (MASKED,),
}
