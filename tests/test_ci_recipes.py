"""The files of docs/ci: they are what their tools read, and every line of harness in them is one."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.plugins.recipes import parsed

FOLDER = Path(__file__).parents[1] / "docs" / "ci"
PAGE = FOLDER.with_suffix(".md")
FILES = sorted(FOLDER.glob("*.y*ml"))
DOCKERFILE = (FOLDER / "Dockerfile").read_text("utf-8").replace("\\\n", "")
STARTS = re.compile(r"(?:^|[|;&\"]|\benv -u CI |--no-run-if-empty )\s*(harness .*|pytest .*)$")


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def texts(value: Any) -> Iterator[str]:
    """Every text in a YAML document."""
    if isinstance(value, str):
        yield from value.splitlines()
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def lines() -> list[str]:
    """Every command line of harness and pytest in the files, without what the shell does with them."""
    found = [match[1] for path in FILES for text in texts(loaded(path)) if (match := STARTS.search(text))]
    return sorted({re.split(r" 2>&1| \|\|", line)[0] for line in found})


def test_the_files_are_those_of_the_page() -> None:
    named = set(re.findall(r"\(ci/([\w.-]+)\)", PAGE.read_text("utf-8")))
    assert named == {path.name for path in FOLDER.iterdir()}
    assert len(lines()) == 6


@pytest.mark.parametrize("line", [line for line in lines() if line.startswith("harness ")])
def test_every_line_of_harness_is_one(line: str) -> None:
    words = shlex.split(line.replace("$RUNNER_TEMP", "/tmp"))
    if words == ["harness", "scan"]:
        words.append("given-by-xargs.db")
    parsed(words[1:])


@pytest.mark.parametrize("line", [line for line in lines() if line.startswith("pytest ")])
def test_every_option_of_the_plugin_is_one(line: str, request: pytest.FixtureRequest) -> None:
    options = [word for word in shlex.split(line) if word.startswith("--")]
    assert options
    for option in options:
        request.config.getoption(option.removeprefix("--").replace("-", "_"))


@pytest.mark.parametrize("name", ["github-replay.yml", "github-record.yml"])
def test_steps_of_github_do_one_thing_each(name: str) -> None:
    workflow = loaded(FOLDER / name)
    assert workflow["permissions"]
    (job,) = workflow["jobs"].values()
    assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    keyed = [step for step in job["steps"] if "OPENAI_API_KEY" in step.get("env", {})]
    assert all(step["env"]["OPENAI_API_KEY"] == "${{ secrets.OPENAI_API_KEY }}" for step in keyed)
    assert len(keyed) == (2 if "record" in name else 0)


def test_a_test_that_fails_on_new_answers_keeps_nothing_from_being_recorded() -> None:
    (job,) = loaded(FOLDER / "github-record.yml")["jobs"].values()
    (step,) = (step for step in job["steps"] if step.get("continue-on-error"))
    recorded = [
        line
        for line in step["run"].splitlines()
        if "--harness-record-mode" in line or "--record-mode" in line
    ]
    assert len(recorded) == 2
    assert all(line.endswith("|| status=$?") for line in recorded)  # GitHub's shell ends at what fails


def test_the_image_is_not_root_and_runs_a_replay() -> None:
    said = dict(re.findall(r"^(\w+) (.*)$", DOCKERFILE, re.MULTILINE))
    assert said["FROM"] == "${BASE}"
    assert int(said["USER"])
    (command, *options) = json.loads(said["ENTRYPOINT"]) + json.loads(said["CMD"])
    assert command == "harness"
    parsed(options)
    assert f":{said['EXPOSE']}/__admin/health" in said["HEALTHCHECK"]
    assert options[options.index("--port") + 1] == said["EXPOSE"]


def test_the_services_wait_for_a_replay_in_a_closed_network() -> None:
    compose = loaded(FOLDER / "compose.yaml")
    api, tests = compose["services"]["api"], compose["services"]["tests"]
    parsed(api["command"])
    assert tests["depends_on"]["api"]["condition"] == "service_healthy"
    assert api["networks"] == tests["networks"] == ["inside"]
    assert compose["networks"]["inside"]["internal"]
