"""`harness validate`: is recorded traffic what the API promises?"""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.findings import print_report
from harness.cli.output import print_json
from harness.core.errors import BadInput
from harness.store.files import check_replaceable, replaced
from harness.validate.finding import Profile, Severity

if TYPE_CHECKING:
    from harness.validate.checker import Checker
    from harness.validate.report import Report
    from harness.validate.spool import Spool

EXIT_CODES = {"passed": 0, "failed": 1}
WITH_SCHEMAS = ("profile", "overlay", "schemas", "save", "sarif", "junit")
"""Options that a comparison with a baseline has no use for."""


def validate(
    ctx: typer.Context,
    recording: Annotated[Path, typer.Argument(help="A recording (.db) or an interchange file (.jsonl).")],
    profile: Annotated[Profile, typer.Option(help="What counts as an error.")] = Profile.COMPATIBLE,
    overlay: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose API it is. [default: by host, or what the answers show]"),
    ] = None,
    schemas: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Schemas to use instead of harness's own.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="REC", help="Say instead what changed in shape since this one.")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Keep what was found in the recording.")] = False,
    sarif: Annotated[Path | None, typer.Option(metavar="FILE", help="Write SARIF 2.1.0 too.")] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")] = False,
) -> int:
    """Check requests, answers and streams against schemas and the rules of streams.

    What is found is grouped by place (elements of lists as *), errors first, each with an example. The
    profile says what is an error: compatible, what breaks programs; strict, all that the schemas do not
    know; drift lists unknown fields and values by host, most frequent first. No report holds text of
    prompts or answers. With --baseline, two recordings are compared: what vanished, changed its type or
    appeared. Exit code 1: there are errors, or something vanished or changed its type.
    """
    if baseline:
        from harness.cli.baseline import compare_recordings  # noqa: PLC0415

        refuse_beside_baseline(ctx)
        return compare_recordings(baseline, recording, as_json=as_json)
    from harness.store.capture import now  # noqa: PLC0415
    from harness.validate.spool import Spool  # noqa: PLC0415

    check_outputs(recording, sarif, junit, save=save)
    checker, started_at = checker_of(schemas, overlay), now()
    with ExitStack() as stack:
        spool = stack.enter_context(Spool()) if save else None
        report = run(recording, checker, profile, spool)
        print_document(report, recording, overlay) if as_json else print_report(report)
        write_formats(report, recording, sarif, junit)
        if spool:
            keep(recording, report, started_at, overlay, spool)
    return EXIT_CODES[report.verdict.value]


def refuse_beside_baseline(ctx: typer.Context) -> None:
    """BadInput for options that a comparison of shapes has no use for, but not for those set for all runs."""
    sources = {name: ctx.get_parameter_source(name) for name in WITH_SCHEMAS}
    given = [f"--{name}" for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    if given:
        raise BadInput(f"--baseline compares shapes, without schemas: leave out {' and '.join(given)}")


def check_outputs(recording: Path, sarif: Path | None, junit: Path | None, *, save: bool) -> None:
    """BadInput, before a long run, for what could not be written after it."""
    from harness.store.open import head_of  # noqa: PLC0415
    from harness.store.snapshot import MAGIC  # noqa: PLC0415

    if save and not head_of(recording).startswith(MAGIC):
        raise BadInput(f"--save keeps findings in recordings (.db): 'harness import {recording}' makes one")
    outputs = [path for path in (sarif, junit) if path]
    for path in outputs:
        check_replaceable(path)
        if path.exists() and path.samefile(recording):
            raise BadInput(f"{path} is the recording itself: name another file")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise BadInput(f"{sarif} cannot be SARIF and JUnit at once: name two files")


def checker_of(schemas: Path | None, overlay: str | None) -> "Checker":
    """A checker with the schemas of a folder, or harness's own. BadInput: damage, an unknown overlay.

    All of a folder is looked at first, since a recording may touch a damaged file late or never. Harness's
    own schemas are tested where they are made, and are read as they are needed.
    """
    from harness.validate.catalog import Catalog  # noqa: PLC0415
    from harness.validate.checker import Checker  # noqa: PLC0415

    catalog = Catalog.load(schemas)
    if schemas:
        catalog.check()
    if overlay is not None:
        catalog.require(overlay)
    return Checker(catalog, overlay=overlay)


def run(recording: Path, checker: "Checker", profile: Profile, spool: "Spool | None") -> "Report":
    """Validate all exchanges, with a progress bar."""
    from harness.cli.progress import progress_bar  # noqa: PLC0415
    from harness.store.open import open_recording  # noqa: PLC0415
    from harness.validate.run import validate as check_all  # noqa: PLC0415

    with open_recording(recording) as opened, progress_bar("validating") as progress:
        return check_all(opened, checker, profile, spool=spool, progress=progress)


def print_document(report: "Report", recording: Path, overlay: str | None) -> None:
    """Print the report as JSON."""
    from harness.validate.document import ReportDocument  # noqa: PLC0415

    print_json(ReportDocument.of(report, str(recording), overlay).model_dump(mode="json"))


def write_formats(report: "Report", recording: Path, sarif: Path | None, junit: Path | None) -> None:
    """Write the files for CI that were asked for."""
    if sarif:
        from harness.validate.sarif import sarif_log  # noqa: PLC0415

        with replaced(sarif) as file:
            file.write(json.dumps(sarif_log(report, recording), indent=1).encode())
    if junit:
        from harness.validate.junit import junit_document  # noqa: PLC0415

        with replaced(junit) as file:
            file.write(junit_document(report))


def keep(recording: Path, report: "Report", started_at: str, overlay: str | None, spool: "Spool") -> None:
    """Store the run in the recording, which is closed by now."""
    from harness import __version__  # noqa: PLC0415
    from harness.store.violations import ValidationRun, save_run  # noqa: PLC0415

    counts = report.counts()
    kept = ValidationRun(
        started_at=started_at,
        harness_version=__version__,
        profile=report.profile.value,
        overlay=overlay,
        exchanges=report.exchanges,
        not_checked=report.not_checked,
        errors=counts[Severity.ERROR],
        warnings=counts[Severity.WARNING],
        drift=counts[Severity.DRIFT],
    )
    number = save_run(recording, kept, spool.violations())
    print(f"kept as validation run {number} of {recording}", file=sys.stderr)
