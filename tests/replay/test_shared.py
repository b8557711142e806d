"""Counts that processes share, against those of one process."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from harness.core.limits import Limiter
from harness.replay.cursors import OwnCursors
from harness.replay.shared import Shared

S = 1_000_000_000


@pytest.fixture
def shared() -> Iterator[Shared]:
    made = Shared()
    made.open()
    yield made
    made.connection.close()
    made.lock.close()
    made.forget_files()


def test_cursors_count_as_those_of_one_process(shared: Shared) -> None:
    own = OwnCursors()
    asked = [("a", "1"), ("a", "1"), ("b", "1"), ("", "1"), ("a", "2"), ("a", "1"), ("\udc80", "\udcff")]
    for session in (None, "a"):
        assert [shared.advance(*one) for one in asked] == [own.advance(*one) for one in asked]
        shared.reset(session)
        own.reset(session)
    assert [shared.advance(*one) for one in asked] == [own.advance(*one) for one in asked]


def test_a_limiter_lets_in_as_one_of_one_process(shared: Shared) -> None:
    together, own = shared.limiter(3, 10**12), Limiter(3, 10**12)
    for at_s, key in [
        (0, b"a"),
        (1, b"a"),
        (2, None),
        (2, b"a"),
        (3, b"a"),
        (30, b"a"),
        (31, b"a"),
        (31, None),
    ]:
        now_ns = at_s * S
        assert together.admit(key, now_ns) == own.admit(key, now_ns)
        together.charge(key, 4 * 10**11, now_ns)
        own.charge(key, 4 * 10**11, now_ns)
        assert together.standing(key, now_ns) == own.standing(key, now_ns)
    assert together.admit(b"a", 31 * S) is not None
    together.reset()
    assert together.admit(b"a", 31 * S) is None


TOGETHER = """
import os
from harness.replay.shared import Shared

shared, children = Shared(), []
for dies in (False, False, True):
    pid = os.fork()
    if not pid:
        shared.open()
        for _ in range(500):
            shared.add("n", 1)
        if dies:
            with shared.alone():
                os.kill(os.getpid(), 9)
        os._exit(0)
    children.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
shared.open()
shared.forget_files()
print(codes, shared.add("n", 0), os.path.exists(shared.folder))
"""


def test_processes_count_together_and_one_that_dies_lets_go() -> None:
    said = subprocess.run([sys.executable, "-c", TOGETHER], capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[0] == "[0, 0, -9] 1500 False"
