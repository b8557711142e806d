"""Reads reports out of recordings. The only IO of the package."""

from array import array
from pathlib import Path
from typing import Any

from harness.core.derive import derive
from harness.report.exchanges import recording_report
from harness.report.lanes import CardLog
from harness.report.model import RecordingReport, RunReport
from harness.report.run import RunRows, run_report
from harness.store.gpu_log import Owner, gpu_events, gpu_samples, gpus
from harness.store.load_runs import host_samples, load_requests, load_run, load_runs
from harness.store.open import head_of, open_recording
from harness.store.snapshot import MAGIC


def holds_runs(path: Path) -> bool:
    """Whether a file is a recording with load runs in it; BadInput where it is no recording at all."""
    return head_of(path).startswith(MAGIC) and bool(load_runs(path))


def read_run(path: Path, run_id: int | None = None) -> RunReport:
    """The report of a load run, the last one where none is named. BadInput: none is there, or damaged."""
    return run_report(run_rows(path, run_id))


def read_exchanges(path: Path) -> RecordingReport:
    """The report of a recording's exchanges, read one by one. BadInput: it is no recording, or damaged."""
    with open_recording(path) as opened:
        told = ((exchange, derive(exchange)) for exchange in opened.exchanges())
        return recording_report(path.name, opened.captures(), told)


def run_rows(path: Path, run_id: int | None = None) -> RunRows:
    """All of a run, the last one where none is named. BadInput: there is none, or the file is damaged."""
    run = load_run(path, run_id)
    owner = Owner(run_id=run["id"])
    return RunRows(
        file=path.name,
        run=run,
        sweep=[
            other for other in load_runs(path) if run["sweep"] is not None and other["sweep"] == run["sweep"]
        ],
        requests=list(map(slim, load_requests(path, run["id"]))),
        hosts=host_samples(path, run["id"]),
        cards=[CardLog(card, list(gpu_samples(path, card["id"]))) for card in gpus(path, owner)],
        gpu_events=gpu_events(path, owner),
    )


def slim(row: dict[str, Any]) -> dict[str, Any]:
    """A request with 8 bytes for each event that is drawn: a run may have kept millions."""
    offsets = row.pop("offsets")
    return row | {"content_ns": array("q", (at_ns for at_ns, has_content in offsets if has_content))}
