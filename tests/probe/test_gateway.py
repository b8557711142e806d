"""The gateway as a child: what is left of it when the probe ends."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.probe.gateway import Gateway

type WaitUntil = Callable[[Callable[[], object], str], None]

STUBBORN = "(trap '' TERM; echo $BASHPID >&2; exec sleep 60) & wait"
"""It ends when it is asked to; what it started does not."""


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie, whoever is to reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "gateway.log"


@pytest.fixture
def started(log: Path, wait_until: WaitUntil) -> Callable[[], int]:
    """The process that the gateway started."""

    def pid() -> int:
        wait_until(lambda: log.read_text().endswith("\n"), "it started nothing")
        return int(log.read_text())

    return pid


def test_what_it_started_ends_with_it(log: Path, started: Callable[[], int], wait_until: WaitUntil) -> None:
    with Gateway(["bash", "-c", STUBBORN], "http://127.0.0.1:9", log):
        pid = started()
        assert is_running(pid)
    wait_until(lambda: not is_running(pid), "it goes on")


def test_who_cannot_wait_leaves_nothing_behind(
    log: Path, started: Callable[[], int], wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C once more, while a gateway takes its time to end."""
    gateway = Gateway(["bash", "-c", f"trap '' TERM; {STUBBORN}"], "http://127.0.0.1:9", log)
    pid = started()
    real = gateway.process.wait

    def interrupted(timeout: float | None = None) -> int:
        if timeout is not None:
            raise KeyboardInterrupt
        return real()

    monkeypatch.setattr(gateway.process, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gateway.stop()
    wait_until(lambda: not is_running(pid), "it goes on")
    assert gateway.process.returncode == -signal.SIGKILL
