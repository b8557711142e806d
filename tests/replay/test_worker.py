"""A worker by itself: what it says where it cannot go on."""

import asyncio
import socket
import subprocess
import sys

import pytest

from harness.replay.worker import NO_FILE, Entrance


def test_a_connection_that_no_file_is_left_for_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    ours, clients = socket.socketpair()

    async def run() -> None:
        entrance = Entrance(clients, pytest.fail)
        ours.send(b"\0")  # so it comes where its file did not fit
        entrance.take()
        entrance.close()

    with ours, clients:
        asyncio.run(run())
    assert capsys.readouterr().err == f"{NO_FILE}\n"


BROKEN = """
import os, socket
from harness.replay.worker import process

print(os.waitstatus_to_exitcode(os.waitpid(process(None, *socket.socketpair(), []), 0)[1]))
"""


def test_why_a_worker_fails_is_printed() -> None:
    said = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, check=True)
    assert said.stdout == "1\n"
    assert "AttributeError" in said.stderr
