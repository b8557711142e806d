"""What is asked of a run: read as people write it, refused with what to write."""

import pytest

from harness.core.errors import BadInput
from harness.load.figures import Tally, times_of
from harness.load.slo import goodput_of, slo_of, slos_of
from tests.plugins.results import made_failure, made_result

TALLY = Tally(is_good=goodput_of(["ttft:100"]))
for _result in [
    *(made_result(sent=0, first_token=ttft, end=1000) for ttft in (80, 100, 120)),
    made_failure(end=1000),
]:
    TALLY.take(_result)
FIGURES = TALLY.figures()


@pytest.mark.parametrize(
    ("text", "got", "unit", "met"),
    [
        ("ttft:p99<500ms", 120, "ms", True),
        ("ttft:p50 <= 100 ms", 100, "ms", True),
        ("TTFT:p50<100MS", 100, "ms", False),
        ("ttft:max<0.12s", 0.12, "s", False),
        ("ttft:mean>99999us", 100_000, "us", True),
        ("e2e:p90>=1s", 1.0, "s", True),
        ("e2el:p90<1s", 1.0, "s", False),
        ("e2e_scheduled:p99<9s", None, "s", False),
        ("schedule_delay:p99<9s", None, "s", False),
        ("error_rate<=25%", 25, "%", True),
        ("error_rate<1%", 25, "%", False),
        ("success_rate>=75%", 75, "%", True),
        ("output_tokens>8/s", 9, "/s", True),
        ("requests>3/s", 3, "/s", False),
        ("goodput>1/s", 2, "/s", True),
        ("attainment>=50%", 50, "%", True),
    ],
)
def test_asked_got_met(text: str, got: float | None, unit: str, met: bool) -> None:
    row = slo_of(text).row(FIGURES)
    assert (row.asked, row.unit, row.met) == (text, unit, met)
    assert row.got == (None if got is None else pytest.approx(got))


def test_no_data_is_never_met() -> None:
    empty = Tally().figures()
    for text in ("ttft:p99<1s", "ttft:p99>0ms", "error_rate<100%", "output_tokens>0/s"):
        assert not slo_of(text).row(empty).met


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read; write for example ttft:p99<500ms"),
        ("ttft", "cannot be read"),
        ("ttft:p99=500ms", "cannot be read"),
        ("ttft<500ms", "which ttft? Write ttft:p99"),
        ("ttft:p98<500ms", "no 'p98'; there are p50, p90"),
        ("ttft:p99<500", "the limit has no unit; write ttft:p99<500ms or ttft:p99<500s"),
        ("ttft:p99<500min", "'min' is no unit of it"),
        ("ttft:p99<5.0.0ms", "'5.0.0' is no number"),
        ("latency:p99<500ms", "no 'latency'; there are ttft, ttst"),
        ("error_rate<1", "no unit; write error_rate<1%"),
        ("error_rate:p99<1%", "one figure of the run: write error_rate<1%"),
        ("output_tokens>100ms", "write output_tokens>100/s"),
    ],
)
def test_bad_slos_say_what_to_write(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=r"^--slo ") as caught:
        slo_of(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_goodput_slos_need_goodput() -> None:
    assert len(slos_of(["goodput>1/s", "ttft:p50<1s"], goodput_of(["ttft:1"]))) == 2
    with pytest.raises(BadInput, match="--goodput ttft:200 tpot:50"):
        slos_of(["attainment>99%"])


@pytest.mark.parametrize(
    ("words", "good"),
    [
        (["ttft:100"], True),
        (["ttft:99.9"], False),
        (["ttft:100 tpot:25", "e2el:150ms"], True),
        (["tpot:24"], False),
        (["e2e:149"], False),
        (["ttst:20", "icl:20"], True),
        (["schedule_delay:1000"], False),  # nobody knows
    ],
)
def test_goodput_of_a_request(words: list[str], good: bool) -> None:
    goodput = goodput_of(words)
    assert goodput is not None
    result = made_result()
    assert goodput(result, times_of(result)) is good


def test_one_token_has_no_pace_to_miss() -> None:
    goodput = goodput_of(["tpot:1", "icl:1"])
    assert goodput is not None
    for tokens_out, good in ((1, True), (None, False)):
        result = made_result(tokens_out=tokens_out, content_events=1, second_token=None, last_token=100)
        assert goodput(result, times_of(result)) is good


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ttft"], "cannot be read; write for example --goodput ttft:200 tpot:50"),
        (["ttft=200"], "cannot be read"),
        (["first:200"], "no 'first'; there are ttft"),
        (["ttft:fast"], "'fast' is no number"),
        (["ttft:-1"], "'-1' is no number"),
        (["ttft:nan"], "'nan' is no number"),
        (["ttft:200 ttft:300"], "has a limit already"),
        (["e2e:1", "e2el:1"], "has a limit already"),
    ],
)
def test_bad_goodput_says_what_to_write(words: list[str], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        goodput_of(words)
    assert said in str(caught.value)


def test_no_words_are_no_goodput() -> None:
    assert goodput_of([]) is goodput_of([" "]) is None
