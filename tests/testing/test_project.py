"""The rules of a project's pyproject.toml, for its tests."""

import re
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.testing.project import rules_in_project


def test_rules_are_those_of_the_nearest_table(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "pyproject.toml").write_text("[tool.other]\nfuzzy = 2\n")
    assert rules_in_project(inner) == {}
    (tmp_path / "pyproject.toml").write_text(
        '[tool.harness.replay]\nmatch-on = ["path"]\ndefault = ["/temperature=1"]\nspeed = 0\n'
    )
    assert rules_in_project(inner) == {"match_on": ["path"], "defaults": {"/temperature": 1}}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('ignore = "/a"', "[tool.harness.replay] ignore: should be a list"),
        ("default = { a = 1 }", '[tool.harness.replay] default: should be a list, such as ["/temp'),
        ('default = ["/a"]', "--default '/a' names no value"),
        ('match_on = ["colour"]', "[tool.harness.replay] match-on.0: 'colour' cannot be compared"),
        ("fuzzy = ", "pyproject.toml: Invalid value (at line 2"),
    ],
)
def test_what_is_no_rule_is_told_with_its_place(said: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.harness.replay]\n{said}\n")
    with pytest.raises(BadInput, match=re.escape(words)):
        rules_in_project(tmp_path)
