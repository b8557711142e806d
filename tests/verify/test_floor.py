"""The idle timer, in its own process."""

import os
import threading
import time
from pathlib import Path

import pytest

from harness.verify.floor import EVERY_NS, IdleTimer


def test_the_floor_is_the_lateness_of_real_wakes() -> None:
    start_ns = time.monotonic_ns()
    with IdleTimer() as floor:
        threading.Event().wait(0.2)
    assert min(floor.lateness_ns) >= 0
    assert 1 <= len(floor.lateness_ns) <= (time.monotonic_ns() - start_ns) / EVERY_NS + 1


def test_there_is_a_figure_however_short_the_time() -> None:
    with IdleTimer() as floor:
        pass
    assert floor.lateness_ns


def test_ctrl_c_at_the_terminal_does_not_reach_it() -> None:
    with IdleTimer() as floor:
        assert os.getpgid(floor.process.pid) != os.getpgid(0)


def test_modules_of_the_working_directory_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "select.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    with IdleTimer() as floor:
        pass
    assert floor.lateness_ns
