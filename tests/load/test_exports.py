"""What other tools' readers find in a run, computed by hand."""

import json
from typing import Any

import pytest

from harness.load.clock import RunClock
from harness.load.exports import aiperf_document, aiperf_records, request_lines, vllm_document
from harness.load.figures import Tally
from harness.load.plan import Closed, Open, Plan
from harness.load.records import Outcome, Phase, Result
from harness.load.slo import goodput_of
from harness.load.summary import Summary, summary_of
from harness.load.validity import Judgement
from tests.plugins.results import MS, made_failure, made_result

WALL = 1_700_000_000_000_000_000
CLOCK = RunClock("here", WALL, 0, 0)
PLAN = Plan(target="http://127.0.0.1:1", loop=Closed(concurrency=8))
OFFSETS = ((90 * MS, False), (100 * MS, True), (120 * MS, True), (140 * MS, True), (145 * MS, False))
RESULTS = [
    made_result(1, sent=100, first_byte=190, first_token=300, second_token=310, last_token=340, end=400,
                tokens_out=5, icl=((10_000, 1), (30_000, 1)), tokens_reasoning=2, scheduled=90,
                offsets=((200 * MS, True), (210 * MS, True), (240 * MS, True))),
    made_result(0, offsets=OFFSETS, scheduled=0),
    made_failure(2, Outcome.HTTP, sent=200, end=1000, error="429", status=429, scheduled=150),
    made_failure(3, Outcome.CANCELLED, sent=250, end=900, scheduled=250),
    made_result(9, phase=Phase.WARMUP, sent=-500),
]  # fmt: skip
NO_EVENTS = [result.model_copy(update={"offsets": None, "scheduled_ns": None}) for result in RESULTS]


def summary(results: list[Result]) -> Summary:
    tally = Tally(goodput_of(["ttft:150"]))
    for result in results:
        tally.take(result)
    return summary_of(PLAN, tally.figures(), Judgement(()), started_at="2026-01-02T03:04:05.5Z", name="n")


def test_requests_as_json_lines() -> None:
    lines = [json.loads(line) for line in request_lines(RESULTS)]
    assert [line["number"] for line in lines] == [1, 0, 2, 3, 9]
    assert lines[0]["first_token_ns"] - lines[0]["sent_ns"] == 200 * MS
    assert "first_token_ns" not in lines[2]
    assert [Result.model_validate(line) for line in lines] == RESULTS


def test_the_result_file_of_vllm() -> None:
    document = json.loads(json.dumps(vllm_document(summary(RESULTS), PLAN, RESULTS, request_rate=2.5)))
    assert (document["date"], document["label"], document["model_id"]) == ("20260102-030405", "n", "tiny")
    assert (document["request_rate"], document["max_concurrency"], document["num_prompts"]) == (2.5, 8, 4)
    assert (document["completed"], document["failed"], document["duration"]) == (2, 2, 1.0)
    assert (document["total_input_tokens"], document["total_output_tokens"]) == (10, 8)
    assert (document["output_throughput"], document["total_token_throughput"]) == (8, 18)
    assert (document["request_throughput"], document["request_goodput"]) == (2, 1)
    assert document["start_times"] == [0, 0.1, 0.2, 0.25]
    assert document["ttfts"] == [0.1, 0.2, 0, 0]
    assert document["latencies"] == [0.15, 0.3, 0.8, 0.65]
    assert document["itls"] == [[0.02, 0.02], [0.01, 0.03], [], []]
    assert document["queue_times"] == [0, 0.01, 0.05, 0]
    assert (document["input_lens"], document["output_lens"]) == ([5, 5, 0, 0], [3, 5, 0, 0])
    assert document["errors"] == ["", "", "429", "cancelled"]
    ttft = {name: value for name, value in document.items() if name.endswith("_ttft_ms")}
    assert ttft == {
        "mean_ttft_ms": 150,
        "median_ttft_ms": 100,
        "std_ttft_ms": 50,
        "p50_ttft_ms": 100,
        "p90_ttft_ms": 200,
        "p95_ttft_ms": 200,
        "p99_ttft_ms": 200,
    }
    assert (document["mean_tpot_ms"], document["mean_itl_ms"], document["mean_e2el_ms"]) == (25, 20, 225)


def test_vllm_leaves_out_what_was_not_kept() -> None:
    plan = PLAN.model_copy(update={"loop": Open()})
    document = vllm_document(summary(NO_EVENTS), plan, NO_EVENTS)
    assert not {"itls", "queue_times", "mean_itl_ms", "generated_texts"} & set(document)
    assert (document["request_rate"], document["max_concurrency"]) == ("inf", None)


def test_records_of_aiperf() -> None:
    first, second, failed, cancelled, warm = json.loads(json.dumps(list(aiperf_records(RESULTS, CLOCK))))
    assert first["metadata"] == {
        "session_num": 1,
        "conversation_id": "0",
        "turn_index": 0,
        "request_start_ns": WALL + 100 * MS,
        "request_ack_ns": WALL + 190 * MS,
        "request_end_ns": WALL + 400 * MS,
        "worker_id": "worker_0",
        "record_processor_id": "reducer_0",
        "benchmark_phase": "profiling",
        "was_cancelled": False,
        "cancellation_time_ns": None,
    }
    assert first["error"] is None
    assert first["metrics"] == {
        "request_latency": {"value": 300, "unit": "ms"},
        "time_to_first_token": {"value": 200, "unit": "ms"},
        "time_to_second_token": {"value": 10, "unit": "ms"},
        "inter_token_latency": {"value": 25, "unit": "ms"},
        "inter_chunk_latency": {"value": [10, 30], "unit": "ms"},
        "output_token_throughput_per_user": {"value": 40, "unit": "tokens/sec/user"},
        "input_sequence_length": {"value": 5, "unit": "tokens"},
        "output_sequence_length": {"value": 5, "unit": "tokens"},
        "output_token_count": {"value": 3, "unit": "tokens"},
        "reasoning_token_count": {"value": 2, "unit": "tokens"},
    }
    assert second["metrics"]["inter_chunk_latency"]["value"] == [20, 20]
    assert (failed["metrics"], failed["error"]) == ({}, {"code": 429, "type": "http", "message": "429"})
    assert cancelled["error"] == {"code": 499, "type": "cancelled", "message": "cancelled"}
    assert cancelled["metadata"]["cancellation_time_ns"] == WALL + 900 * MS
    assert warm["metadata"]["benchmark_phase"] == "warmup"


def block(unit: str, *values: float) -> dict[str, Any]:
    """Statistics of two values."""
    low, high = values
    quantiles = {f"p{p}": low if p <= 50 else high for p in (1, 5, 10, 25, 50, 75, 90, 95, 99)}
    std = pytest.approx((high - low) / 2**0.5)
    mean = (low + high) / 2
    return {
        "unit": unit,
        "avg": mean,
        "min": low,
        "max": high,
        "std": std,
        "count": 2,
        "sum": low + high,
    } | quantiles


def test_the_document_of_aiperf() -> None:
    document = json.loads(json.dumps(aiperf_document(summary(RESULTS), RESULTS, CLOCK)))
    assert document["schema_version"] == "1.5"
    assert document["time_to_first_token"] == block("ms", 100, 200)
    assert document["request_latency"] == block("ms", 150, 300)
    assert document["inter_chunk_latency"]["count"] == 4
    assert document["request_throughput"] == {"unit": "requests/sec", "avg": 2}
    assert document["request_count"] == {"unit": "requests", "avg": 2}
    assert document["error_request_count"] == {"unit": "requests", "avg": 2}
    assert document["goodput"] == {"unit": "requests/sec", "avg": 1}
    assert (document["start_time"], document["end_time"]) == (
        "2023-11-14T22:13:20.000000Z",
        "2023-11-14T22:13:21.000000Z",
    )
    assert [(one["error_details"]["type"], one["count"]) for one in document["error_summary"]] == [
        ("http", 1),
        ("cancelled", 1),
    ]


def test_a_run_without_results_is_a_document_too() -> None:
    empty = summary([])
    assert vllm_document(empty, PLAN, [])["num_prompts"] == 0
    assert "time_to_first_token" not in aiperf_document(empty, [], CLOCK)
    assert list(aiperf_records([], CLOCK)) == []
    assert list(request_lines([])) == []
