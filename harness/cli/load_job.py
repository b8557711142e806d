"""What `harness load` does once its options are read: ask, try, measure, show, export."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from harness.cli.output import Column, print_json, print_rows
from harness.cli.terminal import SafeConsole
from harness.core.errors import BadInput
from harness.core.visible import counted
from harness.load.build import Prepared, Step, prepare
from harness.load.care import Price, price_of, question, unasked
from harness.load.clock import RunClock
from harness.load.exports import aiperf_document, aiperf_records, request_lines, vllm_document
from harness.load.folder import Folder
from harness.load.gpu.source import Asked
from harness.load.nulltest import null_test
from harness.load.options import Options, is_shaped, source_of
from harness.load.plan import Closed, Plan
from harness.load.records import Result
from harness.load.rows import result_of
from harness.load.run import Run, Wants
from harness.load.slo import goodput_of, slos_of
from harness.load.summary import SWEPT, Summary, closing, sweep_rows
from harness.load.validity import ClientError
from harness.store.appender import cannot_be_written, check_appendable
from harness.store.files import check_replaceable, replaced
from harness.store.load_runs import LoadWriter, load_requests, load_run

FOLDER = Path("recordings")
OPEN_STREAMS = 50
"""Streams of the null test of an open loop without a bound."""
COLUMNS = [
    Column("load", folds=True),
    Column("verdict"),
    *(Column(name, right=True) for name in ("requests", "failed")),
    *(Column(name, rank=rank, right=True) for rank, name in enumerate(SWEPT)),
]
"""Of the table of a sweep; where the terminal is narrow, the last leave first."""
NS_PER_US = 1000
CHECKED = ("-m", "harness.cli.load_reducer")
"""The reducer that holds answers against the rules of streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that the user asked for."""

    options: Options
    slos: tuple[str, ...]
    goodput: tuple[str, ...]
    price: str | None
    yes: bool
    validate: bool
    null_test: bool
    expect_workers: int | None
    bind: str
    gpu: Asked
    db: Path | None
    export_jsonl: Path | None
    export_vllm: Path | None
    export_aiperf: Path | None
    quiet: bool
    as_json: bool
    locust_options: tuple[str, ...]


def perform(job: Job) -> int:
    """Do it; the exit code."""
    wants = wants_of(job)
    db = job.db or FOLDER / f"load-{datetime.now().astimezone():%Y-%m-%d-%H%M%S}.db"
    check_writable(db)
    check_exports(job)
    price = price_of(job.price)
    wants = replace(wants, gpu=job.gpu.checked())
    prepared = prepare(with_workers(job))
    if not prepared.private and not job.yes:
        ask(prepared, price)
    if prepared.built.exact is False:
        say(job, "the target has no tokenizer to ask: token lengths are estimates")
    prepared.try_out()
    wants = replace(wants, null_test=measured_client(prepared, job))
    with LoadWriter(db) as writer:
        summaries = list(runs(prepared, writer, job, wants))
    show_end(summaries, job)
    if is_by_chance(job.options):
        say(job, f"--seed {prepared.built.seed} makes the same prompts and arrivals again")
    export(job, db, prepared.built.steps[0], summaries[0])
    return max((summary.exit_code for summary in summaries), default=0)


def is_by_chance(options: Options) -> bool:
    """Whether prompts or arrivals were drawn, and by a seed that nobody gave."""
    return options.seed is None and (source_of(options) is None or is_shaped(options))


def wants_of(job: Job) -> Wants:
    """What is wanted of every run. BadInput: a limit that cannot be read."""
    goodput = goodput_of(job.goodput)
    return Wants(
        slos=slos_of(job.slos, goodput),
        goodput=goodput,
        quiet=job.quiet,
        locust_options=job.locust_options,
        sweep=job.options.sweep,
        bind=place_to_bind(job.bind) if job.expect_workers else None,
    )


def measured_client(prepared: Prepared, job: Job) -> ClientError | None:
    """What the client's own error is under the largest load asked for; None where nobody wants to know.

    Workers of other machines are not measured from here.
    """
    if not job.null_test or job.expect_workers:
        return None
    say(job, "measuring the client's own error (null test)")
    plans = [step.plan for step in prepared.built.steps]
    largest = max(most_at_once(plan) for plan in plans)
    by_kernel = all(plan.kernel_stamps and plan.target.startswith("http:") for plan in plans)
    found = null_test(job.options.workers, largest, kernel_stamps=by_kernel)
    p50, p99, most = (time / NS_PER_US for time in (found.error.p50, found.error.p99, found.error.max))
    return ClientError(found.streams, found.events, p50, p99, most)


def most_at_once(plan: Plan) -> int:
    """How many streams to measure the client with: as many as the plan has, or a usual number."""
    return plan.loop.concurrency if isinstance(plan.loop, Closed) else plan.loop.most_open or OPEN_STREAMS


def say(job: Job, text: str) -> None:
    """A line on stderr about what goes on."""
    if not job.quiet:
        print(f"harness load: {text}", file=sys.stderr, flush=True)


def place_to_bind(text: str) -> tuple[str, int]:
    """`HOST:PORT` as a pair. BadInput."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadInput(f"{text!r} is no HOST:PORT, such as 0.0.0.0:5557")
    return host.strip("[]"), int(port)


def with_workers(job: Job) -> Options:
    """The options, with as many workers as are expected from elsewhere."""
    if job.expect_workers is None:
        return job.options
    if job.expect_workers < 1 or job.options.workers != 1:
        raise BadInput("--expect-workers is how many join from elsewhere: at least 1, and without --workers")
    return replace(job.options, workers=job.expect_workers)


def check_writable(db: Path) -> None:
    """BadInput, before anything is sent, for a recording that could not be written; nothing is made."""
    check_appendable(db)
    folder = next(place for place in db.absolute().parents if place.exists())
    try:
        TemporaryFile(dir=folder).close()
        if db.exists():
            db.open("r+b").close()
    except OSError as error:
        raise BadInput(f"{db} {cannot_be_written(error)}") from None


def check_exports(job: Job) -> None:
    """BadInput, before anything is sent, for files that could not be written after it."""
    files = [path for path in (job.export_jsonl, job.export_vllm) if path]
    if job.options.sweep and (files or job.export_aiperf):
        raise BadInput("exports are of one run: leave --sweep away, or the exports")
    for path in files:
        check_replaceable(path)
    if job.export_aiperf and job.export_aiperf.exists() and not job.export_aiperf.is_dir():
        raise BadInput(f"{job.export_aiperf} is no folder: name one for the files of AIPerf")


def ask(prepared: Prepared, price: Price) -> None:
    """Have a person confirm a run that others may have to pay for. BadInput where it is not confirmed."""
    bill = prepared.bill(price)
    if not sys.stdin.isatty():
        raise unasked(bill)
    print(question(prepared.known.place.url, bill), file=sys.stderr)
    print("Type yes to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() != "yes":
        raise BadInput("not confirmed: nothing was sent")


def runs(prepared: Prepared, writer: LoadWriter, job: Job, wants: Wants) -> Iterator[Summary]:
    """Make all runs, each in a folder that goes away; one that was stopped is the last."""
    for number, step in enumerate(prepared.built.steps):
        if wants.bind:
            say(
                job,
                f"waiting for {counted(step.plan.workers, 'worker')} at {job.bind}: 'harness load --join'",
            )
        with TemporaryDirectory(prefix="harness-load-") as path:
            one = Run(reduced(step, validate=job.validate), Folder(Path(path)), writer, wants)
            summary = one.make()
        yield summary
        if not job.as_json:
            show(summary, more=number + 1 < len(prepared.built.steps))
        if one.stopped:
            return


def reduced(step: Step, *, validate: bool) -> Step:
    """The step, with the reducer that checks answers where that is wanted."""
    if not validate:
        return step
    command = (sys.executable, *CHECKED)
    return replace(step, plan=step.plan.model_copy(update={"reducer": command}))


def show(summary: Summary, *, more: bool) -> None:
    """The closing table of one run."""
    console = SafeConsole()
    console.print(closing(summary), soft_wrap=True)
    if more:
        console.print()


def show_end(summaries: Sequence[Summary], job: Job) -> None:
    """What comes after all runs: JSON, or the table of a sweep."""
    documents = [summary.model_dump(mode="json") for summary in summaries]
    if job.as_json:
        print_json(documents if job.options.sweep else documents[0])
    elif len(summaries) > 1:
        print()
        rows = sweep_rows(summaries)
        print_rows([column for column in COLUMNS if column.name in rows[0]], rows, as_json=False)


def export(job: Job, db: Path, step: Step, summary: Summary) -> None:
    """Write the files that were asked for."""
    if not (job.export_jsonl or job.export_vllm or job.export_aiperf):
        return
    row = load_run(db, summary.run_id)
    clock = RunClock(**row["clock"])
    if job.export_jsonl:
        write_lines(job.export_jsonl, request_lines(results_of(db, summary)))
    if job.export_vllm:
        document = vllm_document(summary, step.plan, results_of(db, summary), step.rate)
        write_lines(job.export_vllm, [json.dumps(document)])
    if job.export_aiperf:
        job.export_aiperf.mkdir(parents=True, exist_ok=True)
        records = map(json.dumps, aiperf_records(results_of(db, summary), clock))
        write_lines(job.export_aiperf / "profile_export.jsonl", records)
        whole = aiperf_document(summary, results_of(db, summary), clock)
        write_lines(job.export_aiperf / "profile_export_aiperf.json", [json.dumps(whole, indent=2)])


def results_of(db: Path, summary: Summary) -> list[Result]:
    """The requests of a run, as they were sent."""
    assert summary.run_id is not None
    return [result_of(row) for row in load_requests(db, summary.run_id)]


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A file of lines, whole or not at all."""
    with replaced(path) as file:
        file.writelines(f"{line}\n".encode() for line in lines)
