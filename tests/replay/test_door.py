"""The door without a socket: the order of keys, limits, faults and the site; what is counted and said."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from harness.core import admin
from harness.core.fault_rules import fault_in
from harness.replay.door import Door
from harness.replay.faults import Choice
from harness.replay.gate import NO_LIMITS, Limits
from harness.replay.heads import with_headers
from harness.replay.playback import Client, Ending
from tests.replay.doors import CHAT, MESSAGES, OLLAMA, S, asking, body, door, head, outcome_of, statuses


def page(one: Door, method: str = "GET", content: bytes = b"") -> admin.Faults:
    answer = one.answer(asking("/__admin/faults", content, method=method))
    assert head(answer)[":status"] == "200"
    return admin.Faults.model_validate(body(answer))


def test_without_a_wish_the_answer_is_the_sites_own() -> None:
    one = door(limits=NO_LIMITS)
    answer = one.answer(asking())
    assert answer.playback is one.library.by_label["1"].answer.playback(Client())
    assert one.gate is None


@pytest.mark.parametrize(("said", "speed"), [("0", 0.0), ("2.5", 2.5), (" 1 ", 1.0)])
def test_a_request_sets_its_own_speed(said: str, speed: float) -> None:
    assert door(speed=7).answer(asking(X_Harness_Speed=said)).speed == speed


@pytest.mark.parametrize("said", ["fast", "-1", "nan", "inf", "", "1\u202e", "9" * 5000])
def test_what_is_no_speed_is_told(said: str) -> None:
    answer = door().answer(asking(x_harness_speed=said))
    assert head(answer)[":status"] == "400"
    assert body(answer)["error"]["message"].startswith("harness: x-harness-speed: ")


def test_times_of_a_fault_are_true_at_any_speed() -> None:
    for speed, due in ((1, [4, 9, 22, 32]), (10, [0.4, 0.9, 4.9, 5.9]), (0, [0, 3])):
        answer = door(speed=speed).answer(asking(x_harness_fault="stall; event=1; for=3s"))
        assert answer.speed == 1.0
        assert [at / S for at in answer.playback.due] == pytest.approx([*due[:-1], due[-1]])


def test_a_fault_is_marked_logged_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    one = door("cut; event=1; every=2", "content-type; path=/never")
    answers = [one.answer(asking()) for _ in range(3)]
    assert ["x-harness-fault" in head(answer) for answer in answers] == [False, True, False]
    assert answers[1].playback.ending is Ending.CLOSE
    assert capsys.readouterr().err == f"harness replay: fault: POST {CHAT}: cut; event=1\n"
    found = page(one)
    assert found.played == {"cut; event=1": 1}
    assert [(rule.rule, rule.fitted, rule.played) for rule in found.rules] == [
        ("kind=cut,event=1,every=2", 3, 1),
        ("kind=content-type,path=/never", 0, 0),
    ]
    assert found.latest == (
        admin.PlayedFault(request=f"POST {CHAT}", fault="cut; event=1", by="rule", unfit=None),
    )
    assert outcome_of(one).idle_faults == ("kind=content-type,path=/never",)


def test_what_does_not_fit_goes_out_as_recorded_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    one = door()
    plain = door().answer(asking()).playback
    answer = one.answer(asking(x_harness_fault="cut; event=30"))
    assert head(answer)["x-harness-fault"] == "none; cut: the stream has 3 events"
    assert answer.playback.blob.partition(b"\r\n\r\n")[2] == plain.blob.partition(b"\r\n\r\n")[2]
    assert answer.playback.due == plain.due
    assert "cut; event=30 does not fit: the stream has 3 events" in capsys.readouterr().err
    assert page(one).unfit == {"cut; event=30": 1}


def test_a_miss_stays_a_miss() -> None:
    one = door("cut")
    answer = one.answer(asking(body=b"other"))
    assert head(answer)[":status"] == "404"
    assert "nothing that was recorded" in head(answer)["x-harness-fault"]
    assert page(one).rules[0].unfit == 1


def test_an_error_uses_up_no_recorded_answer() -> None:
    one = door("error; status=503; times=1", "reset; times=1")
    first, second, third, fourth = (one.answer(asking()) for _ in range(4))
    assert head(first)[":status"] == "503"
    assert (second.playback.blob, second.playback.ending) == (b"", Ending.RESET)
    assert [answer.label for answer in (third, fourth)] == ["1", "2"]
    assert one.site.tally.requests == 4


def test_the_request_comes_before_the_rules() -> None:
    one = door("error; status=500")
    asked = asking(), asking(x_harness_fault="none"), asking(x_harness_fault="delay; for=1s")
    assert statuses(one, *asked) == ["500", "200", "200"]
    assert page(one).rules[0].fitted == 1


def test_models_and_names_of_upstreams_in_rules() -> None:
    one = door("error; status=500; model=m*", f"error; status=501; path={CHAT}")
    asked = asking(body=b'{"model":"m"}'), asking("/openai" + CHAT), asking("/v1/models")
    assert statuses(one, *asked) == ["500", "501", "404"]


def test_head_has_no_body_to_spoil() -> None:
    answer = door("cut").answer(asking(method="HEAD", x_harness_exchange="1"))
    assert head(answer)["x-harness-fault"] == "none; cut: the answer to HEAD has no body"
    late = door("delay; for=1s").answer(asking(method="HEAD", x_harness_exchange="1"))
    assert late.playback.due[0] == 5 * S


def test_what_an_answer_was_marked_with_stays_beside_its_fault() -> None:
    one = door()
    choice = Choice(fault_in("cut; event=1"))
    answer = one.site.answer(asking())
    marked = replace(answer, playback=with_headers(answer.playback, (("x-harness-match", "fuzzy 0.9"),)))
    found = head(one.faults.spoiled(asking(), choice, marked))
    assert (found["x-harness-match"], found["x-harness-fault"]) == ("fuzzy 0.9", "cut; event=1")


def test_plans_are_kept() -> None:
    one = door()
    first, second = (
        one.answer(asking(x_harness_fault="duplicate", x_harness_exchange="1")) for _ in range(2)
    )
    assert first.playback is second.playback
    other = one.answer(asking(x_harness_fault="duplicate", x_harness_exchange="1", x_harness_speed="2"))
    assert other.playback is not first.playback


@pytest.mark.parametrize(
    ("path", "place"),
    [(CHAT, "x-ratelimit-remaining-requests"), (MESSAGES, "anthropic-ratelimit-requests-reset")],
)
def test_a_429_has_the_headers_of_its_api(path: str, place: str) -> None:
    found = head(door("error; status=429; retry_after=1.5s").answer(asking(path)))
    assert (found[":status"], found["retry-after"]) == ("429", "2")
    assert place in found
    assert (found.get("retry-after-ms") == "1500") is (path == CHAT)


def test_headers_and_words_of_an_error_are_the_rules_own() -> None:
    one = door()
    rules = {"faults": [{"kind": "error", "status": 529, "message": "come back",
                         "headers": {"X-Should-Retry": "false", "Content-Type": "text/plain"}}]}  # fmt: skip
    assert (
        page(one, "PUT", json.dumps(rules).encode()).rules[0].rule
        == "kind=error,status=529,message=come back"
    )
    answer = one.answer(asking(MESSAGES))
    found = head(answer)
    assert (found[":status"], found["x-should-retry"], found["content-type"]) == (
        "529",
        "false",
        "text/plain",
    )
    assert body(answer)["error"] == {"type": "overloaded_error", "message": "harness: come back"}


def test_rules_are_put_shown_and_taken_away() -> None:
    one = door("cut")
    put = page(one, "PUT", b'{"faults": ["error; status=500"]}')
    assert [rule.rule for rule in put.rules] == ["kind=error,status=500"]
    assert statuses(one, asking()) == ["500"]
    assert page(one, "DELETE").rules == ()
    assert statuses(one, asking()) == ["200"]
    assert page(one).played == {"error; status=500": 1}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the body is no JSON: Expecting value"),
        (b"\xff", "utf-8"),
        (b"[" * 100_000, "recursion"),
        (b'{"faults": ["cut; x=1"]}', "rule 1: x: cut has no such field"),
        (b'{"faults": [{"kind": "cut", "event": 1e400}]}', "rule 1: event: "),
    ],
)
def test_rules_that_cannot_be_read_change_nothing(content: bytes, said: str) -> None:
    one = door("cut")
    answer = one.answer(asking("/__admin/faults", content, method="PUT"))
    assert head(answer)[":status"] == "400"
    assert said in body(answer)["error"]["message"]
    assert [rule.rule for rule in page(one).rules] == ["kind=cut"]


def test_other_methods_and_pages() -> None:
    one = door()
    refused = head(one.answer(asking("/__admin/faults", method="POST")))
    assert (refused[":status"], refused["allow"]) == ("405", "GET, HEAD, PUT, DELETE")
    assert "/__admin/faults" in body(one.answer(asking("/__admin/x", method="GET")))["error"]["message"]


# ---- keys and limits ----

KEYS = Limits(("key-1", "key-2"))
GOOD_KEYS: Sequence[Mapping[str, str]] = (
    {"authorization": "Bearer key-1"},
    {"Authorization": "bearer  key-2"},
    {"X_Api_Key": "key-1"},
    {"api_key": "key-2"},
    {"x_goog_api_key": "key-1"},
)
BAD_KEYS: Sequence[Mapping[str, str]] = (
    {},
    {"authorization": "Bearer key-3"},
    {"authorization": "Bearer key-1 x"},
    {"authorization": "Bearer "},
    {"authorization": "key-1"},
    {"authorization": "Basic key-1"},
    {"x_api_key": "KEY-1"},
    {"authorization": "Bearer key-3", "x_api_key": "key-1"},
)


def test_a_known_key_comes_in_however_it_is_shown() -> None:
    one = door(limits=KEYS)
    assert statuses(one, *(asking(shown=shown) for shown in GOOD_KEYS)) == ["200"] * len(GOOD_KEYS)


def test_any_other_gets_401_and_uses_nothing() -> None:
    one = door("error; status=500; times=1", limits=KEYS)
    assert statuses(one, *(asking(shown=shown) for shown in BAD_KEYS)) == ["401"] * len(BAD_KEYS)
    assert outcome_of(one).refused == admin.Refusals(unauthorised=len(BAD_KEYS))
    assert page(one).rules[0].fitted == 0, "and the admin pages ask for no key"
    assert statuses(one, asking(method="OPTIONS")) == ["204"]


@pytest.mark.parametrize(
    ("path", "place"), [(CHAT, ("error", "code")), (MESSAGES, ("error", "type")), (OLLAMA, ("error",))]
)
def test_a_401_has_the_form_of_its_api(path: str, place: tuple[str, ...]) -> None:
    found = body(door(limits=KEYS).answer(asking(path, authorization="Bearer secret")))
    assert "secret" not in str(found)
    assert "key-1" not in str(found)
    for name in place:
        found = found[name]
    assert found in ("invalid_api_key", "authentication_error") or found.startswith("harness: the API key")


def test_requests_a_minute_for_each_key() -> None:
    one = door(limits=Limits(requests=2))
    asked = [asking(at_s=at, x_api_key=key) for key in "ab" for at in (0, 1, 2, 30)]
    answers = [one.answer(each) for each in asked]
    assert [head(each)[":status"] for each in answers] == ["200", "200", "429", "200"] * 2
    over = head(answers[2])
    assert (over["retry-after"], over["retry-after-ms"]) == ("28", "28000")
    assert over["x-ratelimit-remaining-requests"] == "0"
    left = [head(each).get("x-ratelimit-remaining-requests") for each in answers[:2]]
    assert left == ["1", "0"]
    assert head(answers[0])["x-ratelimit-limit-requests"] == "2", "in place of what was recorded"
    assert outcome_of(one).refused == admin.Refusals(limited=2)
    assert "2 requests a minute" in body(answers[2])["error"]["message"]


def test_tokens_a_minute_are_those_that_were_recorded() -> None:
    one = door(limits=Limits(tokens=60))
    first, second, third = (one.answer(asking(at_s=at)) for at in (0, 0, 0))
    assert [head(each)[":status"] for each in (first, second, third)] == ["200", "200", "429"]
    assert head(first)["x-ratelimit-remaining-tokens"] == "18"
    assert head(second)["x-ratelimit-remaining-tokens"] == "0"
    assert head(third)["retry-after"] == "25"
    assert body(third)["error"]["type"] == "tokens"


def test_misses_and_errors_count_as_requests_and_cost_no_tokens() -> None:
    one = door("error; status=500; times=1", limits=Limits(requests=10, tokens=10))
    assert head(one.answer(asking()))["x-ratelimit-remaining-requests"] == "9"
    missed = head(one.answer(asking(body=b"other")))
    assert (missed[":status"], missed["x-ratelimit-remaining-requests"]) == ("404", "8")
    assert missed["x-ratelimit-remaining-tokens"] == "10"


def test_a_limited_answer_keeps_its_times_and_its_fault() -> None:
    one = door(limits=Limits(requests=10))
    answer = one.answer(asking(x_harness_fault="cut; event=1"))
    assert head(answer)["x-harness-fault"] == "cut; event=1"
    assert [at / S for at in answer.playback.due] == [4, 9]
    assert answer.playback.ends[-1] == len(answer.playback.blob)
