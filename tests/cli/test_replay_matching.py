"""Options of `harness replay` for matching and misses: bad input in one line, settings, the summary."""

from pathlib import Path

import pytest

from harness.cli.app import main
from harness.cli.replay_matching import Said, rules_from
from harness.cli.replay_misses import named_as, summary
from harness.core.admin import WriteLateness
from harness.core.matching.rules import MatchRules
from harness.core.matching.words import Kind, Preset
from harness.record.upstream import parse_all
from harness.replay.service import Outcome

URL = "http://127.0.0.1:9"

BAD = {
    "no place": (["--match-on", "header"], "--match-on: 'header' cannot be compared"),
    "no path": (["--ignore", "user"], "--ignore: 'user' is no path: write /field"),
    "no kind": (["--normalise", "guids"], "'guids' is not one of 'uuids'"),
    "a default without value": (["--default", "/stream"], "write it as PATH=JSON"),
    "a default that is no JSON": (
        ["--default", "/model=gpt"],
        "'gpt' is no JSON: text stands in double quotes",
    ),
    "a default without path": (["--default", "stream=false"], "--default: 'stream' is no path"),
    "no preset": (["--preset", "loose"], "'loose' is not one of"),
    "all must be alike": (["--fuzzy", "1"], "--fuzzy: should be less than 1"),
    "no likeness": (["--fuzzy", "much"], "--fuzzy"),
    "not a number": (["--fuzzy", "nan"], "--fuzzy"),
    "no mode": (["--repeat", "twice"], "'twice' is not one of"),
    "no seed": (["--seed", "x"], "--seed"),
    "no session": (["--session-by", "cookie"], "--session-by 'cookie' tells no clients apart"),
    "no answer to misses": (["--on-miss", "ignore"], "'ignore' is not one of"),
    "an upstream for nothing": (["--upstream", URL], "--upstream is where --on-miss record asks"),
    "no upstream": (["--on-miss", "record"], "add --upstream"),
    "no URL": (["--on-miss", "record", "--upstream", "api"], "--upstream 'api'"),
    "two of a name": (["--on-miss", "record", "--upstream", URL, "--upstream", URL], "two upstreams"),
}


@pytest.fixture
def db(write: "object", make_exchange: "object", monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CI", raising=False)
    return write(make_exchange())  # type: ignore[operator, no-any-return]


def error_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["replay", *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(("options", "told"), BAD.values(), ids=BAD)
def test_bad_options_are_one_line(
    options: list[str], told: str, db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = error_of(capsys, str(db), *options)
    assert line.startswith("harness: error: ")
    assert told in line


def test_nothing_is_ever_recorded_in_ci(
    db: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    line = error_of(capsys, str(db), "--on-miss", "record", "--upstream", URL)
    assert "never records where CI is set" in line


def test_misses_are_recorded_into_one_recording_alone(
    db: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = tmp_path / "rec.jsonl"
    lines.write_text("")
    recording = ["--on-miss", "record", "--upstream", URL]
    for files in ([str(lines)], [str(db), str(db)]):
        assert "appends to one recording (.db)" in error_of(capsys, *files, *recording)


def test_a_file_beside_the_recording_is_refused_with_its_line(
    db: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db.with_name("a.match.toml").write_text("preset = 'strict'\nignores = []\n")
    assert "a.match.toml: line 2: ignores: there is no such rule" in error_of(capsys, str(db))


NOTHING = Said(None, None, None, None, None, None)


def test_options_add_to_the_file_beside_the_recording_or_replace_it(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    (tmp_path / "a.match.toml").write_text('ignore = ["/a"]\npreset = "strict"\nfuzzy = 0.5\n')
    assert rules_from([db], NOTHING).preset is Preset.STRICT
    said = Said(["body"], ["/b"], [Kind.UUIDS], ['/c={"type": "text"}'], Preset.LENIENT, None)
    assert rules_from([db], said) == MatchRules(
        match_on=("body",),
        ignore=("/a", "/b"),
        normalise=(Kind.UUIDS,),
        defaults={"/c": {"type": "text"}},
        preset=Preset.LENIENT,
        fuzzy=0.5,
    )


def test_rules_are_settings_as_well(
    tmp_path: Path, db: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.harness.replay]\nignore = ["/user", "nothing"]\n')
    monkeypatch.chdir(tmp_path)
    assert "--ignore: 'nothing' is no path" in error_of(capsys, str(db))
    monkeypatch.setenv("HARNESS_REPLAY_IGNORE", "/user elsewhere")
    assert "--ignore: 'elsewhere' is no path" in error_of(capsys, str(db))


UPSTREAMS = [
    (("openai",), (URL,), ["openai"]),
    (("openai",), (f"default={URL}",), ["default"]),
    (("openai", "other"), (URL,), ["default"]),
    ((), (URL,), ["default"]),
    (("openai",), (f"a={URL}", f"b={URL}"), ["a", "b"]),
]


@pytest.mark.parametrize(("recorded", "texts", "names"), UPSTREAMS)
def test_an_upstream_without_a_name_is_the_one_that_was_recorded(
    recorded: tuple[str, ...], texts: tuple[str, ...], names: list[str]
) -> None:
    assert [one.name for one in named_as(recorded, parse_all(texts), texts)] == names


def test_the_summary_tells_each_miss_once_and_no_more_than_ten() -> None:
    late = WriteLateness(writes=0, p50_ms=None, p99_ms=None, max_ms=None)
    misses = {f"POST /{number}: no recorded exchange matches\n  nearest": number for number in range(1, 15)}
    outcome = Outcome(
        requests=1,
        answered=0,
        missed=1,
        unused=(),
        exchanges=0,
        lateness=late,
        program_code=0,
        misses=misses,
        instead={"fuzzy": 2, "simulated": 1},
    )
    lines = list(summary(outcome))
    assert lines[0] == "in place of misses: 2 fuzzy, 1 simulated"
    assert lines[1].startswith("  missed: POST /1:")
    assert lines[2].startswith("  missed 2 times: POST /2:")
    assert (len(lines), lines[-1]) == (12, "  missed: and 4 others")
