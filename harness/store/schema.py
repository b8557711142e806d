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

type Formats = Mapping[str, tuple[str, ...]]
"""Name of a migration -> its SQL statements, in the order in which they are applied."""

FORMATS: Formats = {
    "m0001_exchanges": (CAPTURES, EXCHANGES, CHUNKS, EVENTS, *INDEXES),
    "m0002_violations": (VALIDATION_RUNS, VIOLATIONS, *VIOLATION_INDEXES),
}
