"""From options to runs: a plan, its calls and its arrivals, or several of them for a sweep.

The law of this file: `build` does no IO but reading the files that are named in the options; `prepare`
asks the target before, and tells it nothing but that. Defaults that depend on other options are here.
"""

import math
import os
import secrets
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import itemgetter

from harness.core.errors import BadInput
from harness.load import arrivals, care
from harness.load.apis import API_OF_DIALECT, Server
from harness.load.calls import Recorded, recorded_calls, wall_times
from harness.load.options import Options, Swept, check, extra_of, sweep_of
from harness.load.place import Place, place_of
from harness.load.plan import Call, Closed, Open, Plan
from harness.load.prompts import Length, Maker, Shape, read_prompts, synthesised, traced
from harness.load.target import Key, Target, key_of
from harness.load.tokens import Measure, estimate
from harness.load.traces import Limit, Trace, read_trace
from harness.load.words import Api, Pattern, Prefix

CONCURRENCY = 8
ROUNDS = 10
"""Requests of each place of a closed loop, where neither count nor duration is given."""
OPEN_S = 30.0
"""Duration of an open loop, where neither count nor duration is given."""
INPUT_TOKENS, OUTPUT_TOKENS = 256, 128
MADE_UP = 1000
"""Different prompts of a run whose number of requests is not known beforehand."""
MOST_PROMPTS = 10_000
MOST_ARRIVALS = 20_000_000
BYTES_OF_TOKEN = 6
MOST_BYTES = 2**31
SEEDS = 2**31


@dataclass(frozen=True, slots=True)
class Known:
    """What has to be known of the target: where it is, and for prompts how it takes them."""

    place: Place
    api: Api = Api.CHAT
    key: Key = field(default_factory=Key)
    model: str = ""
    server: Server = Server.UNKNOWN
    measure: Measure | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One run. `name` says which of a sweep it is (empty: there is but one); arrivals are of an open loop.

    `rate`: requests a second that were asked for, where a random process decides when they are due.
    """

    name: str
    plan: Plan
    calls: list[Call]
    arrivals: "array[int]"
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """All runs. `seed` makes the same again. `exact`: token lengths are the server's (None: no matter)."""

    steps: list[Step]
    seed: int
    exact: bool | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """All runs, and the target that they are for. `private`: nobody needs to be asked."""

    known: Known
    target: Target
    built: Built
    private: bool

    def bill(self, price: care.Price) -> care.Bill:
        """What they cost at most. BadInput where nothing bounds it."""
        runs = [(step.plan, step.calls, len(step.arrivals)) for step in self.built.steps]
        return care.bill(runs, price, estimated=self.built.exact is not True)

    def try_out(self) -> None:
        """Make the first request. BadInput where it fails, or does not stream."""
        self.target.try_out(self.built.steps[0].calls[0])


def prepare(options: Options, environ: Mapping[str, str] = os.environ) -> Prepared:
    """Check the options, look at the target, and build. BadInput for whatever is wrong.

    A target that gets recorded requests is only connected to: a `harness replay` would count a question
    that was not recorded as a miss.
    """
    check(options)
    place = place_of(options.target)
    private = care.is_private(place.host)
    recorded = recorded_of(options, place)
    api = options.api or (api_of(recorded) if recorded else Api.CHAT)
    key = key_of(place, api, private=private, variable=options.key_variable, environ=environ)
    target = Target(place, key, options.ca_file, environ)
    known = Known(place, api, key)
    if recorded is None:
        known = examined(options, known, target)
    else:
        target.reach()
    return Prepared(known, target, build(options, known, recorded), private)


def examined(options: Options, known: Known, target: Target) -> Known:
    """What is known of a target once it was asked."""
    found = target.examine()
    model = options.model or found.model()
    measured = options.prompt_file is None
    measure = target.measure(found.server, known.api, model) if measured else None
    return replace(known, model=model, server=found.server, measure=measure)


def api_of(recorded: Sequence[Recorded]) -> Api:
    """The API of recorded requests: Anthropic's, with its own header for the key, if all are of it."""
    apis = [API_OF_DIALECT[one.dialect] for one in recorded]
    return next((api for api in apis if api is not Api.ANTHROPIC), Api.ANTHROPIC)


def recorded_of(options: Options, place: Place) -> list[Recorded] | None:
    """The recorded requests that are wanted; None where none are. BadInput: there are none."""
    if options.recording is None:
        return None
    recorded = recorded_calls(options.recording, place, options.model)
    wanted = [one for one in recorded if options.api in (None, API_OF_DIALECT[one.dialect])]
    if not wanted:
        raise BadInput(f"{options.recording} holds no request of --api {options.api}: leave --api away")
    return wanted


def build(options: Options, known: Known, recorded: Sequence[Recorded] | None = None) -> Built:
    """All runs of the options. BadInput.

    `recorded`: the requests of `options.recording`, where they have been read.
    """
    check(options)
    if options.recording and recorded is None:
        recorded = recorded_of(options, known.place)
    seed = secrets.randbelow(SEEDS) if options.seed is None else options.seed
    source = Source(options, known, list(recorded or ()))
    steps = [step(one, source, name, seed + number) for number, (name, one) in enumerate(steps_of(options))]
    measured = options.recording is None and options.prompt_file is None
    return Built(steps, seed, source.measure.exact if measured else None)


def steps_of(options: Options) -> list[tuple[str, Options]]:
    """The options of each step of a sweep, with its name."""
    if options.sweep is None:
        return [("", options)]
    kind, values = sweep_of(options.sweep)
    plain = replace(options, sweep=None)
    if kind is Swept.CONCURRENCY:
        return [(f"concurrency {value:g}", replace(plain, concurrency=int(value))) for value in values]
    return [(f"rate {value:g}", replace(plain, request_rate=value)) for value in values]


class Source:
    """Where the calls of all steps come from. Files are read once."""

    def __init__(self, options: Options, known: Known, recorded: list[Recorded]) -> None:
        self.options = options
        self.due: array[int] = array("q")
        self.recorded = recorded
        if recorded and options.fixed_schedule:
            self.recorded, self.due = schedule(options, recorded)
        self.measure = known.measure or estimate(known.api)
        self.maker = Maker(known.place, known.api, known.model, known.server, extra_of(options.extra_body))
        self.known = known
        self.trace = self.read_trace()
        self.prompts = self.read_prompts()

    def read_trace(self) -> Trace | None:
        """The part of the trace that is needed."""
        options = self.options
        if options.trace is None:
            return None
        if not options.fixed_schedule:
            return read_trace(options.trace, Limit(MOST_PROMPTS))
        most = span = None
        if options.request_count and not options.warmup_s:
            most = options.request_count + (options.warmup_request_count or 0)
        if options.duration_s and not options.warmup_request_count:
            span = round((options.duration_s + (options.warmup_s or 0)) * (options.speed or 1) * arrivals.S)
        limits = [limit for limit in (most, options.max_requests) if limit is not None]
        return read_trace(options.trace, Limit(min(limits, default=None), span))

    def read_prompts(self) -> list[Call]:
        """The calls of the prompt file."""
        options = self.options
        if options.prompt_file is None:
            return []
        return read_prompts(options.prompt_file, self.maker, options.output_tokens)

    def times(self) -> "array[int]":
        """When requests are due by a fixed schedule."""
        if self.trace:
            return arrivals.from_start((row.at_ns for row in self.trace.rows), self.options.speed or 1.0)
        return self.due

    def calls(self, number: int | None, seed: int) -> list[Call]:
        """The calls of a step that makes so many (None: unknown)."""
        if self.recorded:
            return [one.call for one in self.recorded]
        if self.prompts:
            return self.prompts
        if self.trace:
            rows = self.trace.rows[: number or MADE_UP]
            check_size(sum(row.tokens_in for row in rows))
            return traced(self.maker, self.measure, replace(self.trace, rows=rows), seed)
        shape = shape_of(self.options)
        wanted = self.options.prompts or min(number or MADE_UP, MOST_PROMPTS)
        check_size(wanted * shape.tokens_in.mean)
        return synthesised(self.maker, self.measure, shape, wanted, seed)


def schedule(options: Options, recorded: list[Recorded]) -> tuple[list[Recorded], "array[int]"]:
    """Recorded requests in the order of their times, and when they are due. BadInput: no times."""
    assert options.recording
    timed = sorted(zip(wall_times(options.recording, recorded), recorded, strict=True), key=itemgetter(0))
    due = arrivals.from_start((at for at, _ in timed), options.speed or 1.0)
    return [one for _, one in timed], due


def check_size(tokens: int) -> None:
    """BadInput for prompts that no memory should hold."""
    size = tokens * BYTES_OF_TOKEN
    if size > MOST_BYTES:
        raise BadInput(
            f"the prompts would take {size / 1e9:.0f} GB: take fewer with --request-count or "
            "--benchmark-duration, or make shorter ones"
        )


def shape_of(options: Options) -> Shape:
    """What made-up prompts are to be like."""
    return Shape(
        Length(options.input_tokens or INPUT_TOKENS, options.input_tokens_stddev or 0.0),
        Length(options.output_tokens or OUTPUT_TOKENS, options.output_tokens_stddev or 0.0),
        options.prefix_tokens or 0,
        options.prefix_cache or Prefix.HIT,
    )


def step(options: Options, source: Source, name: str, seed: int) -> Step:
    """One run."""
    plan = plan_of(options, source.known)
    due = due_of(options, source, plan, seed)
    calls = source.calls(number_of(plan, due), seed)
    if options.fixed_schedule:
        calls = calls[: len(due)]
    return Step(name, plan, calls, due, options.request_rate)


def plan_of(options: Options, known: Known) -> Plan:
    """The plan of a run."""
    concurrency = options.concurrency or CONCURRENCY
    most_at_once = options.concurrency or options.workers if options.open_loop else concurrency
    count, duration_s = limits_of(options, concurrency)
    loop = Closed(concurrency=concurrency, ramp_s=options.ramp_s or 0.0)
    return Plan(
        target=known.place.url,
        loop=Open(most_open=options.concurrency) if options.open_loop else loop,
        workers=min(options.workers, most_at_once),
        request_count=count,
        duration_s=duration_s,
        warmup_requests=warmup_of(options, concurrency, count),
        warmup_s=options.warmup_s or 0.0,
        drain_s=options.drain_s,
        timeout_s=options.timeout_s,
        stall_s=options.stall_s,
        max_requests=options.max_requests,
        max_tokens=options.max_tokens,
        keep_alive=options.keep_alive,
        save_events=options.save_events,
        key_variable=known.key.variable,
        key_header=known.key.header,
        ca_file=None if options.ca_file is None else str(options.ca_file.resolve()),
    )


def limits_of(options: Options, concurrency: int) -> tuple[int | None, float | None]:
    """Count and duration of the measured part: as given, or as long as is usual for its kind of loop."""
    if options.request_count is not None or options.duration_s is not None or options.fixed_schedule:
        return options.request_count, options.duration_s
    return (None, OPEN_S) if options.open_loop else (ROUNDS * concurrency, None)


def warmup_of(options: Options, concurrency: int, count: int | None) -> int:
    """Requests of the warm-up: as given, or one of each place, or what is due in a second.

    None by itself before a fixed schedule, which would lose its first requests, nor beside a warm-up time.
    """
    if options.warmup_request_count is not None:
        return options.warmup_request_count
    if options.fixed_schedule or options.warmup_s is not None:
        return 0
    usual = concurrency if options.request_rate is None else math.ceil(options.request_rate)
    return min(usual, usual if count is None else count)


def due_of(options: Options, source: Source, plan: Plan, seed: int) -> "array[int]":
    """When the requests of an open loop are due; empty for a closed one. BadInput: none is."""
    if not options.open_loop:
        return array("q")
    extent = arrivals.Extent(plan.warmup_requests, plan.warmup_s, plan.request_count, plan.duration_s)
    times = source.times() if options.request_rate is None else process_of(options, seed).times_ns()
    due = arrivals.cut(islice(times, MOST_ARRIVALS + 1), extent)
    if len(due) > MOST_ARRIVALS:
        raise BadInput(f"more than {MOST_ARRIVALS:,} requests are due: shorten --benchmark-duration")
    if plan.max_requests is not None:
        due = due[: plan.max_requests]
    if not due:
        raise BadInput("no request is due within --benchmark-duration: make it longer, or the rate higher")
    return due


def process_of(options: Options, seed: int) -> arrivals.Process:
    """The process of arrivals: Poisson, or gamma where a burstiness is given."""
    assert options.request_rate is not None
    usual = Pattern.POISSON if options.burstiness is None else Pattern.GAMMA
    return arrivals.Process(
        options.request_rate,
        options.arrival_pattern or usual,
        options.burstiness or 1.0,
        options.ramp_s or 0.0,
        seed,
    )


def number_of(plan: Plan, due: Sequence[int]) -> int | None:
    """How many requests a run makes at most, where that is known."""
    if due:
        return len(due)
    counts = [] if plan.request_count is None else [plan.request_count + plan.warmup_requests]
    counts += [] if plan.max_requests is None else [plan.max_requests]
    return min(counts, default=None)
