"""The recipes of `docs/record.md`, taken from the page and run as they stand there.

A fenced block whose info string says `file=NAME` is a file, one that says `recipe=NAME` a script for the
shell. The only thing that is changed is where the API is: `https://api.openai.com` is a local server.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from typer.core import TyperGroup
from typer.main import get_command

from harness.cli.app import app, split_program

PAGE = Path(__file__).parents[2] / "docs" / "record.md"
BLOCK = re.compile(r"^```(\w+)(?: (file|recipe)=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
API = "--upstream https://api.openai.com "
KEY = "sk-proj-PlantedPlantedPlanted0123456789"


def blocks(kind: str) -> dict[str, str]:
    """Name -> text of the blocks of a kind, `file` or `recipe`."""
    found = BLOCK.findall(PAGE.read_text("utf-8"))
    return {name: text for _, said, name, text in found if said == kind}


def commands() -> list[str]:
    """Every command line of harness in the page's scripts."""
    texts = [text for language, _, _, text in BLOCK.findall(PAGE.read_text("utf-8")) if language == "sh"]
    joined = "\n".join(texts).replace("\\\n", "")
    return [line for line in joined.splitlines() if line.startswith("harness ")]


def parsed(words: Sequence[str]) -> None:
    """Read the words of a command line behind `harness`; an error where it is none."""
    own, program = split_program(words)
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    with group.make_context("harness", own, obj=program) as context:
        command = group.get_command(context, own[0])
        assert command is not None
        command.make_context(own[0], own[1:], parent=context)


def run_recipe(
    name: str, api: str, folder: Path, path: Sequence[Path] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a recipe in a folder against a server, with programs from `path` first; it must succeed."""
    for file, text in blocks("file").items():
        (folder / file).write_text(text, "utf-8")
    script = blocks("recipe")[name]
    assert API in script
    done = subprocess.run(
        ["sh", "-e", "-c", script.replace(API, f"--upstream openai={api} ")],
        cwd=folder,
        env=environment(folder, path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def environment(folder: Path, path: Sequence[Path]) -> Mapping[str, str]:
    """Of a shell that finds harness, and else what it finds in `path` and beside this Python."""
    own = folder / "bin"
    own.mkdir()
    (own / "harness").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m harness "$@"\n')
    (own / "harness").chmod(0o755)
    folders = [own, *path, Path(sys.executable).parent]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTEST_"))}
    searched = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    return {**kept, "OPENAI_API_KEY": KEY, "PATH": searched}
