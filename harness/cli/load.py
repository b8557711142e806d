"""`harness load`: put load on a streaming API, and say what users would feel, token by token."""

import sys
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli import gpu_log
from harness.core.errors import BadInput, MissingExtra
from harness.load.words import Api, Pattern, Prefix


def load(
    ctx: typer.Context,
    target: Annotated[
        str | None, typer.Option(metavar="URL", help="Base URL of the API, with or without /v1 at its end.")
    ] = None,
    api: Annotated[
        Api | None, typer.Option(help="Protocol of made-up requests. [default: chat]", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Model to ask for. [default: the target's first]", show_default=False
        ),
    ] = None,
    recording: Annotated[
        Path | None, typer.Option("--from", metavar="REC", help="Send the requests of a recording.")
    ] = None,
    prompt_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Send prompts: a line each (.txt), or JSON Lines with prompt, messages or body (.jsonl).",
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Make up requests as long as a trace says (Mooncake, Azure, BurstGPT)."
        ),
    ] = None,
    input_tokens: Annotated[
        int | None, typer.Option(help="Tokens of made-up prompts. [default: 256]", show_default=False)
    ] = None,
    input_tokens_stddev: Annotated[
        float | None, typer.Option(help="Spread of --input-tokens.", show_default=False)
    ] = None,
    output_tokens: Annotated[
        int | None, typer.Option(help="Tokens of each answer. [default: 128]", show_default=False)
    ] = None,
    output_tokens_stddev: Annotated[
        float | None, typer.Option(help="Spread of --output-tokens.", show_default=False)
    ] = None,
    prefix_tokens: Annotated[
        int | None, typer.Option(help="Tokens of a prefix of each prompt.", show_default=False)
    ] = None,
    prefix_cache: Annotated[
        Prefix | None,
        typer.Option(help="hit: one prefix for all; miss: another for each.", show_default=False),
    ] = None,
    prompts: Annotated[
        int | None, typer.Option(help="So many different made-up prompts.", show_default=False)
    ] = None,
    extra_body: Annotated[
        str | None, typer.Option(metavar="JSON", help="Fields to add to each made-up request.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            help="Requests under way at once (with a rate: at most). [default: 8]", show_default=False
        ),
    ] = None,
    request_rate: Annotated[
        float | None, typer.Option(help="Requests a second, whatever the server does.", show_default=False)
    ] = None,
    arrival_pattern: Annotated[
        Pattern | None,
        typer.Option(help="How they are spread over a second. [default: poisson]", show_default=False),
    ] = None,
    burstiness: Annotated[
        float | None,
        typer.Option(help="Shape of gamma arrivals: 1 is Poisson, below is burstier.", show_default=False),
    ] = None,
    fixed_schedule: Annotated[
        bool, typer.Option("--fixed-schedule", help="Send at the times of --from or --trace.")
    ] = False,
    speed: Annotated[
        float | None, typer.Option(help="With --fixed-schedule: N times as fast.", show_default=False)
    ] = None,
    ramp: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Reach the full load after so long.", show_default=False),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(metavar="WHAT=A,B,...", help="A run for each: concurrency=1,2,4 or rate=0.5,1,2."),
    ] = None,
    request_count: Annotated[
        int | None,
        typer.Option(help="Measured requests. [default: 10 for each of --concurrency]", show_default=False),
    ] = None,
    benchmark_duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Length of the measured part.", show_default=False)
    ] = None,
    warmup_request_count: Annotated[
        int | None,
        typer.Option(help="Requests before it. [default: --concurrency, or a second's]", show_default=False),
    ] = None,
    warmup_duration: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Time before it.", show_default=False)
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Deadline of a request.")] = 600.0,
    stall_timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Longest silence in an answer.", show_default=False),
    ] = None,
    drain: Annotated[
        float, typer.Option(metavar="SECONDS", help="What is under way at the end may go on for so long.")
    ] = 60.0,
    max_requests: Annotated[
        int | None, typer.Option(help="Send no more than these in a run.", show_default=False)
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Send nothing more after so many tokens.", show_default=False)
    ] = None,
    price: Annotated[
        str | None,
        typer.Option(metavar="IN:OUT", help="USD for a million tokens, for the bound of the cost."),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Do not ask before load on a target that is not in a private network."),
    ] = False,
    slo: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIMIT", help="What must hold, such as 'ttft:p99<500ms' or 'error_rate<1%'; repeatable."
        ),
    ] = None,
    goodput: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMITS", help="What a good request keeps, in ms: 'ttft:200 tpot:50'."),
    ] = None,
    limits: Annotated[
        list[str] | None,
        typer.Argument(metavar="LIMIT", help="More limits for --goodput.", show_default=False),
    ] = None,
    validate: Annotated[
        bool, typer.Option("--validate", help="Hold every answer against the rules of streams.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes that send.")] = 1,
    expect_workers: Annotated[
        int | None,
        typer.Option(help="Wait for so many workers that --join this run.", show_default=False),
    ] = None,
    bind: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="With --expect-workers: where they join.")
    ] = "127.0.0.1:5557",
    join: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Be a worker of a run on another machine, nothing else."),
    ] = None,
    null_test: Annotated[
        bool,
        typer.Option(help="First measure the client's own error against a server whose times are known."),
    ] = True,
    gpu: gpu_log.Source = "off",
    gpu_rate: gpu_log.Rate = None,
    gpus: gpu_log.Gpus = None,
    save_events: Annotated[bool, typer.Option("--save-events", help="Keep the time of every event.")] = False,
    keep_alive: Annotated[bool, typer.Option(help="Use connections again.")] = True,
    key_variable: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Variable with the API key. [default: OPENAI_API_KEY or ANTHROPIC_API_KEY]",
            show_default=False,
        ),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="More certificate authorities to trust (PEM).")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Makes the same prompts and arrivals again.", show_default=False)
    ] = None,
    db: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Recording to keep the run in. [default: recordings/load-DATE-TIME.db]",
            show_default=False,
        ),
    ] = None,
    export_jsonl: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the requests as JSON Lines too.")
    ] = None,
    export_vllm: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the result as `vllm bench serve` does.")
    ] = None,
    export_aiperf: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the files that AIPerf writes.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show nothing while it runs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> int:
    """Put load on a streaming API and measure what users feel: TTFT, gaps between tokens, throughput.

    Requests come from a recording, a prompt file or a trace, or are made up. A closed loop keeps so many
    under way (--concurrency); an open loop sends at its times whatever the server does (--request-rate,
    --fixed-schedule). The run is kept in a recording (.db) with every request. Options behind `--` go to
    Locust. Exit code: 3 where the measurement cannot be trusted; 1 where a request failed (unless --slo
    limits the error_rate), a limit was not met or, with --validate, a rule is broken.
    """
    check_extra()
    given = dict(locals())
    words = [*(goodput or []), *(limits or [])]
    if limits and not goodput:
        raise BadInput(f"'{limits[0]}' is no option: 'harness load --help' lists them")
    if join:
        from harness.cli.load_join import join_run  # noqa: PLC0415

        return join_run(join, ctx.obj)
    if target is None:
        raise BadInput("which API? Give its base URL with --target, like http://127.0.0.1:8000")
    from harness.cli.load_job import Job, perform  # noqa: PLC0415

    job = Job(
        options=options_of(given),
        slos=tuple(slo or ()),
        goodput=tuple(words),
        price=price,
        yes=yes,
        validate=validate,
        null_test=null_test,
        expect_workers=expect_workers,
        bind=bind,
        gpu=gpu_log.asked(gpu, gpu_rate, gpus),
        db=db,
        export_jsonl=export_jsonl,
        export_vllm=export_vllm,
        export_aiperf=export_aiperf,
        quiet=quiet,
        as_json=as_json,
        locust_options=tuple(ctx.obj or ()),
    )
    return perform(job)


def check_extra() -> None:
    """BadInput where load cannot run here."""
    if sys.platform == "win32":
        raise BadInput("harness load runs on Linux and macOS: on Windows, use it in WSL")
    if find_spec("locust") is None or find_spec("psutil") is None:
        raise MissingExtra("harness load", "load")


RENAMED = {
    "duration_s": "benchmark_duration",
    "warmup_s": "warmup_duration",
    "ramp_s": "ramp",
    "timeout_s": "timeout",
    "stall_s": "stall_timeout",
    "drain_s": "drain",
}
"""Field of `Options` -> our parameter, where they differ: seconds are in the name there."""


def options_of(given: dict[str, Any]) -> Any:
    """The options that say what to send, from all parameters."""
    from harness.load.options import Options  # noqa: PLC0415

    names = [field.name for field in fields(Options)]
    return Options(**{name: given[RENAMED.get(name, name)] for name in names})
