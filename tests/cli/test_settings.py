"""Settings from the environment and from pyproject.toml, as real command lines use them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Annotated

import pytest
import typer

from harness.child import harness_command
from harness.cli.settings import default_map, effective, options_of
from harness.core.errors import BadInput


def command(  # noqa: PLR0917  as many as commands have
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument()],
    upstream: Annotated[list[str], typer.Option()],
    keep_connect: Annotated[bool, typer.Option()] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output")] = None,
    redact: Annotated[bool, typer.Option("--redact/--no-redact")] = True,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    speed: Annotated[float, typer.Option(min=0)] = 1.0,
    also: Annotated[list[str] | None, typer.Option()] = None,
) -> None:
    """A command with every form of option."""


COMMANDS = {"play": command}


def write(folder: Path, text: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(text)
    return path


def test_options_have_the_names_that_people_type() -> None:
    names = {option.name: option.variable for option in options_of("play", command)}
    assert names == {
        "upstream": "HARNESS_PLAY_UPSTREAM",
        "keep-connect": "HARNESS_PLAY_KEEP_CONNECT",
        "output": "HARNESS_PLAY_OUTPUT",
        "redact": "HARNESS_PLAY_REDACT",
        "json": "HARNESS_PLAY_JSON",
        "speed": "HARNESS_PLAY_SPEED",
        "also": "HARNESS_PLAY_ALSO",
    }


def test_the_environment_comes_before_the_file_and_that_before_the_default(tmp_path: Path) -> None:
    path = write(tmp_path, "[tool.harness.play]\nspeed = 3\nkeep_connect = true\n")
    environment = {"HARNESS_PLAY_SPEED": "5", "HARNESS_PLAY_UPSTREAM": "a=http://a b=http://b"}
    environment["HARNESS_PLAY_ALSO"] = "c"
    found = effective(COMMANDS, tmp_path, environment)
    sources = {setting.option.name: setting.source for setting in found}
    assert sources == {
        "upstream": "HARNESS_PLAY_UPSTREAM",
        "keep-connect": str(path),
        "output": "default",
        "redact": "default",
        "json": "default",
        "speed": "HARNESS_PLAY_SPEED",
        "also": "HARNESS_PLAY_ALSO",
    }
    assert default_map(found) == {
        "play": {
            "upstream": ["a=http://a", "b=http://b"],
            "keep_connect": True,
            "speed": "5",
            "also": ["c"],
        }
    }


def test_an_option_that_is_a_list_or_nothing_takes_words(tmp_path: Path) -> None:
    def play(ctx: typer.Context, gpus: Annotated[list[str] | None, typer.Option()] = None) -> None:
        """A command."""

    found = effective({"play": play}, tmp_path, {"HARNESS_PLAY_GPUS": "0 1"})
    assert default_map(found) == {"play": {"gpus": ["0", "1"]}}


def test_the_nearest_file_that_speaks_of_harness_counts(tmp_path: Path) -> None:
    write(tmp_path, "[tool.harness.play]\nspeed = 3\n")
    inner = tmp_path / "inner" / "most"
    inner.mkdir(parents=True)
    write(inner.parent, "[project]\nname = 'x'\n")
    assert default_map(effective(COMMANDS, inner, {})) == {"play": {"speed": 3}}


@pytest.mark.parametrize("text", ["tool = 3\n", "[tool]\n", "[[tool]]\nharness = 1\n"])
def test_a_file_that_does_not_speak_of_harness_says_nothing(text: str, tmp_path: Path) -> None:
    write(tmp_path, text)
    assert default_map(effective(COMMANDS, tmp_path, {})) == {}


BAD = {
    "unknown setting": (
        "[tool.harness.play]\nsped = 1\n",
        "[tool.harness.play] sped: there is no such option: 'harness play -",
    ),
    "wrong type": ("[tool.harness.play]\nspeed = 'fast'\n", "[tool.harness.play] speed"),
    "unknown command": ("[tool.harness.ply]\n", "[tool.harness.ply]"),
    "no table": ("[tool.harness]\nplay = 1\n", "[tool.harness.play] is no table"),
    "no table at all": ("[tool]\nharness = 1\n", "[tool.harness] is no table"),
    "no TOML": ("[tool.harness\n", "pyproject.toml"),
}


@pytest.mark.parametrize(("text", "named"), BAD.values(), ids=BAD)
def test_what_is_wrong_in_the_file_is_named(text: str, named: str, tmp_path: Path) -> None:
    write(tmp_path, text)
    with pytest.raises(BadInput) as error:
        effective(COMMANDS, tmp_path, {})
    assert named in str(error.value)


@pytest.mark.parametrize(("name", "value"), [("SPEED", "fast"), ("REDACT", "perhaps"), ("JSON", "")])
def test_what_is_wrong_in_the_environment_is_named(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"^HARNESS_PLAY_{name}: Input should be a valid [a-z]+"):
        effective(COMMANDS, tmp_path, {f"HARNESS_PLAY_{name}": value})


def harness(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **environment}
    words = harness_command(*arguments)
    return subprocess.run(
        words, capture_output=True, text=True, timeout=60, cwd=folder, env=variables, check=False
    )


def test_a_command_takes_its_settings_and_config_shows_them(tmp_path: Path) -> None:
    path = write(tmp_path, "[tool.harness.replay]\nspeed = -2\n")
    assert "--speed -2" in harness(tmp_path, "replay", "none.db").stderr
    assert "--speed -3" in harness(tmp_path, "replay", "none.db", HARNESS_REPLAY_SPEED="-3").stderr
    assert "--speed -4" in harness(tmp_path, "replay", "none.db", "--speed", "-4").stderr
    rows = json.loads(harness(tmp_path, "config", "--json", HARNESS_REPLAY_PORT="7").stdout)
    of = {(row["command"], row["setting"]): (row["value"], row["source"]) for row in rows}
    assert of["replay", "speed"] == (-2, str(path))
    assert of["replay", "port"] == ("7", "HARNESS_REPLAY_PORT")
    assert of["verify", "concurrency"] == (8, "default")


def test_a_bad_file_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, "[tool.harness.replay]\nspeeed = 1\n")
    done = harness(tmp_path, "ls", "none.db")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "speeed" in done.stderr
