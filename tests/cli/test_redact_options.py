"""Redaction rules of one's own, by option: what is taken, and what is refused in one line."""

import json

import pytest

from harness.cli.redact_options import in_force, masked_line, rules
from harness.core.errors import BadInput
from harness.core.redaction import Rules

REFUSED = [
    ({"headers": ["a:b"]}, "--redact-header 'a:b' is no name of a header"),
    ({"headers": ["*"]}, "--redact-header '[*]' is no name of a header"),
    ({"headers": ["Content-Type"]}, "--redact-header 'content-type' says how to read a message"),
    ({"query": [""]}, "--redact-query needs a name"),
    ({"fields": [""]}, "--redact-field needs a name"),
    ({"paths": ["a["]}, "--redact-json 'a\\['"),
    ({"patterns": ["ok", "["]}, "number 2.* is no regular expression"),
    ({"patterns": ["x*"]}, "finds the empty text as well"),
]


def rules_of(**given: list[str]) -> Rules:
    names = ("headers", "query", "fields", "paths", "patterns")
    return rules(*(given.get(name) for name in names), email=False)


def test_defaults_stay() -> None:
    assert rules_of() == Rules.default()
    made = rules(["X-Tenant"], ["Customer"], ["ssn"], ["$.a"], ["b+"], email=True)
    own = Rules(("x-tenant",), ("customer",), (), (), ("email",), ("ssn",), ("$.a",), ("b+",))
    assert made == Rules.default() | own
    assert Rules.from_json(made.to_json()) == made


def test_rules_that_no_redact_leaves_out_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    own = rules_of(patterns=["b+"])
    assert in_force(own, redact=True) == own
    assert in_force(rules_of(), redact=False) is None
    assert capsys.readouterr().err == ""
    assert in_force(own, redact=False) is None
    assert "--no-redact: nothing is masked" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "error"), REFUSED)
def test_what_cannot_work(given: dict[str, list[str]], error: str) -> None:
    with pytest.raises(BadInput, match=error):
        rules_of(**given)


def test_the_closing_line_names_the_busiest_rules() -> None:
    masked = {f"rule {number}": number for number in range(1, 9)}
    line = masked_line(masked, as_json=False)
    assert line.startswith("harness record: masked 36 places: rule 8 8, rule 7 7")
    assert line.endswith("rule 3 3, 2 more rules")
    assert json.loads(masked_line(masked, as_json=True)) == {"masked": masked}
