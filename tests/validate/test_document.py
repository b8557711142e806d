import pytest
from pydantic import ValidationError

from harness.validate.document import ReportDocument
from harness.validate.report import Report


def test_a_report_can_be_read_back(report: Report) -> None:
    document = ReportDocument.of(report, "a.db", None)
    assert ReportDocument.model_validate_json(document.model_dump_json()) == document
    assert (document.verdict, document.counts.errors, document.exchanges) == ("failed", 3, 3)
    assert [group.severity for group in document.groups] == ["error", "warning", "drift"]
    example = {"exchange": 7, "event": 1, "pointer": "/choices/1/text"}
    assert document.groups[0].example.model_dump() == example


def test_a_report_has_no_other_fields(report: Report) -> None:
    value = ReportDocument.of(report, "a.db", "openai").model_dump(mode="json")
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        ReportDocument.model_validate(value | {"more": 1})
