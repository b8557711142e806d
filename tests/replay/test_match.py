"""Matching as tables: which request gets which entry, and what a miss says."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.core.exchange import Exchange, Request, State
from harness.core.redaction import Redactor, Rules
from harness.replay.match import Entry, Library, Miss

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
    assert missed.nearest == "2"
    assert [str(one) for one in missed.different] == ["body/n: recorded 1, requested 2"]


def test_a_miss_at_an_unknown_endpoint_names_the_nearest_of_all() -> None:
    missed = miss(complete(request(b'{"a":1}')), request(b'{"a":1}', path="/v2/chat"))
    assert [one.where for one in missed.different] == ["path"]


def test_nothing_recorded_has_no_nearest() -> None:
    assert miss(complete(), request()).nearest is None


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
    told = f"{missed.request.path} {missed.request.body!r} {missed.different}"
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


def test_what_was_recorded_with_its_key_still_matches() -> None:
    headers = (*JSON, ("Authorization", "Bearer some-words"))
    asked = replace(request(b'{"text":"of some-words"}'), headers=headers)
    assert labels(library((asked, State.COMPLETE, "up")), asked) == ["1"]


def test_a_miss_does_not_say_the_key() -> None:
    asked = replace(request(b'{"text":"of another-key-42"}'), headers=(("x-api-key", "another-key-42"),))
    assert "another-key" not in repr(miss(complete(request()), asked))
