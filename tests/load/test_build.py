import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.core.errors import BadInput
from harness.core.exchange import Exchange
from harness.demo.model_server import MODEL, ModelServer
from harness.load.apis import Server
from harness.load.arrivals import S
from harness.load.build import MADE_UP, Known, build, prepare
from harness.load.care import Price, bill
from harness.load.folder import Folder
from harness.load.options import Options
from harness.load.place import place_of
from harness.load.plan import Closed, Open
from harness.load.tokens import WORDS, Measure
from harness.load.words import Api, Pattern

if TYPE_CHECKING:
    from tests.plugins.wire import Upstream

type Make = Callable[..., Exchange]
type Write = Callable[..., Path]

KNOWN = Known(place_of("http://h:1/v1"), model="m", measure=Measure(WORDS, 5, exact=True))


@pytest.fixture
def upstream(upstream: "Upstream") -> "Upstream":
    """The upstream as if it were new."""
    upstream.scripts.clear()
    upstream.requests.clear()
    upstream.gone.clear()
    return upstream


def options(**given: Any) -> Options:
    return Options(target="http://h:1/v1", seed=7, **given)


def only(**given: Any) -> Any:
    (step,) = build(options(**given), KNOWN).steps
    return step


@pytest.mark.parametrize(
    ("given", "count", "duration", "warmup"),
    [
        ({}, 80, None, 8),
        ({"concurrency": 3}, 30, None, 3),
        ({"request_count": 5}, 5, None, 5),
        ({"duration_s": 9.0}, None, 9.0, 8),
        ({"request_count": 50, "duration_s": 9.0}, 50, 9.0, 8),
        ({"warmup_request_count": 0}, 80, None, 0),
        ({"warmup_s": 2.0}, 80, None, 0),
        ({"warmup_s": 2.0, "warmup_request_count": 4}, 80, None, 4),
        ({"request_rate": 2.5}, None, 30.0, 3),
        ({"request_rate": 2.5, "request_count": 2}, 2, None, 2),
        ({"request_rate": 2.5, "concurrency": 90}, None, 30.0, 3),
    ],
)
def test_defaults(given: dict[str, Any], count: int | None, duration: float | None, warmup: int) -> None:
    plan = only(**given).plan
    assert (plan.request_count, plan.duration_s, plan.warmup_requests) == (count, duration, warmup)


def test_the_loop_is_closed_unless_a_schedule_is_given() -> None:
    closed = only(concurrency=3, ramp_s=4.0)
    assert closed.plan.loop == Closed(concurrency=3, ramp_s=4.0)
    assert not closed.arrivals
    assert only(request_rate=5.0).plan.loop == Open(most_open=None)
    assert only(request_rate=5.0, concurrency=3).plan.loop == Open(most_open=3)


@pytest.mark.parametrize("given", [{"concurrency": 2}, {"concurrency": 2, "request_rate": 5.0}])
def test_there_are_no_more_workers_than_requests_at_once(given: dict[str, Any]) -> None:
    assert only(workers=4, **given).plan.workers == 2
    assert only(workers=4, request_rate=5.0).plan.workers == 4


def test_what_a_plan_takes_over() -> None:
    plan = only(
        workers=2, timeout_s=5.0, stall_s=1.0, drain_s=0.0, max_requests=9, max_tokens=99, keep_alive=False,
        save_events=True, ca_file=Path("a.pem"),
    ).plan  # fmt: skip
    assert (plan.target, plan.workers, plan.timeout_s, plan.stall_s, plan.drain_s) == (
        "http://h:1",
        2,
        5,
        1,
        0,
    )
    assert (plan.max_requests, plan.max_tokens, plan.keep_alive, plan.save_events) == (9, 99, False, True)
    assert plan.ca_file == str(Path("a.pem").resolve())


@pytest.mark.parametrize(
    ("given", "calls"),
    [
        ({}, 88),
        ({"duration_s": 9.0}, MADE_UP),
        ({"duration_s": 9.0, "max_requests": 20}, 20),
        ({"prompts": 3}, 3),
        ({"request_count": 30_000, "input_tokens": 20}, 10_000),
    ],
)
def test_every_request_has_a_prompt_of_its_own(given: dict[str, Any], calls: int) -> None:
    step = only(**given)
    assert len({call.body for call in step.calls}) == calls
    assert step.calls[0].path == "/v1/chat/completions"


def test_an_open_loop_has_a_call_for_each_arrival() -> None:
    step = only(request_rate=20.0, duration_s=10.0, warmup_request_count=10, burstiness=0.5)
    assert len(step.arrivals) == len(step.calls) == pytest.approx(210, abs=60)
    start = step.arrivals[9]
    assert start < step.arrivals[-1] < start + 10 * S
    assert all(before <= after for before, after in pairwise(step.arrivals))


def test_arrivals_follow_count_pattern_ramp_and_limit() -> None:
    constant = only(
        request_rate=2.0, arrival_pattern=Pattern.CONSTANT, request_count=4, warmup_request_count=0
    )
    assert constant.arrivals.tolist() == [0, S // 2, S, 3 * S // 2]
    ramped = only(request_rate=2.0, arrival_pattern=Pattern.CONSTANT, request_count=4, ramp_s=8.0)
    assert ramped.arrivals[1] == 8**0.5 * S // 1 or abs(ramped.arrivals[1] - 8**0.5 * S) < 2
    assert len(only(request_rate=9.0, max_requests=5).arrivals) == 5


def test_the_seed_makes_the_same_run_again_and_none_makes_another() -> None:
    given = options(request_rate=3.0)
    first, second = build(given, KNOWN), build(given, KNOWN)
    assert first == second
    unseeded = [build(replace(given, seed=None), KNOWN) for _ in range(2)]
    assert unseeded[0].seed != unseeded[1].seed
    assert unseeded[0].steps[0].calls[0] != unseeded[1].steps[0].calls[0]
    assert build(replace(given, seed=unseeded[0].seed), KNOWN) == unseeded[0]


def test_a_sweep_is_a_run_for_each_value_with_prompts_of_its_own() -> None:
    built = build(options(sweep="concurrency=1,4"), KNOWN)
    assert [step.name for step in built.steps] == ["concurrency 1", "concurrency 4"]
    assert [step.plan.request_count for step in built.steps] == [10, 40]
    assert [step.plan.loop for step in built.steps] == [
        Closed(concurrency=1, ramp_s=0),
        Closed(concurrency=4, ramp_s=0),
    ]
    assert not {c.body for c in built.steps[0].calls} & {c.body for c in built.steps[1].calls}
    rates = build(options(sweep="rate=1,2.5", duration_s=20.0, concurrency=7), KNOWN).steps
    assert [step.name for step in rates] == ["rate 1", "rate 2.5"]
    assert [step.plan.loop for step in rates] == [Open(most_open=7)] * 2
    assert len(rates[0].arrivals) < len(rates[1].arrivals)


def mooncake(folder: Path) -> Path:
    path = folder / "t.jsonl"
    rows = [
        {"timestamp": 1000 + 500 * n, "input_length": 600 + n, "output_length": n, "hash_ids": [0, n + 1]}
        for n in range(10)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("given", "requests", "last_s"),
    [
        ({}, 10, 4.5),
        ({"speed": 2.0}, 10, 2.25),
        ({"duration_s": 2.0}, 4, 1.5),
        ({"duration_s": 2.0, "speed": 2.0}, 8, 1.75),
        ({"request_count": 3}, 3, 1.0),
        ({"request_count": 3, "warmup_request_count": 2}, 5, 2.0),
        ({"max_requests": 2}, 2, 0.5),
        ({"request_count": 3, "warmup_s": 1.0}, 5, 2.0),
    ],
)
def test_a_trace_is_played_as_it_was(
    tmp_path: Path, given: dict[str, Any], requests: int, last_s: float
) -> None:
    step = only(trace=mooncake(tmp_path), fixed_schedule=True, **given)
    assert len(step.calls) == len(step.arrivals) == requests
    assert step.arrivals[-1] == last_s * S
    assert [call.tokens_in for call in step.calls] == [600 + n for n in range(requests)]
    assert step.plan.warmup_requests == given.get("warmup_request_count", 0)


def test_the_lengths_of_a_trace_at_another_rate(tmp_path: Path) -> None:
    step = only(trace=mooncake(tmp_path), concurrency=2, request_count=4)
    assert not step.arrivals
    assert [call.tokens_in for call in step.calls] == [600, 601, 602, 603, 604, 605]
    assert len(only(trace=mooncake(tmp_path), request_rate=50.0, duration_s=9.0).calls) == 10


def test_only_as_much_of_a_trace_as_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"timestamp": 0, "input_length": 9, "output_length": 1}\n' * 12_000)
    assert len(only(trace=path, duration_s=9.0).calls) == MADE_UP
    assert len(only(trace=path, request_count=3000).calls) == 3008
    assert len(only(trace=path, request_count=20_000).calls) == 10_000
    assert len(only(trace=path, fixed_schedule=True).calls) == 12_000


def test_schedules_that_no_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.load.build.MOST_ARRIVALS", 5)
    assert len(only(request_rate=9.0, max_requests=5, request_count=5, warmup_request_count=0).arrivals) == 5
    with pytest.raises(BadInput, match="more than 5 requests are due"):
        only(request_rate=9.0, duration_s=60.0)


def test_prompts_that_no_memory_holds(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"timestamp": 0, "input_length": 9000000, "output_length": 1}\n' * 50)
    with pytest.raises(BadInput, match="the prompts would take 3 GB"):
        only(trace=path, fixed_schedule=True)
    with pytest.raises(BadInput, match="the prompts would take 16 GB"):
        only(request_count=10_000, input_tokens=270_000)


def test_a_schedule_without_requests(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no request is due within --benchmark-duration"):
        only(request_rate=0.001, duration_s=0.001, warmup_request_count=0)


def test_recorded_arrivals_keep_requests_and_times_together(write: Write, make_exchange: Make) -> None:
    path = write(*(make_exchange(start=second) for second in (9, 3, 5)), name="r.jsonl")
    step = only(recording=path, fixed_schedule=True, speed=2.0)
    assert step.arrivals.tolist() == [0, 1 * S, 3 * S]
    assert step.plan.request_count is None
    assert len(step.calls) == 3


def test_recorded_requests_in_a_closed_loop(write: Write, make_exchange: Make) -> None:
    path = write(make_exchange(start=1), make_exchange(start=2))
    step = only(recording=path)
    assert len(step.calls) == 2
    assert step.plan.request_count == 80
    assert build(options(recording=path), KNOWN).exact is None


def test_the_api_of_a_recording_can_be_picked(write: Write, make_exchange: Make) -> None:
    path = write(make_exchange())
    assert len(only(recording=path, api=Api.CHAT).calls) == 1
    with pytest.raises(BadInput, match=r"holds no request of --api anthropic"):
        only(recording=path, api=Api.ANTHROPIC)


def test_a_prompt_file(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("One\nTwo\n")
    step = only(prompt_file=path, output_tokens=5)
    assert [call.most_tokens_out for call in step.calls] == [5, 5]


def test_all_is_made_ready_for_a_real_server(model_server: ModelServer, tmp_path: Path) -> None:
    given = Options(target=f"{model_server.url}/v1", input_tokens=40, output_tokens=5, request_count=3)
    prepared = prepare(given, {})
    assert prepared.private
    assert (prepared.known.model, prepared.known.server) == (MODEL, Server.LLAMA_CPP)
    assert prepared.built.exact
    (step,) = prepared.built.steps
    assert {call.tokens_in for call in step.calls} == {40}
    assert prepared.bill(Price()).requests == 7
    assert prepared.bill(Price()).tokens_in == 280
    prepared.try_out()
    folder = Folder(tmp_path / "run")
    folder.write(step.plan, step.calls, step.arrivals)
    assert (folder.plan(), folder.calls()) == (step.plan, step.calls)


def test_a_replay_is_a_target_that_misses_nothing() -> None:
    recording = Path(__file__).parents[2] / "recordings" / "tiny-llama.db"
    command = [sys.executable, "-m", "harness", "replay", str(recording), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            url = server.stdout.readline().partition("listening on ")[2].partition(" ")[0].strip()
            prepared = prepare(Options(target=f"{url}/v1", recording=recording), {})
            (step,) = prepared.built.steps
            for call in step.calls:
                prepared.target.try_out(call)
            server.send_signal(signal.SIGINT)
            summary = json.loads(server.communicate(timeout=30)[0].splitlines()[-1])
        finally:
            server.kill()
    assert (summary["requests"], summary["missed"]) == (len(step.calls), 0)
    counted = bill([(step.plan, step.calls, 0)]).tokens_in
    assert prepared.bill(Price()).tokens_in > counted  # another server may count more


def test_recorded_requests_ask_the_target_nothing(
    upstream: "Upstream", write: Write, make_exchange: Make
) -> None:
    prepared = prepare(
        Options(target=upstream.url, recording=write(make_exchange())), {"OPENAI_API_KEY": "k"}
    )
    assert upstream.requests == []
    assert prepared.built.steps[0].plan.key_variable == "OPENAI_API_KEY"
    assert prepared.built.exact is None


def test_a_target_that_does_not_tell_its_models(upstream: "Upstream") -> None:
    with pytest.raises(BadInput, match="--model is missing"):
        prepare(Options(target=upstream.url), {})
    prepared = prepare(Options(target=upstream.url, model="m", api=Api.ANTHROPIC), {})
    assert prepared.built.exact is False
    assert prepared.bill(Price()).tokens_in > 89 * 256


def test_a_target_that_is_not_there(write: Write, make_exchange: Make) -> None:
    for recording in (None, write(make_exchange())):
        with pytest.raises(BadInput, match=r"nothing listens at 127\.0\.0\.1:9:"):
            prepare(Options(target="http://127.0.0.1:9", recording=recording), {})
