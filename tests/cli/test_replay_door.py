"""The options of `harness replay` for faults, keys and limits: files, bad input, what is said at the end."""

import re
from pathlib import Path

import pytest

from harness.cli.app import main
from harness.cli.replay_door import limits_from, rules_from, summary
from harness.core.admin import Refusals, WriteLateness
from harness.core.errors import BadInput
from harness.replay.service import Outcome

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
RECORDING = Path(__file__).parents[2] / "recordings" / "tiny-llama.db"


def test_rules_come_from_flags_then_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text('[[faults]]\nkind = "cut"\nevent = 3\nevery = 5\n')
    found = rules_from(["kind=delay,for=2s"], path)
    assert [rule.words() for rule in found] == ["kind=delay,for=2s", "kind=cut,event=3,every=5"]
    assert rules_from(None, None) == ()


def test_the_rules_in_the_docs_are_such(tmp_path: Path) -> None:
    page = PAGE.read_text("utf-8")
    flags = re.findall(r"(?:--fault '|`)(kind=[^'`]*)['`]", page)
    [table] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "faults.toml"
    path.write_text(table)
    assert len(rules_from(flags, path)) == len(flags) + 2
    assert len(flags) >= 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "faults: is missing"),
        (b"faults = 3", "faults: is missing"),
        (b"[[faults", "Expected"),
        (b"\xff", "utf-8"),
        (b"[[faults]]\nkind = 'cut'\nevnt = 3", "rule 1: evnt: cut has no such field; it has event, byte"),
        (b"[[faults]]\nkind = 'stall'\nfor = 2", "rule 1: for: write a number and its unit"),
        (b"[[faults]]\nkind = 2026-01-01", "rule 1: kind: there is no fault"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_rule_and_the_field(
    content: bytes, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "faults.toml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=re.escape(said)) as caught:
        rules_from(None, path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(BadInput, match=f"cannot read {path}: "):
            rules_from(None, path)


@pytest.mark.parametrize("key", ["", "two words", "a\nb", "\x00"])
def test_a_key_that_no_header_holds_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(BadInput) as caught:
        limits_from(["good", key], None, None)
    assert str(caught.value) == "--api-key: a key is empty or holds what no header can"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--fault", "kind=cut,event=x"), "--fault 'kind=cut,event=x': event: "),
        (("--fault", "cut\x1b[31m"), "there is no fault"),
        (("--rpm", "0"), "--rpm"),
        (("--tpm", "many"), "--tpm"),
    ],
)
def test_bad_options_are_one_line(
    options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(RECORDING), "--port", "0", *options]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert "\x1b" not in line


def test_keys_are_hidden_in_the_settings_and_the_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HARNESS_REPLAY_API_KEY", "sk-very-secret another-secret")
    assert (main(["config"]), main(["config", "--json"]), main(["replay", "--help"])) == (0, 0, 0)
    said = capsys.readouterr().out
    assert not any(key in said for key in ("very-secret", "another-secret"))
    assert said.count("(hidden)") == 2


def test_the_summary_says_what_was_played_and_what_was_not() -> None:
    outcome = Outcome(
        requests=9,
        answered=5,
        missed=0,
        unused=(),
        exchanges=1,
        lateness=WriteLateness(writes=0, p50_ms=None, p99_ms=None, max_ms=None),
        program_code=0,
        faults={f"cut; event={number}": number for number in range(1, 13)},
        unfit_faults={"comments": 1},
        idle_faults=("kind=delay,for=1s,path=/never",),
        refused=Refusals(unauthorised=2, limited=1),
    )
    lines = list(summary(outcome))
    assert lines[0] == "  fault: cut; event=1: 1 time"
    assert lines[10:] == [
        "  fault: and 2 more",
        "  fault that did not fit: comments: 1 time",
        "  fault never played: kind=delay,for=1s,path=/never",
        "  refused: 2 for their key (401), 1 over a limit (429)",
    ]
    assert outcome.exit_code == 0
