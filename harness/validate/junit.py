"""A report as JUnit XML, which CI servers show as tests.

There is no standard; this keeps to what Jenkins, GitLab and GitHub's reporters have in common
(https://github.com/testmoapp/junitxml). A suite is an endpoint of a host, a failed test is a group of
errors; an endpoint without errors has one test, which passes.
"""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from harness.core.visible import counted, visible
from harness.validate.finding import Severity
from harness.validate.report import Call, Group, Report

NAME = "harness validate"


def junit_document(report: Report) -> bytes:
    """The document, in UTF-8."""
    errors: dict[Call, list[Group]] = {call: [] for call in sorted(report.calls)}
    for group in report.groups():
        if group.severity is Severity.ERROR:
            errors.setdefault(group.key.call, []).append(group)
    root = Element("testsuites", {"name": NAME} | counts([len(groups) for groups in errors.values()]))
    for call, groups in errors.items():
        name = visible(f"{call.host} {call.endpoint}".strip())
        suite = SubElement(root, "testsuite", {"name": name} | counts([len(groups)]))
        for group in groups:
            add_failure(suite, name, group)
        if not groups:
            SubElement(suite, "testcase", classname=name, name=counted(report.calls[call], "exchange"))
    indent(root)
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def counts(failures: list[int]) -> dict[str, str]:
    """The attributes that count tests: an endpoint without failures has one test all the same."""
    tests = sum(max(count, 1) for count in failures)
    return {"tests": str(tests), "failures": str(sum(failures)), "errors": "0", "skipped": "0"}


def add_failure(suite: Element, classname: str, group: Group) -> None:
    """A group of errors as a failed test."""
    key, example = group.key, group.example
    place = f"{key.part.value} {key.pointer}".strip()
    case = SubElement(suite, "testcase", classname=classname, name=visible(f"{key.rule} in {place}"))
    failure = SubElement(case, "failure", type=visible(key.rule), message=visible(key.message))
    event = "" if example.event is None else f", event {example.event}"
    often = f"{counted(group.times, 'time')} in {counted(group.exchanges, 'exchange')}"
    pointer = f" at {example.pointer}" if example.pointer else ""
    failure.text = visible(f"{often}, first in exchange {example.exchange}{event}{pointer}")
