"""A run in the forms that other tools write, for the scripts and plots that read those.

The law of this file: only what was measured is written: a key whose value harness does not have (texts of
answers, gaps of a run whose events were not kept) is left out. Quantiles are nearest rank, where those
tools interpolate between two values.

Formats, read from their sources and docs:
- `vllm bench serve --save-result --save-detailed`: `vllm/benchmarks/serve.py` of vllm-project/vllm.
- AIPerf's `profile_export.jsonl` and `profile_export_aiperf.json`:
  https://github.com/ai-dynamo/aiperf/blob/main/docs/tutorials/working-with-profile-exports.md and
  https://github.com/ai-dynamo/aiperf/blob/main/docs/reference/json-export-schema.md (schema 1.5), the names
  and formulas of metrics: docs/metrics-reference.md there.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from operator import attrgetter
from statistics import fmean, pstdev, stdev
from typing import Any

from harness.core.metrics import quantile
from harness.load.clock import RunClock
from harness.load.figures import NS_PER_MS, NS_PER_S, Times, rate, times_of
from harness.load.plan import Closed, Plan
from harness.load.records import Outcome, Phase, Result
from harness.load.summary import Summary

type Document = dict[str, Any]

PHASES = {Phase.MEASURED: "profiling", Phase.WARMUP: "warmup"}
CLIENT_CLOSED = 499
"""The code that AIPerf gives to cancelled requests."""
CODES = {Outcome.CANCELLED: CLIENT_CLOSED}
PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
AIPERF_SCHEMA = "1.5"
VLLM_PERCENTILES = (50, 90, 95, 99)


def request_lines(results: Iterable[Result]) -> Iterator[str]:
    """Requests as JSON Lines, without line ends: the fields of `harness.load.records.Result`.

    Times are ns on the run's clock; what is unknown is left out.
    """
    for result in results:
        yield result.model_dump_json(exclude={"kind"}, exclude_none=True)


def vllm_document(
    summary: Summary, plan: Plan, results: Iterable[Result], request_rate: float | None = None
) -> Document:
    """The result file of `vllm bench serve`. Times are seconds in lists, and ms where a key says so.

    `request_rate` is the one that was asked for (None: as fast as the loop goes). `itls` are gaps between
    content events, as there; they need the run's events. `queue_times` stand where requests had due times.
    """
    figures, measured = summary.figures, measured_of(results)
    good = [result for result in measured if not result.outcome.is_failure]
    times = [times_of(result) for result in good]
    return {
        "date": date_of(summary).strftime("%Y%m%d-%H%M%S"),
        "endpoint_type": "harness",
        "backend": "harness",
        "label": summary.name,
        "model_id": model_of(measured),
        "tokenizer_id": None,
        "num_prompts": len(measured),
        "request_rate": "inf" if request_rate is None else request_rate,
        "max_concurrency": plan.loop.concurrency if isinstance(plan.loop, Closed) else plan.loop.most_open,
        "duration": figures.window_s,
        "completed": figures.successes,
        "failed": figures.failures,
        "total_input_tokens": figures.tokens_in,
        "total_output_tokens": figures.tokens_out,
        "request_throughput": figures.request_throughput,
        "request_goodput": figures.request_goodput,
        "output_throughput": figures.output_token_throughput,
        "total_token_throughput": figures.total_token_throughput,
        "max_concurrent_requests": figures.concurrency_max,
        **vllm_lists(measured),
        **vllm_statistics("ttft", (time.ttft for time in times)),
        **vllm_statistics("tpot", (time.tpot for time in times)),
        **vllm_statistics("itl", (gap for result in good for gap in gaps_ns(result) or ())),
        **vllm_statistics("e2el", (time.e2e for time in times)),
    }


def vllm_lists(measured: Sequence[Result]) -> Document:
    """The detailed lists: one element a request, in the order of sending; 0 where a failure has none."""
    times = [times_of(result) for result in measured]
    lists: Document = {
        "input_lens": [result.tokens_in or 0 for result in measured],
        "output_lens": [0 if result.outcome.is_failure else result.tokens_out or 0 for result in measured],
        "ttfts": [seconds(time.ttft or 0) for time in times],
        "latencies": [seconds(time.e2e) for time in times],
        "start_times": [seconds(result.sent_ns) for result in measured],
        "errors": [error_text(result) if result.outcome.is_failure else "" for result in measured],
    }
    if any(time.schedule_delay is not None for time in times):
        lists["queue_times"] = [seconds(time.schedule_delay or 0) for time in times]
    if any(result.offsets is not None for result in measured):
        lists["itls"] = [[seconds(gap) for gap in gaps_ns(result) or ()] for result in measured]
    return lists


def vllm_statistics(name: str, values_ns: Iterable[int | None]) -> Document:
    """`mean_…_ms`, `median_…_ms`, `std_…_ms` (of the population) and percentiles; nothing of no values."""
    known = sorted(value for value in values_ns if value is not None)
    if not known:
        return {}
    values: Document = {"mean": fmean(known), "median": quantile(known, 0.5), "std": pstdev(known)}
    values |= {f"p{percent}": quantile(known, percent / 100) for percent in VLLM_PERCENTILES}
    return {f"{statistic}_{name}_ms": value / NS_PER_MS for statistic, value in values.items()}


def aiperf_records(results: Iterable[Result], clock: RunClock) -> Iterator[Document]:
    """The lines of `profile_export.jsonl`; times are ns since the epoch, metrics in ms."""
    for result in results:
        failed = result.outcome.is_failure
        yield {
            "metadata": aiperf_metadata(result, clock),
            "metrics": {} if failed else aiperf_metrics(result, times_of(result)),
            "error": aiperf_error(result) if failed else None,
        }


def aiperf_metadata(result: Result, clock: RunClock) -> Document:
    """Who made a request, and when."""
    cancelled = result.outcome is Outcome.CANCELLED
    ack = result.first_byte_ns
    return {
        "session_num": result.number,
        "conversation_id": str(result.call),
        "turn_index": 0,
        "request_start_ns": clock.wall_ns + result.sent_ns,
        "request_ack_ns": clock.wall_ns + ack if ack is not None and result.stream else None,
        "request_end_ns": clock.wall_ns + result.end_ns,
        "worker_id": f"worker_{result.worker}",
        "record_processor_id": f"reducer_{result.worker}",
        "benchmark_phase": PHASES[result.phase],
        "was_cancelled": cancelled,
        "cancellation_time_ns": clock.wall_ns + result.end_ns if cancelled else None,
    }


def aiperf_metrics(result: Result, times: Times) -> Document:
    """The metrics of a success. AIPerf's ITL is our TPOT, its ICL our gaps between content events."""
    gaps = gaps_ns(result)
    reasoning = result.tokens_reasoning or 0
    values: dict[str, tuple[float | list[float] | None, str]] = {
        "request_latency": (milliseconds(times.e2e), "ms"),
        "time_to_first_token": (milliseconds(times.ttft), "ms"),
        "time_to_second_token": (milliseconds(times.ttst), "ms"),
        "inter_token_latency": (milliseconds(times.tpot), "ms"),
        "inter_chunk_latency": ([gap / NS_PER_MS for gap in gaps] if gaps else None, "ms"),
        "output_token_throughput_per_user": (rate(NS_PER_S, times.tpot or 0), "tokens/sec/user"),
        "input_sequence_length": (result.tokens_in, "tokens"),
        "output_sequence_length": (result.tokens_out, "tokens"),
        "output_token_count": (
            None if result.tokens_out is None else result.tokens_out - reasoning,
            "tokens",
        ),
        "reasoning_token_count": (result.tokens_reasoning, "tokens"),
    }
    return {
        name: {"value": value, "unit": unit} for name, (value, unit) in values.items() if value is not None
    }


def aiperf_error(result: Result) -> Document:
    """What became of a failure: the HTTP status where there is one, and the outcome as the type."""
    code = CODES.get(result.outcome, result.status)
    return {"code": code, "type": result.outcome.value, "message": error_text(result)}


def aiperf_document(summary: Summary, results: Iterable[Result], clock: RunClock) -> Document:
    """`profile_export_aiperf.json`: distributions of the measured successes, rates and counts of the run."""
    figures, measured = summary.figures, measured_of(results)
    metrics = [aiperf_metrics(r, times_of(r)) for r in measured if not r.outcome.is_failure]
    end_ns = max((result.end_ns for result in measured), default=0)
    scalars = {
        "request_throughput": (figures.request_throughput, "requests/sec"),
        "request_count": (figures.successes, "requests"),
        "error_request_count": (figures.failures, "requests"),
        "output_token_throughput": (figures.output_token_throughput, "tokens/sec"),
        "total_token_throughput": (figures.total_token_throughput, "tokens/sec"),
        "goodput": (figures.request_goodput, "requests/sec"),
        "good_request_count": (figures.good_requests, "requests"),
        "benchmark_duration": (figures.window_s, "sec"),
        "total_isl": (figures.tokens_in, "tokens"),
        "total_osl": (figures.tokens_out, "tokens"),
    }
    return {
        "schema_version": AIPERF_SCHEMA,
        **aiperf_distributions(metrics),
        **{
            name: {"unit": unit, "avg": value} for name, (value, unit) in scalars.items() if value is not None
        },
        "start_time": clock.date(),
        "end_time": clock.date(end_ns),
        "was_cancelled": False,
        "error_summary": [
            {"error_details": {"code": None, "type": kind.partition(":")[0], "message": kind}, "count": count}
            for kind, count in figures.errors.items()
        ],
        "runtime_submission_invalid_reasons": list(summary.reasons),
    }


def aiperf_distributions(metrics: Sequence[Mapping[str, Any]]) -> Document:
    """A block of statistics for each metric that some request has; lists count element by element."""
    values: dict[str, tuple[str, list[float]]] = {}
    for one in metrics:
        for name, metric in one.items():
            _, known = values.setdefault(name, (metric["unit"], []))
            value = metric["value"]
            known.extend(value if isinstance(value, list) else [value])
    return {name: statistics(unit, known) for name, (unit, known) in values.items()}


def statistics(unit: str, values: Iterable[float]) -> Document:
    """AIPerf's block of a distribution: the sample's standard deviation, sum and percentiles."""
    known = sorted(values)
    last = len(known) - 1
    ranks = {
        f"p{percent}": max(0, math.ceil(percent / 100 * len(known) - 1e-9) - 1) for percent in PERCENTILES
    }
    return {
        "unit": unit,
        "avg": fmean(known),
        "min": known[0],
        "max": known[last],
        **{name: known[place] for name, place in ranks.items()},
        "std": stdev(known) if last else 0.0,
        "count": len(known),
        "sum": math.fsum(known),
    }


def measured_of(results: Iterable[Result]) -> list[Result]:
    """The requests of the measured part, as they were sent."""
    measured = (result for result in results if result.phase is Phase.MEASURED)
    return sorted(measured, key=attrgetter("sent_ns"))


def gaps_ns(result: Result) -> list[int] | None:
    """The gaps between content events; None where events were not kept."""
    if result.offsets is None:
        return None
    arrivals = [offset_ns for offset_ns, content in result.offsets if content]
    return [after - before for before, after in pairwise(arrivals)]


def model_of(results: Iterable[Result]) -> str | None:
    """The first model that answered."""
    return next((result.model for result in results if result.model), None)


def error_text(result: Result) -> str:
    """A failure in words, never empty."""
    return result.error or result.outcome.value


def seconds(ns: int) -> float:
    """Nanoseconds as seconds."""
    return ns / NS_PER_S


def milliseconds(ns: int | None) -> float | None:
    """Nanoseconds as milliseconds, exactly."""
    return None if ns is None else ns / NS_PER_MS


def date_of(summary: Summary) -> datetime:
    """When the run began."""
    return datetime.fromisoformat(summary.started_at)
