"""What `harness verify --json` prints. Times are in ms; None: there is none to tell of."""

from harness.core.admin import Timing
from harness.core.document import Document
from harness.verify.compare import Verdict


class ExchangeDocument(Document):
    """One replayed exchange. `bytes` is `equal`, or what differs; the quantiles are of absolute errors."""

    id: int
    request: str
    state: str
    chunks: int
    bytes: str
    ttft_ms: float | None
    ttft_error_ms: float | None
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    drift_ms: float | None


class SummaryDocument(Document):
    """Absolute errors of one kind, or what stands beside them."""

    what: str
    count: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class VerificationDocument(Document):
    """All of it. `server` is the replay server's own word, `skipped` has what cannot be replayed."""

    verdict: Verdict
    tolerance_ms: float
    summary: tuple[SummaryDocument, ...]
    server: Timing
    skipped: tuple[int, ...]
    exchanges: tuple[ExchangeDocument, ...]
