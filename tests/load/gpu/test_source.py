"""The sampler beside a run: started, stopped, done without, and never outliving who started it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from harness.core.errors import BadInput
from harness.load.gpu.records import Ended
from harness.load.gpu.source import Asked, GpuLog
from tests.plugins.cards import GPU_A, Log, without_cards

type Environment = Callable[..., dict[str, str]]

STARTS_AND_LEAVES = """
import os, sys
from pathlib import Path
from harness.load.gpu.source import GpuLog
log = GpuLog.start("nvml", Path(sys.argv[1]))
print(log.process.pid, flush=True)
os._exit(0)
"""


def use(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let our children have this environment."""
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def test_a_log_of_a_run(cards: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(cards(), monkeypatch)
    log = GpuLog.start("nvml", tmp_path, rate_hz=10, gpus=["0"])
    assert log is not None
    assert log.file == tmp_path / "gpu.jsonl"
    assert log.file.exists()
    Event().wait(0.3)
    log.process.send_signal(signal.SIGINT)  # Ctrl-C is for the run, whose end is logged too
    Event().wait(0.3)
    assert log.process.poll() is None
    assert log.stop() == 0
    told = Log(log.file)
    assert [card.gpu for card in told.cards] == [GPU_A]
    assert isinstance(told.records[-1], Ended)
    assert len(told.samples) > 3
    assert (tmp_path / "gpu.log").read_text() == ""


def test_without_a_driver_one_line_says_so_and_the_run_goes_on(
    cards: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(cards(NVML_INIT="9"), monkeypatch)
    assert GpuLog.start("nvml", tmp_path) is None
    assert capsys.readouterr().err == (
        "no NVIDIA driver here (Driver Not Loaded): the run goes on without a GPU log\n"
    )


def test_without_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(without_cards(), monkeypatch)
    log = GpuLog.start("nvml", tmp_path)
    if log is not None:
        log.stop()
        pytest.skip("this machine has a driver")
    assert capsys.readouterr().err == (
        "no NVIDIA driver here (libnvidia-ml.so.1 not found): the run goes on without a GPU log\n"
    )


def test_without_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert GpuLog.start("http://127.0.0.1:1", tmp_path) is None
    said = capsys.readouterr().err
    assert said.startswith("no GPU metrics at http://127.0.0.1:1/metrics: ")
    assert said.endswith(": the run goes on without a GPU log\n")


def test_off_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert GpuLog.start("off", tmp_path) is None
    assert capsys.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []


def test_what_can_be_had(
    cards: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(cards(), monkeypatch)
    for asked in (Asked("nvml", 10, ("1",)), Asked()):
        assert asked.checked() == asked
    with pytest.raises(BadInput, match="there is no GPU '2'"):
        Asked("nvml", gpus=("2",)).checked()
    assert capsys.readouterr().err == ""
    use(cards(NVML_INIT="9"), monkeypatch)
    assert Asked("nvml", 10, ("1",)).checked() == Asked()
    assert capsys.readouterr().err == (
        "no NVIDIA driver here (Driver Not Loaded): the run goes on without a GPU log\n"
    )


def test_what_is_asked_for_wrongly_is_an_error_at_the_start_too(
    cards: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(cards(), monkeypatch)
    with pytest.raises(BadInput, match="there is no GPU '2'"):
        GpuLog.start("nvml", tmp_path, gpus=["2"])


def test_a_context_ends_it(cards: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(cards(NVML_CARDS="1"), monkeypatch)
    log = GpuLog.start("nvml", tmp_path)
    assert log is not None
    with log:
        assert log.process.poll() is None
    assert log.process.returncode == 0


def test_a_log_that_breaks_off_is_told(
    cards: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(cards(NVML_CARDS="1"), monkeypatch)
    log = GpuLog.start("nvml", tmp_path)
    assert log is not None
    with log:
        log.process.kill()
        log.process.wait()
    assert capsys.readouterr().err == "the GPU log broke off: it was ended\n"


def test_it_ends_when_who_started_it_ends(cards: Environment, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTS_AND_LEAVES, str(tmp_path)]
    done = subprocess.run(command, env=cards(), capture_output=True, text=True, timeout=60, check=True)
    pid = int(done.stdout)
    for _ in range(400):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break  # ended; whoever inherited it has not looked yet
        Event().wait(0.05)
    else:
        pytest.fail("the sampler goes on")
    assert isinstance(Log(tmp_path / "gpu.jsonl").records[-1], Ended)
