"""Rules beside a recording: read from NAME.match.toml, refused with file, line and field."""

from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.core.matching.rules import MatchRules
from harness.core.matching.words import Kind, Preset
from harness.replay.rules_file import rules_beside

GOOD = """
match-on = ["method", "path", "body", "header:X-Tenant"]
ignore = ["/user", "$.messages[*].name"]
normalise = ["uuids"]
preset = "lenient"
fuzzy = 0.9

[defaults]
"/temperature" = 1
"/response_format" = {type = "text"}
"""


def beside(folder: Path, text: str, name: str = "a") -> Path:
    (folder / f"{name}.match.toml").write_text(text)
    return folder / f"{name}.db"


def test_all_rules_can_stand_beside_a_recording(tmp_path: Path) -> None:
    assert rules_beside([beside(tmp_path, GOOD)]) == MatchRules(
        match_on=("method", "path", "body", "header:x-tenant"),
        ignore=("/user", "$.messages[*].name"),
        normalise=(Kind.UUIDS,),
        preset=Preset.LENIENT,
        fuzzy=0.9,
        defaults={"/temperature": 1, "/response_format": {"type": "text"}},
    )


def test_no_file_is_no_rule_and_several_add_up(tmp_path: Path) -> None:
    assert rules_beside([tmp_path / "none.db"]) == MatchRules()
    one, two = beside(tmp_path, 'ignore = ["/a"]'), beside(tmp_path, 'ignore = ["/b"]', "b.c")
    assert rules_beside([one, two, one, tmp_path / "none.db"]).ignore == ("/a", "/b")


BAD = {
    "no TOML": ("ignore = [}", "line 1"),
    "unknown field": ("\n\nignored = []", "line 3: ignored: there is no such rule"),
    "unknown kind": ('fuzzy = 0.5\nnormalise = ["guids"]', "line 2: normalise.0: should be 'uuids'"),
    "no path": ('# it\nignore = [\n  "user",\n]', "line 2: ignore.0: 'user' is no path"),
    "no place": ('match_on = ["headers"]', "line 1: match-on.0: 'headers' cannot be compared"),
    "a default without a path": (
        "[defaults]\nstream = false",
        "line 1: defaults.stream: 'stream' is no path",
    ),
    "too alike": ("fuzzy = 1.5", "line 1: fuzzy: should be less than 1"),
    "another type": ('ignore = "/user"', "line 1: ignore: should be a list"),
}


@pytest.mark.parametrize(("text", "told"), BAD.values(), ids=BAD)
def test_a_wrong_file_is_told_with_its_line_and_field(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        rules_beside([beside(tmp_path, text)])
    assert str(caught.value).startswith(str(tmp_path / "a.match.toml"))
    assert told in str(caught.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.match.toml").mkdir()
    with pytest.raises(BadInput, match="cannot be read"):
        rules_beside([tmp_path / "a.db"])
    (tmp_path / "b.match.toml").write_bytes(b"\xff")
    with pytest.raises(BadInput, match=r"b\.match\.toml"):
        rules_beside([tmp_path / "b.db"])
