"""The tour: conversations recorded from the real model server, replayed to the same SDKs, compared.

Every step runs the command that a user would type, as a child process; this module knows their order
and what their files are called.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.child import harness_command
from harness.core.canonical import flatten
from harness.core.difference import Difference, differences
from harness.core.errors import BadInput, HarnessError
from harness.demo.conversations import CONVERSATIONS

type Heard = Callable[[str], None]
"""Told every line that a step prints: the name of a call that ended, or words of the command itself."""

NAMES = frozenset(call.name for call in CONVERSATIONS)


@dataclass(frozen=True)
class Compared:
    """One call, as the model server answered it and as the replay did."""

    call: str
    events: int | None
    fields: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Tour:
    """The files of one tour, all in one folder."""

    folder: Path

    @property
    def recording(self) -> Path:
        """What `harness record` wrote."""
        return self.folder / "tour.db"

    def answers(self, step: str) -> Path:
        """What the SDKs got while a step ran, as JSON: call -> answer."""
        return self.folder / f"{step}.json"

    def prepare(self) -> None:
        """Make the folder. Raises `BadInput` where a tour was made before: a recording only grows."""
        if self.recording.exists():
            raise BadInput(f"{self.recording} exists: name another folder, or remove it")
        self.folder.mkdir(parents=True, exist_ok=True)

    def commands(self, upstream: str) -> dict[str, list[str]]:
        """Step -> the command behind `harness`, in the order of the tour."""
        recording = str(self.recording)
        record = ["record", "--quiet", "--upstream", upstream, "--db", recording]
        return {
            "record": record + self.program("record"),
            "ls": ["ls", recording],
            "replay": ["replay", recording, "--port", "0", *self.program("replay")],
            "verify": ["verify", recording],
        }

    def program(self, step: str) -> list[str]:
        """The same conversations behind `--` at every step."""
        return ["--", sys.executable, "-m", "harness.demo.sdks", str(self.answers(step))]

    def compare(self) -> list[Compared]:
        """What the SDKs got from the recorded server and from the replay, field by field."""
        recorded, replayed = (json.loads(self.answers(step).read_bytes()) for step in ("record", "replay"))
        return [compare(call.name, recorded[call.name], replayed[call.name]) for call in CONVERSATIONS]


def compare(call: str, recorded: Any, replayed: Any) -> Compared:
    """Two answers of a call, leaf by leaf."""
    leaves, others = flatten(recorded), flatten(replayed)
    events = len(recorded) if isinstance(recorded, list) else None
    return Compared(call, events, len(leaves), tuple(differences(leaves, others)))


def run(command: Sequence[str], heard: Heard) -> None:
    """Run a harness command to its end. Raises `HarnessError` where it fails; its words were heard before."""
    with subprocess.Popen(
        harness_command(*command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as child:
        assert child.stdout
        for line in child.stdout:
            heard(line.rstrip())
    if child.returncode:
        raise HarnessError(f"harness {command[0]} ended with exit code {child.returncode}")


def show(command: Sequence[str]) -> int:
    """Run a harness command that prints for itself; its exit code."""
    return subprocess.run(harness_command(*command), stdin=subprocess.DEVNULL, check=False).returncode
