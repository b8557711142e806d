"""What the tests of the probe share: a run of it on a gateway that it starts."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.child import harness_command
from harness.probe.behaviours import Behaviour
from harness.probe.document import ProbeDocument
from harness.probe.judge import Verdict
from harness.record.ports import free_ports

GATEWAYS = Path(__file__).parent / "gateways.py"


class Probed(NamedTuple):
    """A probe's exit code and what it says."""

    code: int
    document: ProbeDocument

    def failed(self) -> set[Behaviour]:
        return {one.behaviour for one in self.document.behaviours if one.verdict is Verdict.FAIL}

    def evidence(self, behaviour: Behaviour) -> str:
        return next(one.evidence for one in self.document.behaviours if one.behaviour is behaviour)


type Probe = Callable[..., Probed]


@pytest.fixture
def port() -> int:
    """A port that is free."""
    [found] = free_ports("127.0.0.1", 0, 1)
    return found


@pytest.fixture
def probe(port: int, recording: Path) -> Probe:
    """Probe a gateway that this command starts on `port`."""

    def run(*command: str, options: tuple[str, ...] = ("--concurrency", "1")) -> Probed:
        own = ("--gateway", f"http://127.0.0.1:{port}", "--recording", str(recording), "--json", *options)
        done = subprocess.run(
            [*harness_command("probe", *own), "--", *command],
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ),
        )
        assert done.returncode in (0, 1, 3), done.stderr
        return Probed(done.returncode, ProbeDocument.model_validate(json.loads(done.stdout)))

    return run


@pytest.fixture
def planted(probe: Probe, port: int) -> Probe:
    """Probe the gateway with this fault."""

    def run(fault: str, *options: str) -> Probed:
        command = (sys.executable, str(GATEWAYS), fault, "{provider}", str(port))
        return probe(*command, options=("--concurrency", "1", *options))

    return run
