"""Reads reports out of recordings and of what a probe said. The only IO of the package."""

import re
from array import array
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness import __version__
from harness.core.derive import derive
from harness.core.errors import BadInput
from harness.core.interchange import describe
from harness.core.json_text import parse
from harness.core.visible import visible
from harness.probe.document import ProbeDocument
from harness.report.exchanges import recording_report
from harness.report.gpu import CardLog, GpuRows
from harness.report.model import ProbeReport, RecordingReport, RunReport
from harness.report.probe import probe_report
from harness.report.run import RunRows, run_report
from harness.store.gpu_log import Owner, gpu_events, gpu_samples, gpus, logged_captures
from harness.store.load_runs import host_samples, load_requests, load_run, load_runs
from harness.store.open import head_of, open_recording
from harness.store.snapshot import MAGIC

A_DOCUMENT = re.compile(rb'\s*\{\s*?(\n|"(version|added)")')
"""How a document of a probe begins, in lines or in one, keys in order or sorted; an exchange never does."""


def holds_probe(path: Path) -> bool:
    """Whether a file is meant to be what a probe said; BadInput where it cannot be read."""
    return A_DOCUMENT.match(head_of(path)) is not None


def read_probe(path: Path) -> ProbeReport:
    """The report of a probe. BadInput: it is none, or of another version, or cut off."""
    try:
        said = parse(path.read_bytes())
    except ValueError:
        raise BadInput(f"{path} is no whole JSON document: was the probe broken off?") from None
    if not isinstance(said, dict) or "behaviours" not in said or not isinstance(said.get("version"), str):
        raise BadInput(f"{path} is JSON, but nothing that `harness probe --json` says")
    try:
        return probe_report(path.name, ProbeDocument.model_validate(said))
    except ValidationError as error:
        whose = f"harness {visible(said['version'])}, this is {__version__}"
        raise BadInput(f"{path}: {describe(error)} (written by {whose}): probe again") from None


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
        captures = opened.captures()
        logged = logged_captures(path) if captures else ()
        logs = {number: gpu_rows(path, Owner(capture_id=number)) for number in logged}
        return recording_report(path.name, captures, told, logs)


def run_rows(path: Path, run_id: int | None = None) -> RunRows:
    """All of a run, the last one where none is named. BadInput: there is none, or the file is damaged."""
    run = load_run(path, run_id)
    return RunRows(
        file=path.name,
        run=run,
        sweep=[
            other for other in load_runs(path) if run["sweep"] is not None and other["sweep"] == run["sweep"]
        ],
        requests=list(map(slim, load_requests(path, run["id"]))),
        hosts=host_samples(path, run["id"]),
        gpu=gpu_rows(path, Owner(run_id=run["id"])),
    )


def gpu_rows(path: Path, owner: Owner) -> GpuRows:
    """The GPU log of a run or a capture."""
    cards = [CardLog(card, list(gpu_samples(path, card["id"]))) for card in gpus(path, owner)]
    return GpuRows(cards, gpu_events(path, owner))


def slim(row: dict[str, Any]) -> dict[str, Any]:
    """A request with 8 bytes for each event that is drawn: a run may have kept millions."""
    offsets = row.pop("offsets")
    return row | {"content_ns": array("q", (at_ns for at_ns, has_content in offsets if has_content))}
