"""Matching as tables: which request gets which entry, and what a miss says."""

import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.core.exchange import Exchange, Request, State
from harness.core.matching.matcher import Matching
from harness.core.matching.rules import MatchRules
from harness.core.matching.words import Repeat
from harness.core.miss import Miss, Why
from harness.core.redaction import Redactor, Rules
from harness.replay.match import Entry, Library, Order

PATH = "/v1/chat/completions"
JSON = (("content-type", "application/json"),)


def request(body: bytes = b"{}", path: str = PATH, method: str = "POST") -> Request:
    return Request(method, "http://h" + path, JSON, body, path=path)


def library(*recorded: tuple[Request, State, str], rules: Rules | None = None) -> Library[None]:
    made: Library[None] = Library(rules or Rules.default())
    for number, (asked, state, upstream) in enumerate(recorded, start=1):
        made.add(str(number), Exchange(asked, None, state, upstream=upstream), None)
    return made


def complete(*requests: Request) -> Library[None]:
    return library(*((one, State.COMPLETE, "up") for one in requests))


def labels(made: Library[None], asked: Request, times: int = 1) -> list[str | None]:
    found = [made.find(asked) for _ in range(times)]
    return [one.label if isinstance(one, Entry) else None for one in found]


def miss(made: Library[None], asked: Request) -> Miss:
    found = made.find(asked)
    assert isinstance(found, Miss)
    return found


def test_equal_requests_come_in_order_and_the_last_repeats() -> None:
    assert labels(complete(*[request()] * 3), request(), 5) == ["1", "2", "3", "3", "3"]


def test_each_request_has_its_own_order() -> None:
    one, two = request(b'{"n":1}'), request(b'{"n":2}')
    made = complete(one, two, one, two)
    assert [labels(made, asked)[0] for asked in (one, two, two, one, one)] == ["1", "2", "4", "3", "3"]


STATES: list[tuple[Sequence[State], list[str | None]]] = [
    ([State.CLIENT_ABORT, State.COMPLETE], ["2", "2"]),
    ([State.COMPLETE, State.CLIENT_ABORT], ["1", "1"]),
    ([State.CLIENT_ABORT, State.CLIENT_ABORT], ["1", "2"]),
    ([State.INTERRUPTED, State.COMPLETE], ["2", "2"]),
    ([State.INTERRUPTED], [None, None]),
    ([State.UPSTREAM_CUT, State.COMPLETE], ["1", "2"]),
    ([State.CONNECT_FAILED, State.UNTERMINATED], ["1", "2"]),
]


@pytest.mark.parametrize(("states", "expected"), STATES)
def test_what_ended_badly_answers_as_declared(states: Sequence[State], expected: list[str | None]) -> None:
    made = library(*((request(), state, "up") for state in states))
    assert labels(made, request(), 2) == expected


def test_two_upstreams_with_equal_requests_must_be_named() -> None:
    made = library((request(), State.COMPLETE, "a"), (request(), State.COMPLETE, "b"))
    assert "upstreams a and b" in miss(made, request()).reason
    assert labels(made, request(path="/a" + PATH)) == ["1"]
    assert labels(made, request(path="/b" + PATH)) == ["2"]


def test_two_upstreams_with_different_requests_need_no_name() -> None:
    made = library((request(b"1"), State.COMPLETE, "a"), (request(b"2"), State.COMPLETE, "b"))
    assert labels(made, request(b"2")) == ["2"]
    assert labels(made, request(b"2", path="/b" + PATH)) == ["2"]
    assert labels(made, request(b"2", path="/a" + PATH)) == [None]
    assert miss(made, request(b"2", path="/a" + PATH)).reason == "recorded at b, not at a"


def test_a_path_that_only_looks_like_a_name_is_its_own() -> None:
    made = library((request(path="/up/x"), State.COMPLETE, "up"), (request(path="/x"), State.COMPLETE, "up"))
    assert labels(made, request(path="/up/x")) == ["1"]
    assert labels(made, request(path="/up/up/x")) == ["1"]


def test_a_miss_names_the_nearest_of_the_same_endpoint() -> None:
    made = complete(
        request(b'{"model":"a","n":1}'),
        request(b'{"model":"b","n":1}'),
        request(b'{"model":"a","n":2}', "/v1/other"),
    )
    missed = miss(made, request(b'{"model":"b","n":2}'))
    assert [near.label for near in missed.near] == ["2", "1"]
    assert [str(one) for one in missed.near[0].different] == ["body/n: recorded 1, requested 2"]
    assert missed.near[0].likeness > missed.near[1].likeness


def test_a_miss_at_an_unknown_endpoint_names_the_nearest_of_all() -> None:
    missed = miss(complete(request(b'{"a":1}')), request(b'{"a":1}', path="/v2/chat"))
    assert [one.where for one in missed.near[0].different] == ["path"]


def test_nothing_recorded_has_no_nearest() -> None:
    assert miss(complete(), request()).near == ()


def test_requests_that_were_masked_by_other_rules_keep_their_order() -> None:
    """Two captures of one request, of which only the second masked the field."""
    more = Rules.default() | Rules(fields=("secret",))
    plain, masked = request(b'{"secret":"a"}'), Redactor(more).request(request(b'{"secret":"a"}'))
    made = library((plain, State.COMPLETE, "up"), (masked, State.COMPLETE, "up"), rules=more)
    assert labels(made, plain, 3) == ["1", "2", "2"]


def test_an_unnamed_upstream_has_the_bare_path_to_itself() -> None:
    made = library((request(), State.COMPLETE, ""), (request(), State.COMPLETE, "a"))
    assert labels(made, request()) == ["1"]
    assert labels(made, request(path="/a" + PATH)) == ["2"]


def test_named_exchanges_answer_whatever_is_asked_unless_interrupted() -> None:
    made = library((request(b"1"), State.COMPLETE, ""), (request(b"2"), State.INTERRUPTED, ""))
    found = made.named("1", request(b"other"))
    assert isinstance(found, Entry)
    assert found.uses == 1
    for label, reason in {"2": "interrupted", "3": "no exchange is called 3"}.items():
        missed = made.named(label, request())
        assert isinstance(missed, Miss)
        assert reason in missed.reason


@pytest.mark.parametrize("path", ["*", "", "x", "/", "//", "/up", "/up/"])
def test_any_target_is_a_miss_and_no_failure(path: str) -> None:
    assert labels(complete(request()), request(path=path or "*", method="OPTIONS")) == [None]


def test_secrets_of_a_request_are_not_told_in_a_miss() -> None:
    missed = miss(
        complete(request()), request(b'{"key":"sk-proj-' + b"s3cr3t" * 8 + b'"}', PATH + "?key=abc123")
    )
    told = f"{missed.request.path} {missed.request.body!r} {missed.near}"
    assert "s3cr3t" not in told
    assert "abc123" not in told


def test_unused_are_those_that_could_have_answered() -> None:
    made = library(
        (request(b"1"), State.COMPLETE, "a"),
        (request(b"2"), State.COMPLETE, "b"),
        (request(), State.INTERRUPTED, "c"),
    )
    made.find(request(b"1"))
    assert [entry.label for entry in made.unused()] == ["2"]
    assert list(made.upstreams) == ["a", "b", "c"]


def test_what_a_better_answer_replaced_is_not_unused() -> None:
    made = library((request(), State.CLIENT_ABORT, ""), (request(), State.COMPLETE, ""))
    assert [entry.label for entry in made.unused()] == ["2"]


def ordered(repeat: Repeat, *requests: Request, seed: int = 0) -> Library[None]:
    made: Library[None] = Library(Rules.default(), order=Order(repeat, seed))
    for number, asked in enumerate(requests, start=1):
        made.add(str(number), Exchange(asked, None), None)
    return made


REPEATS: dict[Repeat, list[str | None]] = {
    Repeat.LAST: ["1", "2", "2", "2"],
    Repeat.CYCLE: ["1", "2", "1", "2"],
    Repeat.SEQUENCE: ["1", "2", None, None],
}


@pytest.mark.parametrize(("repeat", "expected"), REPEATS.items())
def test_repeats_come_as_asked_for(repeat: Repeat, expected: list[str | None]) -> None:
    assert labels(ordered(repeat, request(), request()), request(), 4) == expected


def test_random_repeats_are_the_same_for_the_same_seed() -> None:
    chosen = [
        labels(ordered(Repeat.RANDOM, *[request()] * 5, seed=seed), request(), 20) for seed in (1, 1, 2)
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert set(chosen[0]) == {"1", "2", "3", "4", "5"}


def test_exhaustion_is_a_miss_that_says_so() -> None:
    made = ordered(Repeat.SEQUENCE, request(), request())
    labels(made, request(), 2)
    missed = miss(made, request())
    assert (missed.why, missed.reason) == (Why.EXHAUSTED, "all 2 recorded answers were given")
    assert [near.label for near in missed.near] == ["1", "2"]


def test_each_session_has_its_own_order_until_it_is_reset() -> None:
    made = complete(request(), request())

    def label(session: str) -> str:
        found = made.find(request(), session)
        assert isinstance(found, Entry)
        return found.label

    assert [label(session) for session in ("a", "b", "a", "b")] == ["1", "1", "2", "2"]
    made.order.cursors.reset("a")
    assert [label(session) for session in ("a", "b")] == ["1", "2"]
    made.order.cursors.reset()
    assert [label(session) for session in ("a", "b")] == ["1", "1"]


def fuzzy(least: float, *recorded: Request) -> Library[None]:
    made: Library[None] = Library(Rules.default(), matching=Matching(MatchRules(fuzzy=least)))
    for number, asked in enumerate(recorded, start=1):
        made.add(str(number), Exchange(asked, None), None)
    return made


LONG = b'{"model":"m","messages":[{"role":"user","content":"tell me all about the old town of %b"}]}'
FUZZY = {
    "a word": (LONG % b"Ghent", PATH, "1"),
    "another model": (LONG.replace(b'"m"', b'"n"') % b"Bruges", PATH, None),
    "a stream": (LONG.replace(b'"m"', b'"m","stream":true') % b"Bruges", PATH, None),
    "another endpoint": (LONG % b"Bruges", "/v1/completions", None),
    "nearly nothing alike": (b'{"model":"m","messages":[]}', PATH, None),
}


@pytest.mark.parametrize(("body", "path", "expected"), FUZZY.values(), ids=FUZZY)
def test_fuzzy_gives_what_is_alike_enough_at_the_same_endpoint(
    body: bytes, path: str, expected: str | None
) -> None:
    made = fuzzy(0.9, request(LONG % b"Bruges"))
    found = made.alike(miss(made, request(body, path)))
    assert (found[0].label if found else None) == expected


def test_nothing_is_fuzzy_unless_asked_for() -> None:
    made = complete(request(LONG % b"Bruges"))
    assert made.alike(miss(made, request(LONG % b"Ghent"))) is None


def test_an_equal_request_is_never_fuzzy_even_where_its_answers_are_all_given() -> None:
    made: Library[None] = Library(
        Rules.default(), matching=Matching(MatchRules(fuzzy=0.5)), order=Order(repeat=Repeat.SEQUENCE)
    )
    made.add("1", Exchange(request(), None), None)
    labels(made, request())
    assert made.alike(miss(made, request())) is None


def test_a_compared_header_counts_though_the_bytes_are_the_same() -> None:
    made: Library[None] = Library(
        Rules.default(), matching=Matching(MatchRules(match_on=("path", "body", "header:x-tenant")))
    )
    for tenant in "ab":
        headed = Request("POST", "http://h/", (("X-Tenant", tenant),), b"{}", path=PATH)
        made.add(tenant, Exchange(headed, None), None)
    asked = [Request("POST", "http://h/", (("x-tenant", t),), b"{}", path=PATH) for t in "abac"]
    assert [labels(made, one)[0] for one in asked] == ["a", "b", "a", None]
    assert [one.where for one in miss(made, asked[3]).near[0].different] == ["header.x-tenant"]


def test_a_request_masked_by_the_same_rules_is_not_masked_again_and_matches() -> None:
    secret = request(b'{"note":"sk-proj-' + b"a" * 48 + b'"}')
    made: Library[None] = Library(Rules.default())
    made.add("1", Exchange(made.redactor.request(secret), None), None, masked=True)
    assert labels(made, secret) == ["1"]


def test_many_exchanges_are_indexed_and_missed_in_little_time() -> None:
    """A tenth of what benchmarks/replay_match.py measures, with room for a busy machine."""
    words = [f"word{number}" for number in range(500)]
    chance = random.Random(1)
    bodies = [
        json.dumps(
            {"model": "m", "messages": [{"role": "user", "content": " ".join(chance.choices(words, k=60))}]}
        )
        for _ in range(1000)
    ]
    started = time.process_time()
    made = complete(*(request(body.encode()) for body in bodies))
    indexed = time.process_time()
    missed = miss(made, request(bodies[500].replace("word", "term", 3).encode()))
    assert [missed.near[0].label, len(missed.near)] == ["501", 3]
    assert time.process_time() - indexed < 0.5
    assert indexed - started < 5


def test_a_miss_names_different_requests_each_by_the_first_that_answers() -> None:
    made = library(
        (request(b'{"k":1}'), State.CLIENT_ABORT, "up"),
        (request(b'{"k":1}'), State.COMPLETE, "up"),
        (request(b'{"k":1}'), State.COMPLETE, "up"),
        (request(b'{"k":2}'), State.COMPLETE, "up"),
    )
    assert [near.label for near in miss(made, request(b'{"k":3}')).near] == ["2", "4"]


OWN = Rules.default() | Rules(
    headers=("x-tenant",), names=("ssn",), paths=("$.user",), patterns=(r"CUST-\d+",)
)


def test_rules_of_ones_own_make_requests_equal() -> None:
    body = b'{"ssn":"%d","user":{"a":%d},"text":"of CUST-%d"}'
    made = library((request(body % (1, 2, 3)), State.COMPLETE, "up"), rules=OWN)
    assert labels(made, request(body % (123456789012, 22, 33333))) == ["1"]
    assert labels(made, request(body.replace(b"of", b"to") % (1, 2, 3))) == [None]


def test_a_prompt_that_says_the_key_of_the_run_is_the_recorded_one() -> None:
    """The recorder knew its key, and masked it; the replay knows the key that comes with the request."""
    made = library((request(b'{"text":"my key: [redacted]"}'), State.COMPLETE, "up"))
    asked = request(b'{"text":"my key: another-key-42"}')
    assert labels(made, asked) == [None]
    assert labels(made, replace(asked, headers=(*JSON, ("Authorization", "Bearer another-key-42")))) == ["1"]


def test_a_prompt_that_says_the_key_of_the_run_gets_no_answer_of_another_upstream() -> None:
    body, headers = b'{"text":"my key: %b"}', (*JSON, ("Authorization", "Bearer another-key-42"))
    made = library((request(body % b"[redacted]"), State.COMPLETE, "a"), (request(b"1"), State.COMPLETE, "b"))
    at_a, at_b = (
        replace(request(body % b"another-key-42", path=f"/{name}{PATH}"), headers=headers) for name in "ab"
    )
    assert [labels(made, asked)[0] for asked in (at_a, at_b)] == ["1", None]
    bare = replace(at_a, path=PATH)
    found = [made.find(bare, upstream=name) for name in "ab"]
    assert [isinstance(one, Entry) for one in found] == [True, False]


def test_what_was_recorded_with_its_key_still_matches() -> None:
    headers = (*JSON, ("Authorization", "Bearer some-words"))
    asked = replace(request(b'{"text":"of some-words"}'), headers=headers)
    assert labels(library((asked, State.COMPLETE, "up")), asked) == ["1"]


def test_a_miss_does_not_say_the_key() -> None:
    asked = replace(request(b'{"text":"of another-key-42"}'), headers=(("x-api-key", "another-key-42"),))
    assert "another-key" not in repr(miss(complete(request()), asked))
