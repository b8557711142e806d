"""Cards to be had everywhere: a small libnvidia-ml.so.1 built from C, for the real wrappers of NVML.

`tests/load/gpu/nvml.c` says by which variables of the environment its cards differ, and what they give.
`cards(NVML_CARDS="1")` gives the environment of a child process that has such cards.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.load.gpu.lines import read_log
from harness.load.gpu.records import Card, Event, GpuRecord, Sample, What

type RequireTool = Callable[..., str]
type Environment = Callable[..., dict[str, str]]

SOURCE = Path(__file__).parent.parent / "load" / "gpu" / "nvml.c"
GPU_A, GPU_B = "GPU-00000000-aaaa", "GPU-10000000-aaaa"


def built(compiler: str, folder: Path, *options: str) -> Path:
    """The library, in a folder for LD_LIBRARY_PATH."""
    library = folder / "libnvidia-ml.so.1"
    command = [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", *options]
    subprocess.run([*command, "-o", str(library), str(SOURCE), "-lm"], check=True)
    return folder


@pytest.fixture(scope="session")
def cards(require_tool: RequireTool, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`cards(NVML_...=...)`: the environment of a child with such cards; `old=True`: of an older driver."""
    compiler = require_tool("cc", "gcc", "clang")
    new = built(compiler, tmp_path_factory.mktemp("nvml"))
    older = built(compiler, tmp_path_factory.mktemp("nvml-old"), "-DOLD_DRIVER")

    def environment(*, old: bool = False, **variables: str) -> dict[str, str]:
        return without_cards() | {"LD_LIBRARY_PATH": str(older if old else new)} | variables

    return environment


def without_cards() -> dict[str, str]:
    """Our environment without settings of harness and NVML."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("NVML_", "HARNESS_"))}
    return {name: text for name, text in kept.items() if name != "LD_LIBRARY_PATH"}


def harness_gpu(environment: Mapping[str, str], *options: str) -> "subprocess.CompletedProcess[str]":
    """`harness gpu` with these cards, to its end."""
    command = [sys.executable, "-m", "harness", "gpu", *options]
    return subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, timeout=60, check=False
    )


class Log:
    """A log, read."""

    def __init__(self, path: Path) -> None:
        self.records: list[GpuRecord] = list(read_log(path))
        self.cards = [record for record in self.records if isinstance(record, Card)]
        self.samples = [record for record in self.records if isinstance(record, Sample)]
        self.events = [record for record in self.records if isinstance(record, Event)]

    def of(self, gpu: str, counter: str) -> list[tuple[int, int | None, float]]:
        """When a counter of a card was read, how far off that may be, and what it was."""
        found = (sample for sample in self.samples if sample.gpu == gpu and counter in sample.values)
        return [(sample.at_ns, sample.error_ns, sample.values[counter]) for sample in found]

    def values(self, gpu: str, counter: str) -> set[float]:
        """All values of a counter of a card."""
        return {value for _, _, value in self.of(gpu, counter)}

    def told(self, gpu: str, what: What) -> list[str | None]:
        """The counters of the events of a kind."""
        return [event.counter for event in self.events if event.gpu == gpu and event.what is what]


def logged(environment: Mapping[str, str], path: Path, duration_s: float, *options: str) -> Log:
    """What `harness gpu` logs of these cards in so many seconds."""
    done = harness_gpu(environment, "--json", "--duration", str(duration_s), "--rate", "10", *options)
    assert done.returncode == 0, done.stderr
    path.write_text(done.stdout, encoding="utf-8")
    return Log(path)
