"""The options of `harness load`, as they were given: None is what was not. And what contradicts what.

The law of this file: pure; every contradiction is a row of a table, with one line that says what to do.
Times are seconds, as people give them.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.core.errors import BadInput
from harness.load.words import Api, Pattern, Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for. Each is the option of its name, but for:

    `recording`: `--from`; `duration_s`: `--benchmark-duration`; `warmup_s`: `--warmup-duration`;
    `ramp_s`, `timeout_s`, `stall_s` (`--stall-timeout`) and `drain_s`: the same without the unit.
    """

    target: str
    api: Api | None = None
    model: str | None = None
    recording: Path | None = None
    prompt_file: Path | None = None
    trace: Path | None = None
    input_tokens: int | None = None
    input_tokens_stddev: float | None = None
    output_tokens: int | None = None
    output_tokens_stddev: float | None = None
    prefix_tokens: int | None = None
    prefix_cache: Prefix | None = None
    prompts: int | None = None
    extra_body: str | None = None
    concurrency: int | None = None
    request_rate: float | None = None
    arrival_pattern: Pattern | None = None
    burstiness: float | None = None
    fixed_schedule: bool = False
    speed: float | None = None
    ramp_s: float | None = None
    sweep: str | None = None
    request_count: int | None = None
    duration_s: float | None = None
    warmup_request_count: int | None = None
    warmup_s: float | None = None
    timeout_s: float = 600.0
    stall_s: float | None = None
    drain_s: float = 60.0
    max_requests: int | None = None
    max_tokens: int | None = None
    seed: int | None = None
    workers: int = 1
    keep_alive: bool = True
    save_events: bool = False
    key_variable: str | None = None
    ca_file: Path | None = None

    @property
    def open_loop(self) -> bool:
        """Whether a schedule decides when requests are sent, in all steps."""
        return self.request_rate is not None or self.fixed_schedule or self.swept is Swept.RATE

    @property
    def swept(self) -> "Swept | None":
        """What a sweep varies; None without one."""
        return None if self.sweep is None else sweep_of(self.sweep)[0]


class Swept(StrEnum):
    """What a sweep varies."""

    CONCURRENCY = "concurrency"
    RATE = "rate"


SOURCES = {"recording": "--from", "prompt_file": "--prompt-file", "trace": "--trace"}
"""Where requests come from; without any of them prompts are made up."""

MADE_UP = {
    "input_tokens": "--input-tokens",
    "input_tokens_stddev": "--input-tokens-stddev",
    "output_tokens_stddev": "--output-tokens-stddev",
    "prefix_tokens": "--prefix-tokens",
    "prefix_cache": "--prefix-cache",
    "prompts": "--prompts",
}
"""Options of made-up prompts alone."""

POSITIVE = {
    "concurrency": "--concurrency",
    "request_rate": "--request-rate",
    "burstiness": "--burstiness",
    "speed": "--speed",
    "request_count": "--request-count",
    "duration_s": "--benchmark-duration",
    "timeout_s": "--timeout",
    "stall_s": "--stall-timeout",
    "max_requests": "--max-requests",
    "max_tokens": "--max-tokens",
    "input_tokens": "--input-tokens",
    "output_tokens": "--output-tokens",
    "prefix_tokens": "--prefix-tokens",
    "prompts": "--prompts",
    "workers": "--workers",
}
NOT_NEGATIVE = {
    "ramp_s": "--ramp",
    "warmup_request_count": "--warmup-request-count",
    "warmup_s": "--warmup-duration",
    "drain_s": "--drain",
    "input_tokens_stddev": "--input-tokens-stddev",
    "output_tokens_stddev": "--output-tokens-stddev",
}


def source_of(options: Options) -> str | None:
    """The option that says where requests come from; None: they are made up."""
    return next((flag for name, flag in SOURCES.items() if getattr(options, name) is not None), None)


def is_shaped(options: Options) -> bool:
    """Whether a random process decides when requests are sent."""
    return options.open_loop and not options.fixed_schedule


type Wrong = Callable[[Options], Any]

CONTRADICTIONS: tuple[tuple[Wrong, str], ...] = (
    (
        lambda o: sum(getattr(o, name) is not None for name in SOURCES) > 1,
        "requests come from one place: give one of --from, --prompt-file and --trace",
    ),
    (
        lambda o: o.recording and o.output_tokens is not None,
        "--output-tokens does not go with --from: recorded requests are sent as they were",
    ),
    (
        lambda o: o.trace and o.output_tokens is not None,
        "--output-tokens does not go with --trace, which says how long each answer is",
    ),
    (
        lambda o: o.recording and o.extra_body is not None,
        "--extra-body does not go with --from: recorded requests are sent as they were",
    ),
    (
        lambda o: o.prefix_cache is not None and o.prefix_tokens is None,
        "--prefix-cache needs --prefix-tokens, the length of the prefix",
    ),
    (
        lambda o: o.fixed_schedule and o.request_rate is not None,
        "--fixed-schedule and --request-rate both say when requests are sent: give one of them",
    ),
    (
        lambda o: o.fixed_schedule and not (o.recording or o.trace),
        "--fixed-schedule needs recorded times: give --from or --trace",
    ),
    (
        lambda o: o.speed is not None and not o.fixed_schedule,
        "--speed needs --fixed-schedule, whose times it divides",
    ),
    (
        lambda o: o.arrival_pattern is not None and not is_shaped(o),
        "--arrival-pattern needs --request-rate (or --sweep rate=...)",
    ),
    (
        lambda o: o.burstiness is not None and not is_shaped(o),
        "--burstiness needs --request-rate (or --sweep rate=...)",
    ),
    (
        lambda o: o.burstiness is not None and o.arrival_pattern is Pattern.CONSTANT,
        "--burstiness does not go with --arrival-pattern constant: constant gaps have none",
    ),
    (
        lambda o: o.burstiness not in (None, 1.0) and o.arrival_pattern is Pattern.POISSON,
        "--arrival-pattern poisson has a burstiness of 1: use --arrival-pattern gamma for another",
    ),
    (
        lambda o: o.ramp_s and o.fixed_schedule,
        "--ramp does not go with --fixed-schedule, which says when each request is sent",
    ),
    (
        lambda o: o.swept is Swept.CONCURRENCY and o.concurrency is not None,
        "--sweep concurrency=... and --concurrency both say how many: give one of them",
    ),
    (
        lambda o: o.swept is Swept.CONCURRENCY and (o.request_rate is not None or o.fixed_schedule),
        "--sweep concurrency=... is of closed loops: leave --request-rate and --fixed-schedule away",
    ),
    (
        lambda o: o.swept is Swept.RATE and o.request_rate is not None,
        "--sweep rate=... and --request-rate both say how fast: give one of them",
    ),
    (
        lambda o: o.swept is Swept.RATE and o.fixed_schedule,
        "--sweep rate=... does not go with --fixed-schedule, which says when each request is sent",
    ),
)


def check(options: Options) -> None:
    """BadInput for the first thing that is wrong with the options themselves."""
    check_numbers(options)
    for is_wrong, says in CONTRADICTIONS:
        if is_wrong(options):
            raise BadInput(says)
    source = source_of(options)
    for name, flag in MADE_UP.items():
        if source and getattr(options, name) is not None:
            raise BadInput(f"{flag} is for made-up prompts: leave it away, or {source}")
    extra_of(options.extra_body)


def check_numbers(options: Options) -> None:
    """BadInput for a number that can mean nothing."""
    for table, least, word in ((POSITIVE, 0, "more than 0"), (NOT_NEGATIVE, -1, "0 or more")):
        for name, flag in table.items():
            value = getattr(options, name)
            if value is None:
                continue
            if not math.isfinite(value) or value < 0 or value == least:
                raise BadInput(f"{flag} {value:g} must be {word}")


def sweep_of(text: str) -> tuple[Swept, list[float]]:
    """What a sweep varies, and over which values. BadInput.

    >>> sweep_of("rate=1,2.5")
    (<Swept.RATE: 'rate'>, [1.0, 2.5])
    """
    name, _, listed = text.partition("=")
    try:
        kind = Swept(name.strip())
        values = [float(value) for value in listed.split(",")]
    except ValueError:
        values = []
    whole = all(value.is_integer() for value in values) or (values and kind is Swept.RATE)
    if not values or not whole or not all(math.isfinite(value) and value > 0 for value in values):
        raise BadInput(f"--sweep {text!r} is no sweep: give concurrency=1,2,4 or rate=0.5,1,2")
    if len(set(values)) < len(values):
        raise BadInput(f"--sweep {text!r} names a value twice")
    return kind, values


def extra_of(text: str | None) -> tuple[tuple[str, Any], ...]:
    """The fields of `--extra-body`. BadInput where it is no JSON object."""
    if text is None:
        return ()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadInput("""--extra-body is no JSON object: give it as '{"temperature": 0}'""")
    return tuple(value.items())
