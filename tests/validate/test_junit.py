"""JUnit XML: a suite an endpoint, a failed test a group of errors."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.core.exchange import Exchange
from harness.validate.finding import Finding, Profile
from harness.validate.junit import junit_document
from harness.validate.report import Report


@pytest.fixture
def root(report: Report) -> ET.Element:
    """The parsed document."""
    return ET.fromstring(junit_document(report))


def test_suites_are_endpoints_and_only_errors_fail(root: ET.Element) -> None:
    assert root.tag == "testsuites"
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("2", "1", "0")
    assert [(one.get("name"), one.get("tests"), one.get("failures")) for one in root] == [
        ("api.test POST /v1/chat/completions", "1", "1"),
        ("api.test POST /v1/embeddings", "1", "0"),
    ]


def test_a_failure_says_what_and_where(root: ET.Element) -> None:
    (failed,) = root[0]
    assert failed.get("name") == "schema.type in event /choices/*/text"
    failure = failed.find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("schema.type", "null instead of string")
    assert failure.text == "3 times in 2 exchanges, first in exchange 7, event 1 at /choices/1/text"


def test_an_endpoint_without_errors_has_a_test_that_passes(root: ET.Element) -> None:
    (passed,) = root[1]
    assert (passed.tag, passed.get("name"), list(passed)) == ("testcase", "1 exchange", [])


def test_counts_add_up(call: Callable[..., Exchange], finding: Callable[..., Finding]) -> None:
    report = Report(Profile.STRICT)
    report.add(call(), [finding(pointer=f"/{name}") for name in "abc"])
    report.add(call("/v1/models"), [])
    root = ET.fromstring(junit_document(report))
    assert int(root.get("tests", "")) == len(root.findall("testsuite/testcase")) == 4
    assert int(root.get("failures", "")) == len(root.findall("testsuite/testcase/failure")) == 3


def test_the_document_is_utf8_and_any_text_is_legal_xml(
    call: Callable[..., Exchange], finding: Callable[..., Finding], tmp_path: Path
) -> None:
    report = Report(Profile.STRICT)
    report.add(call(host="a\x1b<&>"), [finding(rule="a.b", message='<"\ud800\x07é')])
    (tmp_path / "a.xml").write_bytes(junit_document(report))
    root = ET.parse(tmp_path / "a.xml").getroot()
    assert root.findall("testsuite/testcase/failure")[0].get("message") == '<"<U+D800>␇é'
