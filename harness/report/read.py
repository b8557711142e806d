"""Reads what a report is made of out of a recording. The only IO of the package."""

from pathlib import Path

from harness.report.lanes import CardLog
from harness.report.run import RunRows
from harness.store.gpu_log import Owner, gpu_events, gpu_samples, gpus
from harness.store.load_runs import host_samples, load_requests, load_run, load_runs
from harness.store.open import head_of
from harness.store.snapshot import MAGIC


def holds_runs(path: Path) -> bool:
    """Whether a file is a recording with load runs in it; BadInput where it is no recording at all."""
    return head_of(path).startswith(MAGIC) and bool(load_runs(path))


def run_rows(path: Path, run_id: int | None = None) -> RunRows:
    """All of a run, the last one where none is named. BadInput: there is none, or the file is damaged."""
    run = load_run(path, run_id)
    owner = Owner(run_id=run["id"])
    return RunRows(
        file=path.name,
        run=run,
        sweep=[other for other in load_runs(path) if run["sweep"] is not None and other["sweep"] == run["sweep"]],
        requests=list(load_requests(path, run["id"])),
        hosts=host_samples(path, run["id"]),
        cards=[CardLog(card, list(gpu_samples(path, card["id"]))) for card in gpus(path, owner)],
        gpu_events=gpu_events(path, owner),
    )
