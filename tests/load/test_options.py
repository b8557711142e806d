from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import BadInput
from harness.load.options import CONTRADICTIONS, MADE_UP, Options, Swept, check, extra_of, sweep_of
from harness.load.words import Pattern, Prefix

REC, TRACE, FILE = {"recording": Path("r")}, {"trace": Path("t")}, {"prompt_file": Path("p")}
RATE = {"request_rate": 2.0}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"concurrency": 4, "request_count": 9, "duration_s": 3.0},
        {"concurrency": 4, **RATE},
        {**RATE, "burstiness": 0.5, "ramp_s": 3.0},
        {**RATE, "burstiness": 1.0, "arrival_pattern": Pattern.POISSON},
        {**REC, "fixed_schedule": True, "speed": 2.0, "concurrency": 9},
        {**TRACE, "fixed_schedule": True},
        {**TRACE, **RATE},
        {**FILE, "output_tokens": 9},
        {"prefix_tokens": 5, "prefix_cache": Prefix.MISS},
        {"sweep": "concurrency=1,2"},
        {"sweep": "rate=1,2", "concurrency": 9, "burstiness": 2.0},
        {"ramp_s": 0.0, "fixed_schedule": True, **TRACE},
        {"warmup_request_count": 0, "drain_s": 0.0},
    ],
)
def test_what_goes_together(given: dict[str, Any]) -> None:
    check(Options(target="http://h", **given))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({**REC, **TRACE}, "give one of --from, --prompt-file and --trace"),
    ({**REC, "output_tokens": 9}, "--output-tokens does not go with --from"),
    ({**TRACE, "output_tokens": 9}, "--output-tokens does not go with --trace"),
    ({**REC, "extra_body": "{}"}, "--extra-body does not go with --from"),
    ({"prefix_cache": Prefix.HIT}, "--prefix-cache needs --prefix-tokens"),
    ({**REC, **RATE, "fixed_schedule": True}, "--fixed-schedule and --request-rate both"),
    ({**FILE, "fixed_schedule": True}, "--fixed-schedule needs recorded times"),
    ({"fixed_schedule": True}, "--fixed-schedule needs recorded times"),
    ({**REC, "speed": 2.0}, "--speed needs --fixed-schedule"),
    ({"arrival_pattern": Pattern.CONSTANT}, "--arrival-pattern needs --request-rate"),
    ({**REC, "arrival_pattern": Pattern.CONSTANT, "fixed_schedule": True}, "--arrival-pattern needs"),
    ({"burstiness": 2.0}, "--burstiness needs --request-rate"),
    ({**RATE, "burstiness": 1.0, "arrival_pattern": Pattern.CONSTANT}, "constant gaps have none"),
    ({**RATE, "burstiness": 2.0, "arrival_pattern": Pattern.POISSON}, "use --arrival-pattern gamma"),
    ({**REC, "fixed_schedule": True, "ramp_s": 2.0}, "--ramp does not go with --fixed-schedule"),
    ({"sweep": "concurrency=1", "concurrency": 2}, "--sweep concurrency=... and --concurrency both"),
    ({"sweep": "concurrency=1", **RATE}, "--sweep concurrency=... is of closed loops"),
    ({"sweep": "rate=1", **RATE}, "--sweep rate=... and --request-rate both"),
    ({"sweep": "rate=1", **REC, "fixed_schedule": True}, "--sweep rate=... does not go with --fixed"),
    ({"sweep": "speed=1"}, "is no sweep"),
    ({"extra_body": "[]"}, "--extra-body is no JSON object"),
    ({"extra_body": "{"}, "--extra-body is no JSON object"),
    ({"concurrency": 0}, "--concurrency 0 must be more than 0"),
    ({"request_rate": -1.0}, "--request-rate -1 must be more than 0"),
    ({"request_rate": float("nan")}, "--request-rate nan must be more than 0"),
    ({"duration_s": float("inf")}, "--benchmark-duration inf must be more than 0"),
    ({"warmup_request_count": -1}, "--warmup-request-count -1 must be 0 or more"),
    ({"drain_s": -0.5}, "--drain -0.5 must be 0 or more"),
]


@pytest.mark.parametrize(("given", "says"), WRONG)
def test_contradictions_are_one_line(given: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as caught:
        check(Options(target="http://h", **given))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_row_of_the_table_is_tried() -> None:
    said = set()
    for given, _ in WRONG:
        with pytest.raises(BadInput) as caught:
            check(Options(target="http://h", **given))
        said.add(str(caught.value))
    assert {says for _, says in CONTRADICTIONS} <= said


@pytest.mark.parametrize("name", list(MADE_UP))
@pytest.mark.parametrize("source", [REC, TRACE, FILE])
def test_options_of_made_up_prompts_go_with_no_source(name: str, source: dict[str, Any]) -> None:
    values: dict[str, Any] = dict.fromkeys(MADE_UP, 5) | {"prefix_cache": Prefix.HIT}
    given = {name: values[name]} | ({"prefix_tokens": 5} if name == "prefix_cache" else {})
    with pytest.raises(BadInput, match=r"is for made-up prompts: leave it away, or --"):
        check(Options(target="http://h", **source, **given))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("concurrency=1,2,4", (Swept.CONCURRENCY, [1, 2, 4])),
        ("rate=0.5", (Swept.RATE, [0.5])),
        ("rate = 1, 2", (Swept.RATE, [1, 2])),
    ],
)
def test_sweeps(text: str, found: tuple[Swept, list[float]]) -> None:
    assert sweep_of(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "concurrency",
        "concurrency=",
        "concurrency=1.5",
        "concurrency=0",
        "rate=-1",
        "rate=a",
        "rate=nan",
        "rate=inf",
        "x=1",
        "rate=1,,2",
        "concurrency=inf",
    ],
)
def test_what_is_no_sweep(text: str) -> None:
    with pytest.raises(BadInput, match="is no sweep: give concurrency=1,2,4 or rate"):
        sweep_of(text)


def test_a_sweep_over_the_same_value() -> None:
    with pytest.raises(BadInput, match="names a value twice"):
        sweep_of("rate=1,1.0")


def test_extra_fields() -> None:
    assert extra_of('{"a": [1]}') == (("a", [1]),)
    assert extra_of(None) == ()
