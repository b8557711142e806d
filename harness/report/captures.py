"""The document of a capture that has a GPU log: its exchanges and its cards on one axis.

The law of this file: pure. The axis counts from the capture's start, as the log does; an exchange stands
where its wall clock says, which the recorder takes from the same anchor.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.core.dates import wall_ns
from harness.core.derive import Derived
from harness.core.exchange import Exchange, State
from harness.core.visible import visible
from harness.report.gpu import GpuRows, gpu_lanes, gpu_of
from harness.report.lanes import request_lanes
from harness.report.model import CaptureReport, Gpu, Lane
from harness.report.overtime import Axis
from harness.report.times import rounded
from harness.store.capture import Capture

NOTHING = Gpu(cards=(), energy_j=None, tokens_per_joule=None, events=())


@dataclass(slots=True)
class CaptureTally:
    """The exchanges of a capture whose times are known, as rows like those of a load run."""

    capture: Capture
    rows: list[dict[str, Any]] = field(default_factory=list)
    counted: bool = True

    def add(self, exchange: Exchange, derived: Derived) -> None:
        """Take in an exchange."""
        if not exchange.timing_known or not exchange.started_at:
            return
        start = wall_ns(exchange.started_at) - wall_ns(self.capture.started_at)
        end = exchange.response.end_ns if exchange.response else exchange.end_ns
        content = derived.content_ns
        self.rows.append(
            {
                "sent_ns": start,
                "first_token_ns": start + content[0] if content else None,
                "last_token_ns": start + content[-1] if content else None,
                "end_ns": start + end,
                "tokens_out": derived.usage.output,
                "outcome": "complete" if is_success(exchange) else "failed",
            }
        )
        self.counted = self.counted and (derived.usage.output is not None or not content)

    def report(self, log: GpuRows) -> CaptureReport:
        """The document."""
        window = self.window()
        tokens = sum(row["tokens_out"] or 0 for row in self.rows) if self.counted else None
        return CaptureReport(
            id=self.capture.id,
            started_at=visible(self.capture.started_at),
            host=visible(self.capture.host),
            exchanges=len(self.rows),
            lanes=tuple(self.lanes(log)),
            gpu=gpu_of(log, window, tokens) or NOTHING,
        )

    def window(self) -> tuple[int, int] | None:
        """From the first request to the last byte; None of nothing."""
        if not self.rows:
            return None
        return min(row["sent_ns"] for row in self.rows), max(row["end_ns"] for row in self.rows)

    def lanes(self, log: GpuRows) -> Iterator[Lane]:
        """What was under way, then the cards."""
        if self.rows:
            yield from request_lanes(self.rows, self.axis(log))
        yield from gpu_lanes(log)

    def axis(self, log: GpuRows) -> Axis:
        """From the first sample or request to the last."""
        times = [row["at_ns"] for card in log.cards for row in card.samples]
        times += self.window() or ()
        start = rounded(min(times))
        return Axis(start, max(rounded(max(times)), start + 1))


def is_success(exchange: Exchange) -> bool:
    """Whether an answer came whole, and is no error."""
    return (
        exchange.state is State.COMPLETE and exchange.response is not None and exchange.response.status < 400
    )
