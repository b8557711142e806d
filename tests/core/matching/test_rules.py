"""Rules: what can be declared, and how several places add up."""

import pytest
from pydantic import ValidationError

from harness.core.errors import BadInput
from harness.core.matching.rules import MatchRules, joined, over
from harness.core.matching.words import Kind, Preset

WRONG = {
    "match-on": ["nothing"],
    "ignore": ["user"],
    "normalise": ["everything"],
    "defaults": {"stream": False},
    "preset": "loose",
    "fuzzy": 1.0,
    "matchon": ["body"],
}


@pytest.mark.parametrize(("name", "value"), WRONG.items())
def test_a_wrong_rule_is_named(name: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        MatchRules.model_validate({name: value})
    assert caught.value.errors()[0]["loc"][0] == name


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValidationError):
        MatchRules(match_on=())


def test_names_may_have_dashes_or_underscores_and_headers_any_case() -> None:
    for name in ("match-on", "match_on"):
        rules = MatchRules.model_validate({name: ["Body", "header:X-Tenant"]})
        assert (rules.match_on, rules.headers) == (("body", "header:x-tenant"), ("x-tenant",))


def test_rules_of_several_places_add_up() -> None:
    one = MatchRules(ignore=("/user",), preset=Preset.LENIENT, defaults={"/a": 1})
    two = MatchRules(
        ignore=("/user", "/n"), normalise=(Kind.UUIDS,), defaults={"/b": 2}, preset=Preset.LENIENT
    )
    rules = joined([("one", one), ("two", two)])
    assert (rules.ignore, rules.normalise) == (("/user", "/n"), (Kind.UUIDS,))
    assert (rules.defaults, rules.preset) == ({"/a": 1, "/b": 2}, Preset.LENIENT)
    assert joined([]) == MatchRules()


def test_places_that_disagree_are_refused_by_name() -> None:
    places = [("a.match.toml", MatchRules(fuzzy=0.5)), ("b.match.toml", MatchRules(fuzzy=0.6))]
    with pytest.raises(BadInput, match=r"a\.match\.toml and b\.match\.toml disagree about fuzzy"):
        joined(places)


def test_what_is_said_nearer_counts() -> None:
    rules = over(MatchRules(ignore=("/a",), fuzzy=0.5), {"ignore": ["/b"], "fuzzy": 0.9})
    assert (rules.ignore, rules.fuzzy) == (("/a", "/b"), 0.9)
    assert over(rules, {}) == rules
