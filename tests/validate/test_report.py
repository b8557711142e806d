"""Findings put together: what matters first, one line for what is the same, nothing that grows."""

import tracemalloc
from collections.abc import Callable

import pytest

from harness.core.exchange import Exchange
from harness.validate.finding import Finding, Kind, Part, Profile, Severity
from harness.validate.report import ELSEWHERE, ENDPOINTS, GROUPS, Report, Verdict
from harness.validate.report import Call as Called

type Call = Callable[..., Exchange]
type MakeFinding = Callable[..., Finding]


def test_errors_come_first_then_what_is_in_most_exchanges(report: Report) -> None:
    told = [(group.severity, group.key.pointer, group.exchanges, group.times) for group in report.groups()]
    assert told == [
        (Severity.ERROR, "/choices/*/text", 2, 3),
        (Severity.WARNING, "", 1, 1),
        (Severity.DRIFT, "", 1, 1),
    ]


def test_the_example_is_the_first_and_exact(report: Report) -> None:
    assert report.groups()[0].example == (7, 1, "/choices/1/text")


def test_counts(report: Report) -> None:
    assert (report.exchanges, report.events, report.not_checked) == (3, 6, 1)
    assert {severity.value: report.counts()[severity] for severity in Severity} == {
        "error": 3, "warning": 1, "drift": 1, "ignored": 1,
    }  # fmt: skip
    assert sorted(report.calls.items()) == [
        (("api.test", "POST /v1/chat/completions"), 2),
        (("api.test", "POST /v1/embeddings"), 1),
    ]


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("kind", Kind)
def test_only_errors_fail_and_ignored_ones_are_only_counted(
    kind: Kind, profile: Profile, call: Call, finding: MakeFinding
) -> None:
    report, one = Report(profile), finding(kind)
    report.add(call(), [one])
    told = list(report.told([one]))
    severity = one.severity(profile)
    assert report.verdict is (Verdict.FAILED if severity is Severity.ERROR else Verdict.PASSED)
    assert told == ([] if severity is Severity.IGNORED else [(one, severity)])
    assert len(report.groups()) == len(told)
    assert +report.counts() == {severity: 1}


def test_what_differs_in_anything_but_the_element_of_a_list_is_a_group_of_its_own(
    call: Call, finding: MakeFinding
) -> None:
    report = Report(Profile.STRICT)
    report.add(call(), [finding(pointer="/a/0"), finding(pointer="/a/1"), finding(pointer="/b")])
    report.add(call(), [finding(pointer="/a/0", message="other"), finding(pointer="/a/0", part=Part.REQUEST)])
    report.add(call(host="b.test"), [finding(pointer="/a/0")])
    report.add(call("/v1/responses"), [finding(pointer="/a/0"), finding(Kind.VALUE, pointer="/a/0")])
    assert sorted(group.times for group in report.groups()) == [1, 1, 1, 1, 1, 1, 2]


def test_drift_is_told_by_host_most_frequent_first(call: Call, finding: MakeFinding) -> None:
    report = Report(Profile.DRIFT)
    field = finding(Kind.UNKNOWN_FIELD, pointer="/choices/0/logits")
    report.add(call(), [field, finding(Kind.OPENAI_ONLY, pointer="/rare"), finding(pointer="/wrong")])
    report.add(call(host="b.test"), [field] * 3)
    report.add(call(), [field])
    error, *drift = report.groups()
    assert error.severity is Severity.ERROR
    assert [(one.key.call.host, one.key.pointer, one.times, one.exchanges) for one in drift] == [
        ("b.test", "/choices/*/logits", 3, 1),
        ("api.test", "/choices/*/logits", 2, 2),
        ("api.test", "/rare", 1, 1),
    ]


def test_memory_does_not_grow_with_the_recording(call: Call, finding: MakeFinding) -> None:
    report, exchange = Report(Profile.STRICT), call()
    findings = [finding(event=number, pointer=f"/choices/{number}") for number in range(100)]
    report.add(exchange, findings)
    tracemalloc.start()
    for _ in range(200):
        report.add(exchange, findings)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 10_000
    (group,) = report.groups()
    assert (group.exchanges, group.times) == (201, 201 * 100)


def test_places_without_end_become_one_group_of_their_rule(call: Call, finding: MakeFinding) -> None:
    report = Report(Profile.STRICT)
    report.add(call(), [finding(pointer=f"/m{number}") for number in range(GROUPS + 50)])
    groups = report.groups()
    assert len(groups) == GROUPS + 1
    assert (groups[0].key.pointer, groups[0].times, groups[0].exchanges) == (ELSEWHERE, 50, 1)
    assert groups[0].example == (1, None, f"/m{GROUPS}")


def test_endpoints_without_end_become_one(call: Call) -> None:
    report, letters = Report(Profile.STRICT), "abcdefghij"
    for number in range(ENDPOINTS + 5):
        report.add(call("/" + "".join(letters[int(digit)] for digit in str(number))), [])
    assert len(report.calls) == ENDPOINTS + 1
    assert report.calls[Called("", ELSEWHERE)] == 5
