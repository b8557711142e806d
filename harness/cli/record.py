"""`harness record`: record the traffic between programs and LLM APIs."""

import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import nullcontext
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from socket import gethostname
from ssl import SSLError, create_default_context
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import gpu_log, proxy_mode, redact_options
from harness.cli.proxy_mode import Mode
from harness.core.errors import BadInput, HarnessError, MissingExtra, NotRecorded
from harness.core.sizes import parse_size
from harness.core.visible import counted
from harness.record.policy import Policy

if TYPE_CHECKING:
    from harness.cli.proxy_mode import WayIn
    from harness.load.gpu.source import Asked
    from harness.record.supervisor import Outcome, Program
    from harness.record.upstream import Upstream

PORT = 8080
FOLDER = Path("recordings")
STATS_S = 5.0
"""How often `--stats` says what recording costs."""


def record(
    ctx: typer.Context,
    upstream: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]URL",
            show_default=False,
            help="API to record, once for each; a path in the URL is put before every request's. "
            "With --mode proxy it only gives a name.",
        ),
    ] = None,
    db: Annotated[
        Path | None,
        typer.Option(help="Recording to append to. [default: recordings/DATE-TIME.db]", show_default=False),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            show_default=False,
            help="Port of the first, the others follow; 0: free ones. [default: 8080, or 0 with -- CMD]",
        ),
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="reverse: clients use our address as their base URL; proxy: as their proxy.")
    ] = Mode.REVERSE,
    allow_host: proxy_mode.AllowHost = None,
    ca_dir: proxy_mode.CaDir = None,
    upstream_ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Certificates (PEM) to trust for upstreams, beside those that are trusted anyway.",
        ),
    ] = None,
    redact: Annotated[
        bool, typer.Option("--redact/--no-redact", help="Mask API keys and other secrets before storing.")
    ] = True,
    redact_header: redact_options.Header = None,
    redact_query: redact_options.Query = None,
    redact_field: redact_options.Field = None,
    redact_json: redact_options.Json = None,
    redact_pattern: redact_options.Pattern = None,
    redact_email: redact_options.Email = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line for each exchange.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The line for each exchange, and the cost, as JSON.")
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Say every 5 s what recording has cost so far, as at the end.")
    ] = False,
    gpu: gpu_log.Source = "off",
    gpu_rate: gpu_log.Rate = None,
    gpus: gpu_log.Gpus = None,
    max_queue: Annotated[
        str,
        typer.Option(metavar="SIZE", help="How much may wait in memory to be stored, such as 64MiB."),
    ] = "256MiB",
    on_storage_failure: Annotated[
        Policy,
        typer.Option(
            help="What becomes of traffic that cannot be recorded. stop: it is refused, and the recorder "
            "ends; pass: it passes, and is counted. The exit code is 4 either way.",
        ),
    ] = Policy.STOP,
    validate: Annotated[
        bool, typer.Option("--validate", help="Check each exchange once it is stored; its errors to stderr.")
    ] = False,
) -> int:
    """Record traffic with LLM APIs: every chunk as it came, with its time.

    Each upstream gets a port; programs use it as their base URL. With `-- CMD` the command runs with
    the base URLs of the SDKs set to the recorder, which ends with it: OPENAI_BASE_URL,
    ANTHROPIC_BASE_URL and OLLAMA_HOST for upstreams of these names, NAME_BASE_URL for others. Without,
    Ctrl-C ends it. A line for each exchange goes to stderr, and at the end what recording cost: CPU of
    each process, how late its loop was, how many exchanges have doubtful times (error_bound_ns above
    5 ms). Exit code: the command's own, or 4 where something could not be recorded; else, with
    --validate, 1 where an exchange has errors or was not checked.

    With --mode proxy there is one port, for programs whose base URL cannot be changed: the command gets
    the variables of proxies and certificates (HTTPS_PROXY, SSL_CERT_FILE, NODE_EXTRA_CA_CERTS, ...);
    without a command they are printed. Recorded is what goes to known providers, to --upstream and to
    --allow-host; everything else passes as it is.
    """
    if sys.platform == "win32":
        raise BadInput("harness record runs on Linux and macOS: on Windows, use it in WSL")
    if find_spec("mitmproxy") is None:
        raise MissingExtra("harness record", "record")
    from harness.record.supervisor import Forwarding, Settings  # noqa: PLC0415
    from harness.record.supervisor import record as run  # noqa: PLC0415
    from harness.record.upstream import parse_all  # noqa: PLC0415

    program: list[str] | None = ctx.obj
    upstreams = parse_all(upstream or ())
    way = way_of(mode, allow_host, ca_dir, [one.host for one in upstreams])
    rules = redact_options.rules(
        redact_header, redact_query, redact_field, redact_json, redact_pattern, email=redact_email
    )
    settings = Settings(
        upstreams=upstreams,
        db=db or default_db(),
        host=host,
        port=port if port is not None else PORT if program is None else 0,
        rules=redact_options.in_force(rules, redact=redact),
        lines="none" if quiet else "json" if as_json else "text",
        limit=queue_size(max_queue),
        policy=on_storage_failure,
        check=check_command(as_json=as_json) if validate else (),
        upstream_ca=trusted(upstream_ca, with_tls=mode is Mode.PROXY or speaks_tls(upstreams)),
        forward=Forwarding(way.authority.file, way.hosts, way.exports) if way else None,
        stats_s=STATS_S if stats else 0.0,
    )
    on = program_on(program, way)
    wanted = gpu_log.asked(gpu, gpu_rate, gpus).checked()
    return report(logged(wanted, lambda: run(settings, on), settings.db), settings.db, as_json=as_json)


def default_db() -> Path:
    """`recordings/DATE-TIME.db` under the working directory, in local time."""
    return FOLDER / f"{datetime.now().astimezone():%Y-%m-%d-%H%M%S}.db"


def queue_size(text: str) -> int:
    """The bytes of `--max-queue`."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise BadInput(f"--max-queue {error}") from None


def check_command(*, as_json: bool) -> tuple[str, ...]:
    """What checks exchanges, as a process of its own. BadInput where there are no schemas."""
    from harness.validate.catalog import Catalog  # noqa: PLC0415

    Catalog.load()
    form = ("json",) if as_json else ()
    return sys.executable, "-P", "-W", "ignore", "-m", "harness.validate.live", *form


def way_of(mode: Mode, allow_host: list[str] | None, ca_dir: Path | None, named: list[str]) -> "WayIn | None":
    """The way in of `--mode proxy`; None: that of the other one, for which hosts must be named."""
    if mode is Mode.PROXY:
        return proxy_mode.way_in("harness record", allow_host, ca_dir, named)
    proxy_mode.refuse_options(allow_host=allow_host, ca_dir=ca_dir)
    if not named:
        raise BadInput("name an upstream: --upstream https://api.openai.com")
    return None


def speaks_tls(upstreams: "Iterable[Upstream]") -> bool:
    """Whether one of them must be verified."""
    return any(one.scheme == "https" for one in upstreams)


def trusted(upstream_ca: Path | None, *, with_tls: bool) -> Path | None:
    """The file of `--upstream-ca`, once it is sure that it and that of SSL_CERT_FILE hold certificates."""
    everywhere = os.environ.get("SSL_CERT_FILE")
    if everywhere and with_tls:
        check_certificates("SSL_CERT_FILE", Path(everywhere))
    if upstream_ca is None:
        return None
    check_certificates("--upstream-ca", upstream_ca)
    return upstream_ca.absolute()


def check_certificates(name: str, path: Path) -> None:
    """BadInput, which names the setting, for a file without certificates."""
    try:
        create_default_context(cafile=path)
    except SSLError:
        raise BadInput(f"{name} {path}: there are no certificates in PEM form in it") from None
    except OSError as error:
        raise BadInput(f"{name} {path}: {error.strerror or error}") from None


def program_on(program: list[str] | None, way: "WayIn | None") -> "Program | None":
    """What runs the program behind `--` once the listeners' URLs are known."""
    if program is None:
        return None
    from harness.cli.program import check, environment, run  # noqa: PLC0415

    check(program)

    def on(urls: Mapping[str, str]) -> Awaitable[int]:
        if way:
            return run(program, way.environment(*urls.values()))
        return run(program, environment(urls, placeholder_keys=False))

    return on


def logged(asked: "Asked", run: "Callable[[], Outcome]", db: Path) -> "Outcome":
    """What comes of recording, with a GPU log beside it that is stored with the capture."""
    from harness.load.gpu.open import OFF  # noqa: PLC0415
    from harness.load.gpu.source import GpuLog  # noqa: PLC0415

    if asked.source == OFF:
        return run()
    with TemporaryDirectory(prefix="harness-gpu-") as folder:
        log = GpuLog.start(asked.source, Path(folder), rate_hz=asked.rate_hz, gpus=asked.gpus)
        with log or nullcontext():
            outcome = run()
        if log:
            keep_log(log.file, outcome, outcome.db or db)
    return outcome


def keep_log(log: Path, outcome: "Outcome", db: Path) -> None:
    """Store a GPU log with what was recorded, on its clock, and say so, or why it cannot be."""
    from harness.load.clock import RunClock  # noqa: PLC0415
    from harness.load.gpu.keep import keep  # noqa: PLC0415
    from harness.store.gpu_log import Owner  # noqa: PLC0415

    if outcome.capture is None or outcome.anchor is None:
        return
    anchor = outcome.anchor
    clock = RunClock(gethostname(), anchor.wall_ns, anchor.monotonic_ns, anchor.error_ns)
    try:
        stored = keep(log, db, Owner(capture_id=outcome.capture), clock)
    except HarnessError as error:
        print(f"harness record: the GPU log is not kept: {error}", file=sys.stderr)
    else:
        print(f"harness record: kept {counted(stored, 'sample')} of GPUs", file=sys.stderr)


def report(outcome: "Outcome", db: Path, *, as_json: bool) -> int:
    """The closing lines on stderr, and the exit code; NotRecorded where something may be missing."""
    from harness.record.console import summary  # noqa: PLC0415
    from harness.record.cost import cost_lines  # noqa: PLC0415

    place = str(outcome.db or db)
    print(f"harness record: {summary(outcome.states, place, outcome.passed)}", file=sys.stderr)
    if outcome.masked:
        print(redact_options.masked_line(outcome.masked, as_json=as_json), file=sys.stderr)
    if outcome.cost and outcome.states:
        print(*cost_lines(outcome.cost, as_json=as_json), sep="\n", file=sys.stderr)
    unsound = report_check(outcome.check) if outcome.check is not None else False
    if outcome.failures:
        raise NotRecorded("; ".join(outcome.failures))
    return outcome.program_code or int(unsound)


def report_check(check: Mapping[str, int]) -> bool:
    """A line on what was checked; whether anything has errors or was left out."""
    left = f", {check['unchecked']} not checked" if check["unchecked"] else ""
    print(f"harness record: checked {check['checked']}: {check['wrong']} with errors{left}", file=sys.stderr)
    return bool(check["wrong"] or check["unchecked"])
